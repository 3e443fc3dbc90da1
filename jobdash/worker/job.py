"""A job inside its ``with`` block: its items, their outcomes, and its end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar, overload

from jobdash.store.leases.lease import ItemState, ItemWrite
from jobdash.worker import job_context
from jobdash.worker.cancellation import Token
from jobdash.worker.exceptions import TooManyErrors
from jobdash.worker.item import Item, LoopInput, OutstandingItems
from jobdash.worker.item_encoding import kept_error, kept_key
from jobdash.worker.job_run import JobRun
from jobdash.worker.process import uninterrupted

if TYPE_CHECKING:
    from jobdash.worker.threads import ItemOutcome

T = TypeVar("T")
V = TypeVar("V")

SEEDED = 10_000
"""The most items that are recorded as unprocessed before the first is done; more only at a graceful end."""
_COROUTINE = 0x80
"""In ``co_flags`` of a coroutine function; `inspect` takes long to import."""
_LISTING_S = 0.5
"""Seconds that the end of a job may take to record what is unprocessed."""


class JobOptions(NamedTuple):
    """What identifies an item, and what an error does."""

    key: Callable[[object], object] | None
    record: bool
    """An error is recorded and the loop goes on; else it also leaves the loop."""
    max_errors: int | None

    def key_of(self, value: object) -> str:
        """Return an item's key as it is kept."""
        assert self.key is not None
        return kept_key(self.key(value))


class JobSummary(NamedTuple):
    """The counts of a job, over all its runs."""

    succeeded: int
    failed: int
    total: int | None


