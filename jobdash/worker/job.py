"""A job inside its ``with`` block: its items, what becomes of each, and its end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar, overload

from jobdash.domain.text import clean
from jobdash.store.leases import ItemState, ItemWrite
from jobdash.worker import job_context
from jobdash.worker.cancellation import Token
from jobdash.worker.exceptions import TooManyErrors
from jobdash.worker.item import Item
from jobdash.worker.item_text import kept_error, kept_key
from jobdash.worker.job_run import JobRun
from jobdash.worker.outstanding import OutstandingItems
from jobdash.worker.signals import uninterrupted
from jobdash.worker.source import ItemSource

if TYPE_CHECKING:
    from jobdash.worker.threads import ItemOutcome

T = TypeVar("T")
V = TypeVar("V")

SEEDED = 10_000
"""Up to so many items are written down as unprocessed before the first; of more only at a graceful end."""
_COROUTINE = 0x80
"""What ``co_flags`` of a coroutine function has; `inspect`, which knows, takes long to import."""
_LISTING_S = 0.5
"""So long the end of a job may take to write down what is unprocessed."""


class JobOptions(NamedTuple):
    """How items are told apart, and what an error does."""

    key: Callable[[object], object] | None
    record: bool
    """An error is recorded and the loop goes on; else it also leaves the loop."""
    max_errors: int | None


class JobSummary(NamedTuple):
    """What a job has come to, over all its runs."""

    succeeded: int
    failed: int
    total: int | None


class Job(Generic[T]):
    """A running job; ``for item in job`` gives what is still to be done."""

    def __init__(self, run: JobRun, source: Iterable[T], rules: JobOptions) -> None:
        self._run = run
        self._source = ItemSource(source)
        self._rules = rules
        self._passes = 0
        self._exhausted = False
        self._listed = 0
        """How many items are written down as unprocessed."""
        self._given: OutstandingItems[T] = OutstandingItems(run.count_passed)
        self._repeated = 0
        self._one_repeated = ""
        self._mapping: Generator[Any, None, None] | None = None
        """What `map` goes through, to be ended with the block."""

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
        """``in_progress``, and after the block ``completed``, ``cancelled`` or ``failed``.

        ``lost`` when it turned out to be no longer this run's, see `LeaseLost`.
        """
        return self._run.word or "in_progress"

    def summary(self) -> JobSummary:
        """Return the counts as they are now."""
        return JobSummary(self.succeeded, self.failed, self.total)

    @overload
    def map(
        self, function: Callable[[T], object], *, workers: int = 4, outcomes: Literal[False] = False
    ) -> JobSummary: ...

    @overload
    def map(
        self, function: Callable[[T], V], *, workers: int = 4, outcomes: Literal[True]
    ) -> Iterator[ItemOutcome[V]]: ...

    def map(
        self, function: Callable[[T], V], *, workers: int = 4, outcomes: bool = False
    ) -> JobSummary | Iterator[ItemOutcome[V]]:
        """Call ``function`` with the value of each item, in threads, and return the counts when all is done.

        What a call returns becomes its item's detail; what cannot be kept is an error of that item (see
        `Item.detail`). With ``outcomes=True`` an iterator hands the outcomes back as they come: key, value
        and error of each item that this run does, at most twice as many in memory as there are workers.

        There are never more items under way than workers; after a cancel those that are finish, no new ones
        start, and `JobCancelled` is raised. With ``on_error="raise"`` the first error does the same. Raises
        TypeError for a coroutine function: no event loop would await it, and its items would look done.
        """
        if getattr(getattr(function, "__code__", None), "co_flags", 0) & _COROUTINE:
            raise TypeError("job.map calls functions; await coroutines in `async with`, item by item")
        from jobdash.worker.threads import outcomes_of_threads

        found = self._mapping = outcomes_of_threads(iter(self), function, workers, self.token)
        if outcomes:
            return found
        for _ in found:
            pass
        return self.summary()

    def __iter__(self) -> Iterator[Item[T]]:
        self.begin_pass()
        self.check()
        for value, key in self._to_do():
            item = self.item(value, key)
            yield item
            self.passed(item)
            self.check()
        self.exhausted()

    def entered(self) -> None:
        """Take note that the block begins; in the thread or task that it is in."""
        job_context.enter(self._run)

    def left(self) -> None:
        """Take note that the block was left."""
        job_context.leave(self._run)

    def begin_pass(self) -> None:
        """Take note that the loop begins, maybe once more; without keys it is counted anew then."""
        self._passes += 1
        if self._passes == 1 or not self._source.lies_there:
            return
        self._source.pulled = 0
        if self._rules.key is None:
            self._exhausted = False
            self._given.begin_again()
            self._run.count_anew()

    def seed(self) -> None:
        """Write all items down as unprocessed, if they are not too many."""
        there = self._source.length()
        if self._rules.key is not None and there is not None and there <= SEEDED:
            self._list()

    def _list(self, for_s: float = inf) -> None:
        """Write items down as unprocessed, as many as there is time for."""
        until, listed = monotonic() + for_s, 0

        def keys() -> Iterator[str]:
            nonlocal listed
            for value in self._source.values:
                if monotonic() >= until:
                    return
                yield self._key(value)
                listed += 1

        self._run.recorder.expect(keys())
        self._listed = listed
        if listed == self._source.length() and (total := self._run.recorder.count_total()) is not None:
            self._run.total = total

    def _key(self, value: T) -> str:
        assert self._rules.key is not None
        return kept_key(self._rules.key(value))

    def item(self, value: T, key: str | None) -> Item[T]:
        """Return an item that somebody begins to work at."""
        item = Item(value, key, self.settle, self._enter, self._run.detail_bytes)
        self._given.give(item)
        return item

    def _enter(self, item: Item[T]) -> None:
        if self._run.token.stopped and not self._run.on_a_loop:  # a library comes to it long after
            raise self._run.stop()
        job_context.enter(self._run, item.key)
        self._given.enter(item)

    def check(self) -> None:
        """Raise what ends the loop, if something does; a cancel behind the last item comes too late."""
        token = self._run.token
        if token.stopped and (token.lost is not None or not self._source.all_pulled()):
            raise self._run.stop()

    def _to_do(self) -> Iterator[tuple[T, str | None]]:
        for values in self._source.pieces():
            if self._run.total is not None:
                self._run.total += self._source.grown()
            yield from self.unprocessed(values)

    def unprocessed(self, values: list[T]) -> Iterator[tuple[T, str | None]]:
        """Yield those of some values that are to be done, with their keys."""
        if self._rules.key is None:
            for value in values:
                self._source.pulled += 1
                self.check_at_pull()
                yield value, None
            return
        keys = [self._key(value) for value in values]
        under_way = {key for key in keys if self._given.has(key)}
        known = self._run.recorder.known(keys)
        given: set[str] = set()
        for value, key in zip(values, keys, strict=True):
            self._source.pulled += 1
            at_it = key in given or self._given.has(key)
            if not at_it and key in under_way:  # it has been settled since
                known |= self._run.recorder.known([key])
            standing = known.get(key)
            if at_it or self._is_done(standing):
                if at_it or self._done_now(standing):
                    self._repeat(key)
                continue
            given.add(key)
            self.check_at_pull()
            yield value, key
        self.check()

    def check_at_pull(self) -> None:
        """Raise what ends the loop, when it was told to while the iterable was busy."""
        if self._run.token.stopped:
            raise self._run.stop()

    def _is_done(self, standing: ItemState | None) -> bool:
        """Whether an item is not to be done (again): done in any run, or failed in this one."""
        if standing is None or standing.outcome == "waiting":
            return False
        return standing.outcome != "error" or self._done_now(standing)

    def _done_now(self, standing: ItemState | None) -> bool:
        return standing is not None and standing.attempt == self._run.recorder.attempt

    def _repeat(self, key: str) -> None:
        if self._passes == 1:  # a second time through finds all of them again
            self._repeated += 1
            self._one_repeated = key

    def passed(self, item: Item[T]) -> None:
        """Take note that the loop has gone on to the next item."""
        self._given.pass_by(item)

    def settle(self, item: Item[T], error: BaseException | None) -> bool:
        """Keep what became of an item; whether the loop goes on although there was an error.

        Raises `LeaseLost` when the job is no longer ours, `TooManyErrors` when it was one too many.
        """
        job_context.leave(self._run)
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
            self._given.settle(item)
        return self._rules.record and self._let_pass(error)

    def _outcome(self, item: Item[T], word: str, error: Exception | None = None) -> ItemWrite | None:
        if item.key is None:
            return None
        kind, message = (None, None) if error is None else kept_error(error)
        return ItemWrite(item.key, word, item.kept, kind, message)

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

    @uninterrupted
    def conclude(self, error: BaseException | None) -> bool:
        """End the job as the block was left; whether ``error`` goes no further.

        A cancel goes on and ends the script, unless the job is told to continue behind it; one that means a
        job around this one too always does: the item that it is at is not done. Raises `JobCancelled` for a
        block that was left by itself after a cancel, and `LeaseLost` when the job turns out to be no longer
        this run's.
        """
        run = self._run
        try:
            if self._mapping is not None:
                with contextlib.suppress(ValueError):  # it runs in another thread
                    self._mapping.close()
            if error is None and not self._exhausted:
                self._exhausted = self._all_done()
            if run.recorder.recording and run.token.lost is None:
                self._tell_total(completed=error is None and self._exhausted)
            self._remark(left=error is not None or not self._exhausted)
        finally:
            run.conclude(error, self._exhausted)
        if error is None and run.token.stopped and run.word == "cancelled" and not run.goes_on():
            raise run.stop()
        return error is not None and run.goes_on(error)

    def _all_done(self) -> bool:
        """Whether the loop was left behind its last item: `zip` asks for no more than it needs."""
        if self._run.token.stopped or not self._source.all_pulled():
            return False
        if self._rules.key is None and not self._given.used:
            self._run.count_passed(self._source.pulled - self._run.done)
        return self._run.done == self._source.length()

    def _tell_total(self, *, completed: bool) -> None:
        run = self._run
        if self._rules.key is None:
            if completed:
                run.know_total(self._source.pulled)
            return
        run.recorder.write_all()
        if completed:
            run.total = run.recorder.count_total() or run.total
        elif self._source.length() not in {None, self._listed}:
            with contextlib.suppress(Exception):  # of key=; it has been raised where it was in the way
                self._list(_LISTING_S)

    def _remark(self, *, left: bool) -> None:
        """Say what was given and is not recorded; not of what lies about in a loop that was left."""
        run, keyed = self._run, self._rules.key is not None
        if self._given.never_entered and not left and (keyed or self._given.used):
            run.remark(
                f"{_items(self._given.never_entered)} of {run.name} not recorded: "
                "the work at an item belongs inside `with item:`"
            )
        if self._repeated:
            run.remark(
                f"{_items(self._repeated)} of {run.name} with the key of another not done, "
                f"one of them {clean(self._one_repeated, 80)}"
            )


def _items(number: int) -> str:
    return "1 item" if number == 1 else f"{number:,} items"
