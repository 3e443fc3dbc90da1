"""`track`: a script's loop as a job that is seen and can be stopped from elsewhere."""

from __future__ import annotations

import contextlib
import operator
import os
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping
from itertools import chain
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast
from weakref import ref

from jobdash.domain.text import visible
from jobdash.store.leases.continuation import AUTO
from jobdash.worker import process, script
from jobdash.worker.item import is_collection, length
from jobdash.worker.item_encoding import DETAIL_BYTES, kept_key
from jobdash.worker.job import Job, JobOptions
from jobdash.worker.job_run import JobRun
from jobdash.worker.outcome import handled, instruction
from jobdash.worker.process import uninterrupted
from jobdash.worker.settings import TrackOptions

if TYPE_CHECKING:
    from jobdash.worker.aio import AsyncJob

T = TypeVar("T")
_MOST = 2**63 - 1


def track(
    iterable: Iterable[T] | AsyncIterable[T],
    name: str | None = None,
    *,
    key: Callable[[T], object] | None = None,
    on_error: Literal["raise", "record"] = "raise",
    max_errors: int | None = None,
    total: int | None = None,
    unit: str = "items",
    metadata: Mapping[str, object] | None = None,
    tags: Mapping[str, object] | None = None,
    flush_interval: float | None = None,
    max_detail: int = DETAIL_BYTES,
    resume: str = AUTO,
    on_cancel: Literal["exit", "continue"] = "exit",
    progress: bool = True,
    db: str | os.PathLike[str] | None = None,
) -> Track[T]:
    """Make the loop over ``iterable`` a job in the dashboard.

    - ``name``: what the job is called. Without one: the script and line, ``resize.py:12``.
    - ``key``: returns what identifies an item in every run, a path or a row's id.
    - ``on_error``: ``"raise"`` or ``"record"``; ``max_errors``: how many may fail in a run.
    - ``total``: how many items there are, a whole number, where the iterable has no ``len``.
    - ``unit``: what an item is ("files").
    - ``metadata``, ``tags``: words kept with the job; the dashboard finds jobs by their tags. For a job
      without a name the metadata hold the ``script`` too, by its whole path.
    - ``flush_interval``: seconds between writes of very small items; 0: each at once.
    - ``max_detail``: bytes of JSON that are kept of one item's result; more is an error of that item.
    - ``resume``: which job is continued: ``"auto"``, ``"failed"``, ``"never"``, ``"always"`` or a job's id.
    - ``on_cancel``: ``"exit"`` or ``"continue"``.
    - ``progress``: whether a terminal shows how far it is.
    - ``db``: the store; by default the one that the commands use.

    Nothing is opened before the loop or the block begins. Raises ValueError for values without a meaning.
    """
    caller = sys._getframe(1)  # noqa: SLF001 - the line that tracks is a job's name
    named = visible(None if name is None else str(name))
    options = TrackOptions(
        name=named or script.name_of(caller),
        keyed=key is not None,
        total=_whole("total", total) if total is not None else length(iterable),
        unit=unit,
        flush_s=_seconds("flush_interval", flush_interval),
        metadata=_words(metadata),
        tags=_words(tags),
        db=db,
        progress=progress,
        on_a_loop=isinstance(iterable, AsyncIterable),
        script=None if named else script.place_of(caller),
        resume=_resume(resume),
        work=script.work_of(caller, named=name is not None),
        arguments=script.arguments_of(caller),
        keys=_keys_ahead(iterable, key),
        detail_bytes=_whole("max_detail", max_detail) or 0,
        continue_after_cancel=_chosen("on_cancel", on_cancel, "exit", "continue"),
        thread=get_ident(),
    )
    return Track(iterable, options, _job_options(key, on_error, max_errors))


def _job_options(key: Callable[[T], object] | None, on_error: str, max_errors: int | None) -> JobOptions:
    record = _chosen("on_error", on_error, "raise", "record")
    if max_errors is not None and not record:
        raise ValueError("max_errors goes with on_error='record'")
    most = _whole("max_errors", max_errors)
    return JobOptions(cast("Callable[[object], object] | None", key), record, most)