class Job(Generic[T]):
    """A running job; ``for item in job`` gives what is still to be done."""

    def __init__(self, run: JobRun, source: Iterable[T], rules: JobOptions) -> None:
        self._run = run
        self._source = LoopInput(source)
        self._rules = rules
        self._passes = 0
        self._exhausted = False
        self._listed = 0
        """How many items are recorded as unprocessed."""
        self._outstanding: OutstandingItems[T] = OutstandingItems(run.add_succeeded)
        self._mapping: Generator[Any, None, None] | None = None
        """The generator of `map`, to be closed with the block."""

    @property
    def token(self) -> Token:
        """Whether the job was asked to stop, for long items: ``job.token.raise_if_cancelled()``."""
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
        """How many items there are; None while that is unknown."""
        return self._run.total

    @property
    def status(self) -> str:
        """``in_progress``, and after the block ``completed``, ``cancelled`` or ``failed``.

        ``lost`` when it turned out to be no longer this run's, see `LeaseLost`.
        """
        return self._run.end_status or "in_progress"

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
            self._outstanding.pass_by(item)
            self.check()
        self.exhausted()

    def entered(self) -> None:
        """Begin the block; in the thread or task that it is in."""
        job_context.enter(self._run)

    def left(self) -> None:
        """End the block."""
        job_context.leave(self._run)

    def begin_pass(self) -> None:
        """Begin the loop, maybe once more; without keys the counts are reset then."""
        self._passes += 1
        if self._passes == 1 or not self._source.is_collection:
            return
        self._source.pulled = 0
        if self._rules.key is None:
            self._exhausted = False
            self._outstanding.reset()
            self._run.reset_counts()

    def seed(self) -> None:
        """Record all items as unprocessed, if they are not too many."""
        there = self._source.length()
        if self._rules.key is not None and there is not None and there <= SEEDED:
            self._list()

    def _list(self, for_s: float = inf) -> None:
        """Record items as unprocessed, as many as there is time for."""
        until, listed = monotonic() + for_s, 0

        def keys() -> Iterator[str]:
            nonlocal listed
            for value in self._source.values:
                if monotonic() >= until:
                    return
                yield self._rules.key_of(value)
                listed += 1

        self._run.recorder.expect(keys())
        self._listed = listed
        if listed == self._source.length() and (total := self._run.recorder.count_total()) is not None:
            self._run.total = total

    def item(self, value: T, key: str | None) -> Item[T]:
        """Return an item for the loop, and count it as outstanding."""
        item = Item(value, key, self.settle, self._enter, self._run.detail_bytes)
        self._outstanding.add(item)
        return item

    def _enter(self, item: Item[T]) -> None:
        if self._run.token.stopped and not self._run.on_a_loop:  # a library comes to it long after
            raise self._run.stop()
        job_context.enter(self._run, item.key)
        self._outstanding.enter(item)

    def check(self) -> None:
        """Raise what ends the loop, if anything does; a cancel after the last item comes too late."""
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
        keys = [self._rules.key_of(value) for value in values]
        under_way = {key for key in keys if self._outstanding.has(key)}
        known = self._run.recorder.states(keys)
        yielded: set[str] = set()
        for value, key in zip(values, keys, strict=True):
            self._source.pulled += 1
            at_it = key in yielded or self._outstanding.has(key)
            if not at_it and key in under_way:  # it has been settled since
                known |= self._run.recorder.states([key])
            state = known.get(key)
            if at_it or self._is_done(state):
                # A second time through finds all of them again.
                if self._passes == 1 and (at_it or self._done_now(state)):
                    self._outstanding.repeat(key)
                continue
            yielded.add(key)
            self.check_at_pull()
            yield value, key
        self.check()

    def check_at_pull(self) -> None:
        """Raise what ends the loop, when it was asked to stop while the iterable was busy."""
        if self._run.token.stopped:
            raise self._run.stop()

    def _is_done(self, state: ItemState | None) -> bool:
        """Whether an item needs no work: done in any run, or failed in this one."""
        if state is None or state.outcome == "waiting":
            return False
        return state.outcome != "error" or self._done_now(state)

    def _done_now(self, state: ItemState | None) -> bool:
        return state is not None and state.attempt == self._run.recorder.attempt

    def settle(self, item: Item[T], error: BaseException | None) -> bool:
        """Record the outcome of an item; return whether the loop continues in spite of an error.

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
            self._outstanding.settle(item)
        return self._rules.record and self._continues_after(error)

    def _outcome(self, item: Item[T], word: str, error: Exception | None = None) -> ItemWrite | None:
        if item.key is None:
            return None
        kind, message = (None, None) if error is None else kept_error(error)
        return ItemWrite(item.key, word, item.kept, kind, message)

    def _continues_after(self, error: Exception) -> bool:
        """Whether the loop continues after a recorded error. Raises `TooManyErrors` for one too many."""
        most, failed = self._rules.max_errors, self._run.failed
        if most is not None and failed > most:
            raise TooManyErrors(f"{failed:,} items failed, at most {most:,} may") from error
        return True

    def exhausted(self) -> None:
        """Record that the iterable is exhausted."""
        if self._run.token.lost is not None:
            raise self._run.stop()
        self._exhausted = True

    @uninterrupted
    def conclude(self, error: BaseException | None) -> bool:
        """End the job as the block was left; return whether ``error`` is suppressed.

        A cancel ends the script, unless it is to continue after it. A cancel that includes a job around this
        one always does: the item that it is at is not done. Raises `JobCancelled` for a block that ended by
        itself after a cancel, and `LeaseLost` when the job turns out to be no longer this run's.
        """
        run = self._run
        try:
            if self._mapping is not None:
                with contextlib.suppress(ValueError):  # it runs in another thread
                    self._mapping.close()
            if error is None and not self._exhausted:
                self._exhausted = self._all_done()
            if run.recorder.recording and run.token.lost is None:
                self._write_total(completed=error is None and self._exhausted)
            in_loop = error is not None or not self._exhausted
            for remark in self._outstanding.remarks(
                run.name, keyed=self._rules.key is not None, in_loop=in_loop
            ):
                run.warn(remark)
        finally:
            run.conclude(error, self._exhausted)
        if error is None and run.token.stopped and run.end_status == "cancelled" and not run.continues():
            raise run.stop()
        return error is not None and run.continues(error)

    def _all_done(self) -> bool:
        """Whether the loop was left after its last item: `zip` asks for no more than it needs."""
        if self._run.token.stopped or not self._source.all_pulled():
            return False
        if self._rules.key is None and not self._outstanding.used:
            self._run.add_succeeded(self._source.pulled - self._run.done)
        return self._run.done == self._source.length()

    def _write_total(self, *, completed: bool) -> None:
        run = self._run
        if self._rules.key is None:
            if completed:
                run.set_total(self._source.pulled)
            return
        run.recorder.write_all()
        if completed:
            run.total = run.recorder.count_total() or run.total
        elif self._source.length() not in {None, self._listed}:
            with contextlib.suppress(Exception):  # of key=; it has been raised where it was in the way
                self._list(_LISTING_S)
