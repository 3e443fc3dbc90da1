"""A job inside its ``with`` block: its items, what becomes of each, and its end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import Generic, NamedTuple, TypeGuard, TypeVar

from jobdash.store.fence import Outcome, Standing
from jobdash.worker.item import Item
from jobdash.worker.keeping import kept_error, kept_key
from jobdash.worker.run import Run
from jobdash.worker.saying import say
from jobdash.worker.stopping import JobCancelled, LeaseLost, TooManyErrors
from jobdash.worker.token import Token

T = TypeVar("T")

SEEDED = 10_000
"""Up to so many items are written down as unprocessed before the first; of more only at a graceful end."""
_LOOK_AHEAD = 256


class Rules(NamedTuple):
    """How items are told apart, and what an error does."""

    key: Callable[[object], object] | None
    record: bool
    """An error is recorded and the loop goes on; else it also leaves the loop."""
    max_errors: int | None


class Summary(NamedTuple):
    """What a job has come to, over all its runs."""

    succeeded: int
    failed: int
    total: int | None


class Job(Generic[T]):
    """A running job; ``for item in job`` gives what is still to be done."""

    def __init__(self, run: Run, source: Iterable[T], rules: Rules) -> None:
        self._run = run
        self._source = source
        self._rules = rules
        self._pulled = 0
        self._exhausted = False
        self._in_flight: set[str] = set()
        self._never_entered = 0

    @property
    def token(self) -> Token:
        """Whether the job was told to stop, for long items: ``job.token.raise_if_cancelled()``."""
        return self._run.token

    @property
    def id(self) -> str | None:
        """The job's public id; None when there is no store to record it in."""
        return self._run.public_id

    @property
    def name(self) -> str:
        """The job's name."""
        return self._run.name

    @property
    def succeeded(self) -> int:
        """Items that are done or skipped, over all runs of the job."""
        return self._run.succeeded

    @property
    def failed(self) -> int:
        """Items that failed in this run."""
        return self._run.failed

    @property
    def total(self) -> int | None:
        """How many items there are; None while nobody knows."""
        return self._run.total

    @property
    def status(self) -> str:
        """``in_progress``, and after the block ``completed``, ``cancelled`` or ``failed``."""
        return self._run.word or "in_progress"

    def summary(self) -> Summary:
        """Return the counts as they are now."""
        return Summary(self.succeeded, self.failed, self.total)

    def map(self, function: Callable[[T], object], *, workers: int = 4) -> Summary:
        """Call ``function`` with the value of each item, in threads, and return the counts when all is done.

        What a call returns becomes its item's detail, where it is text or JSON of at most 16 KiB. There are
        never more items under way than workers; after a cancel those that are finish, no new ones start, and
        `JobCancelled` is raised. With ``on_error="raise"`` the first error does the same.
        """
        from jobdash.worker.threads import run_in_threads

        run_in_threads(iter(self), function, workers)
        return self.summary()

    def __iter__(self) -> Iterator[Item[T]]:
        self.check()
        for value, key in self._to_do():
            item = self.item(value, key)
            yield item
            self.passed(item)
            self.check()
        self.exhausted()

    def seed(self) -> None:
        """Write all items down as unprocessed, if they are not too many."""
        source = self._source
        if self._rules.key is not None and is_collection(source) and len(source) <= SEEDED:
            self._expect_all(source)

    def _expect_all(self, source: Iterable[T]) -> None:
        self._run.recorder.expect(map(self._key, source))
        total = self._run.recorder.count_total()
        if total is not None:
            self._run.total = total

    def _key(self, value: T) -> str:
        assert self._rules.key is not None
        return kept_key(self._rules.key(value))

    def item(self, value: T, key: str | None) -> Item[T]:
        """Return an item that somebody begins to work at."""
        if key is not None:
            self._in_flight.add(key)
        return Item(value, key, self.settle)

    def check(self) -> None:
        """Raise what ends the loop, if something does; a cancel behind the last item comes too late."""
        token = self._run.token
        if token.stopped and (token.lost is not None or not self._all_pulled()):
            raise self._run.stop()

    def _all_pulled(self) -> bool:
        return is_collection(self._source) and 0 < len(self._source) <= self._pulled

    def _to_do(self) -> Iterator[tuple[T, str | None]]:
        # Only what lies there anyway is looked at ahead: pulling from a generator may do things.
        ahead = _LOOK_AHEAD if is_collection(self._source) else 1
        rest = iter(self._source)
        while values := list(islice(rest, ahead)):
            yield from self.unprocessed(values)

    def unprocessed(self, values: list[T]) -> Iterator[tuple[T, str | None]]:
        """Yield those of some values that are to be done, with their keys."""
        if self._rules.key is None:
            for value in values:
                self._pulled += 1
                self.check_at_pull()
                yield value, None
            return
        keys = [self._key(value) for value in values]
        known = self._run.recorder.known(keys)
        given: set[str] = set()
        for value, key in zip(values, keys, strict=True):
            self._pulled += 1
            if key in given or key in self._in_flight or self._is_done(known.get(key)):
                continue
            given.add(key)
            self.check_at_pull()
            yield value, key
        self.check()

    def check_at_pull(self) -> None:
        """Raise what ends the loop, when it was told to while the iterable was busy."""
        if self._run.token.stopped:
            raise self._run.stop()

    def _is_done(self, standing: Standing | None) -> bool:
        """Whether an item is not to be done (again): done in any run, or failed in this one."""
        if standing is None or standing.outcome == "waiting":
            return False
        return standing.outcome != "error" or standing.attempt == self._run.recorder.attempt

    def passed(self, item: Item[T]) -> None:
        """Take note that the loop has gone on to the next item."""
        if item.entered or item.settled:
            return
        if item.key is None:
            self.settle(item, None)
        else:
            self._in_flight.discard(item.key)
            self._never_entered += 1

    def settle(self, item: Item[T], error: BaseException | None) -> bool:
        """Keep what became of an item; whether the loop goes on although there was an error.

        Raises `LeaseLost` when the job is no longer ours, `TooManyErrors` when it was one too many.
        """
        if item.settled:
            return False
        item.settled = True
        try:
            if error is None:
                self._run.count("ok", self._outcome(item, "skipped" if item.skipped else "ok"))
                return False
            if not isinstance(error, Exception):
                return False
            self._run.count("error", self._outcome(item, "error", error))
        finally:
            if item.key is not None:
                self._in_flight.discard(item.key)
        return self._rules.record and self._let_pass(error)

    def _outcome(self, item: Item[T], word: str, error: Exception | None = None) -> Outcome | None:
        if item.key is None:
            return None
        kind, message = (None, None) if error is None else kept_error(error)
        return Outcome(item.key, word, item.kept, kind, message)

    def _let_pass(self, error: Exception) -> bool:
        most, failed = self._rules.max_errors, self._run.failed
        if most is not None and failed > most:
            raise TooManyErrors(f"{failed:,} items failed, at most {most:,} may") from error
        return True

    def exhausted(self) -> None:
        """Take note that the iterable has come to its end."""
        if self._run.token.lost is not None:
            raise self._run.stop()
        self._exhausted = True

    def conclude(self, error: BaseException | None) -> bool:
        """End the job as the block was left; whether ``error`` goes no further.

        Raises `LeaseLost` when the job turns out to be no longer ours.
        """
        run = self._run
        if run.recorder.recording:
            self._tell_total(error)
        if self._never_entered:
            say(
                f"jobdash: {self._never_entered:,} items of {run.name} are not recorded: "
                "the work at an item belongs inside `with item:`"
            )
        run.conclude(error, self._exhausted)
        return isinstance(error, JobCancelled) and not isinstance(error, LeaseLost)

    def _tell_total(self, error: BaseException | None) -> None:
        run = self._run
        completed = error is None and self._exhausted
        if self._rules.key is not None:
            run.recorder.flush()
            if completed:
                run.total = run.recorder.count_total() or run.total
            elif is_collection(self._source) and len(self._source) > SEEDED and run.token.lost is None:
                self._expect_all(self._source)
        elif completed and run.total is None:
            run.total = run.done
            run.recorder.set_total(run.done)


def is_collection(source: Iterable[T]) -> TypeGuard[Collection[T]]:
    """Whether an iterable lies there as a whole and can be gone through again."""
    return isinstance(source, Collection) and not isinstance(source, Iterator)