def _chosen(what: str, word: str, one: str, other: str) -> bool:
    """Whether a word is ``other``. Raises ValueError when it is neither."""
    if word not in {one, other}:
        raise ValueError(f"{what} has to be {one!r} or {other!r}, not {word!r}")
    return word == other


def _keys_ahead(iterable: object, key: Callable[[T], object] | None) -> Callable[[], Iterator[str]] | None:
    """Return a function that yields the keys of a collection; None for a generator: it is not pulled."""
    if key is None or not is_collection(iterable):
        return None

    def keys() -> Iterator[str]:
        with contextlib.suppress(Exception):  # of key=; it is raised where the loop comes to it
            for value in cast("Iterable[T]", iterable):
                yield kept_key(key(value))

    return keys


class Track(Generic[T]):
    """A job that has not begun: to be looped over, or entered.

    ``for x in track(paths)`` gives the values themselves and counts them. ``with track(paths, key=str) as
    job`` gives items whose outcome is kept: the next run of the same work does only what is missing. Under
    asyncio ``async for`` and ``async with`` do the same; in a child task, look at ``job.token.cancelled`` and
    return: `JobCancelled` raised in one ends the program, as asyncio has it for every `SystemExit`.

    A ``key`` is called more than once for an item. Of two items with one key the second is not done, which is
    reported at the end.

    Which job is continued is always reported on standard error. With ``resume``:

    - ``"auto"``: the newest job of this name and of the same work: the same script (file and folder),
      function, arguments of the command and, without a name, line, the same item around it, and as many loops
      of its kind before it in its process (and after the first, the same texts, whole numbers and paths
      given to the function); if it is unfinished without a living worker, failed or cancelled, was not run by
      this very process, and at least half of its keys are among the new ones (they cannot be looked at ahead
      in a generator). Code without a file (a prompt, a notebook, ``python -c``) continues nothing. Anything
      else is a new job.
    - ``"failed"``: the same, and also a completed job with failures: its failed items are done again.
    - ``"never"``: always a new job. ``"always"``: the newest job of this name alone decides.
    - a job's id, or a unique prefix of one: that job. Raises ValueError when it cannot be continued.

    What each end of a run leads to with ``"auto"``: killed, crashed, cancelled or left by an exception: the
    next run goes on with what is missing and what failed. Completed: a new job, which does everything, also
    what had failed (``resume="failed"`` or ``jobdash retry`` does only that). Pending after a retry: what is
    left. Still running, or removed: a new job. Without ``key`` a job that is continued begins from the start.

    With ``on_error="raise"`` an item's exception is recorded and ends the loop; with ``"record"`` the loop
    goes on, until more than ``max_errors`` items of this run failed.

    With ``on_cancel="exit"`` a cancel raises `JobCancelled` where the loop is, which leaves the block and
    ends the script (130); with ``"continue"`` the loop or block ends, and the script goes on after it.

    The end of a run names the job's id and what the next run does, unless all went well or the loop was left
    by a ``break``. A plain loop (``for x in track(…)``) cannot see the exception that leaves it: it learns of
    one at the end of the script, if that was ended by it. One that is caught, ``sys.exit()`` in the body, and
    an exception that ends a thread look like a ``break``: the job is cancelled, without a line. Use a block
    there, which sees them all.

    Outcomes of very small items are written together every ``flush_interval`` seconds; those in between are
    done again after a crash. By default items with a key are written at once and mere counts every 0.2 s.
    """

    def __init__(
        self, source: Iterable[T] | AsyncIterable[T], options: TrackOptions, rules: JobOptions
    ) -> None:
        self._source = source
        self._options = options
        self._rules = rules
        self._job: Job[T] | None = None

    def __len__(self) -> int:
        """Return how many items there are. Raises TypeError where that is not known."""
        if self._options.total is None:
            raise TypeError("what is tracked has no length, and no total= was given")
        return self._options.total

    def __bool__(self) -> bool:
        return self._options.total != 0

    def __iter__(self) -> Iterator[T]:
        source = self._sync_source("for")
        self._only_counts()
        tail = _Tail()
        loop = _counted(self._options, source, tail)
        tail.loop = ref(loop)
        return chain(loop, tail)

    def __enter__(self) -> Job[T]:
        source = self._sync_source("with")
        run = JobRun(self._options)
        job = self._job = Job(run, source, self._rules)
        try:
            run.begin()
            process.listen(run.token)
            job.seed()
        except BaseException as error:
            run.conclude(error, exhausted=False)
            raise
        job.entered()
        return job

    @uninterrupted
    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        assert self._job is not None
        self._job.left()
        return self._job.conclude(error)

    def __aiter__(self) -> AsyncIterator[T]:
        from jobdash.worker.aio import CountedValues

        self._only_counts()
        return CountedValues(self._options, self._source)

    async def __aenter__(self) -> AsyncJob[T]:
        from jobdash.worker.aio import enter

        job = self._job = await enter(self._options, self._source, self._rules)
        return job

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        from jobdash.worker.aio import AsyncJob, leave

        assert isinstance(self._job, AsyncJob)
        return await leave(self._job, error)

    def _sync_source(self, word: str) -> Iterable[T]:
        if not isinstance(self._source, Iterable):
            if isinstance(self._source, AsyncIterable):
                raise TypeError(f"what is tracked is asynchronous: use `async {word}`")
            raise TypeError(f"what is tracked has to be iterable, and {type(self._source).__name__} is not")
        return self._source

    def _only_counts(self) -> None:
        if self._rules != JobOptions(None, False, None):
            raise ValueError(
                "key, on_error and max_errors need items: `with jobdash.track(…) as job: for item in job: …`"
            )


if track.__doc__ and Track.__doc__:  # `help(jobdash.track)` shows the details as well
    track.__doc__ = f"{track.__doc__.rstrip()}\n{Track.__doc__.partition(chr(10))[2]}"


class _Tail(Iterator[Any]):
    """The end of a plain loop: nothing, or once more the cancel that ended it.

    A library that pulls items in a thread of its own may ask again after an exception, and must not take the
    loop for done.
    """

    def __init__(self) -> None:
        self.loop: ref[Generator[Any, None, None]] | None = None
        self.run: JobRun | None = None

    def __next__(self) -> Any:
        run = self.run
        if (
            run is not None
            and run.end_status in {"cancelled", "lost"}
            and run.token.stopped
            and not run.continues()
        ):
            raise run.stop()
        raise StopIteration


def _counted(options: TrackOptions, source: Iterable[T], tail: _Tail) -> Generator[T, None, None]:
    """Yield the values, and count each when the next is asked for.

    What comes between two values is all that a loop costs: another thread writes to the store.
    """
    run = tail.run = JobRun(options)
    if tail.loop is not None:
        run.runs_in(tail.loop)
    before = sys.exc_info()[1]
    done = 0
    try:
        run.begin()
        process.listen(run.token)
        token, total = run.token, run.total
        for value in source:
            if token.stopped:
                raise run.stop()
            yield value
            done += 1
            run.succeeded = done
            # (another thread sets it)
            if token.stopped and (done != total or token.lost is not None):  # type: ignore[unreachable]
                raise run.stop()
        run.set_total(done)
        run.conclude(None, exhausted=True)
    except GeneratorExit:
        at = instruction(sys._getframe().f_back)  # noqa: SLF001 - see `leave`
        run.leave(handled(before), done + 1, at)
        raise
    except BaseException as error:
        run.conclude(error, exhausted=False)
        if run.continues(error):
            return
        raise
    if run.end_status == "cancelled" and not run.continues():
        raise run.stop()


def _whole(what: str, number: object) -> int | None:
    if number is None:
        return None
    try:
        whole = operator.index(cast("Any", number))
    except TypeError:
        whole = -1
    if not 0 <= whole <= _MOST:
        raise ValueError(f"{what} has to be a whole number of at least 0, not {number!r}")
    return whole


def _seconds(what: str, number: float | None) -> float | None:
    if number is not None and not number >= 0:  # which NaN is not either
        raise ValueError(f"{what} has to be at least 0, not {number!r}")
    return number


def _resume(mode: str) -> str:
    if not isinstance(mode, str):
        raise TypeError(f"resume takes auto, never, always, failed or a job's id, not {mode!r}")
    return mode


def _words(words: Mapping[str, object] | None) -> dict[str, str]:
    return {str(word): str(value) for word, value in (words or {}).items()}
