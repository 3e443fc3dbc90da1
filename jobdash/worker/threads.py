"""Process items in threads: never more at once than there are threads, and none after a cancel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar

from jobdash.worker.cancellation import Token
from jobdash.worker.exceptions import JobCancelled
from jobdash.worker.item import Item

T = TypeVar("T")
V = TypeVar("V")


class ItemOutcome(NamedTuple, Generic[V]):
    """The outcome of one item of `Job.map`."""

    key: str | None
    """The item's key as it is kept; None for a job without keys."""
    value: V | None
    """What the function returned; also where that cannot be kept, and `error` is the reason."""
    error: Exception | None
    """What the function raised, or why its result is not kept."""


class _Pool(Generic[T, V]):
    """Threads that call a function with the values of items, and queue the outcomes."""

    def __init__(self, function: Callable[[T], V], workers: int, token: Token) -> None:
        self.failure: BaseException | None = None
        """The first exception that is to end the loop."""
        self._function = function
        self._token = token
        self._items: SimpleQueue[Item[T] | None] = SimpleQueue()
        self._outcomes: SimpleQueue[ItemOutcome[V] | None] = SimpleQueue()
        self._under_way = 0
        self._exhausted = False
        self._workers = workers
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads. They are daemons: a second Ctrl-C ends the script, whatever an item is at."""
        for number in range(self._workers):
            thread = threading.Thread(target=self._work, name=f"jobdash-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def outcomes(self, items: Iterator[Item[T]]) -> Iterator[ItemOutcome[V]]:
        """Queue an item for each free thread, and yield the outcomes; until `failure`, or the end.

        A thread gets its next item before an outcome is yielded, which may take its time.
        """
        outcome: ItemOutcome[V] | None = None
        while True:
            self._feed(items)
            if outcome is not None:
                yield outcome
            if not self._under_way:
                return
            outcome = self._outcomes.get()
            self._under_way -= 1

    def _feed(self, items: Iterator[Item[T]]) -> None:
        try:
            while not self._exhausted and self.failure is None and self._under_way < self._workers:
                item = next(items, None)
                if item is None:
                    self._exhausted = True
                    return
                self._under_way += 1
                self._items.put(item)
        except (Exception, JobCancelled) as error:  # noqa: BLE001 - raised again after what is under way
            self.failure = self.failure or error

    def stop(self) -> None:
        """Let the threads finish what is under way, and wait for them."""
        for _ in self._threads:
            self._items.put(None)
        for thread in self._threads:
            thread.join()

    def release(self) -> None:
        """Let the threads end after what is under way, and do not wait for it."""
        for _ in self._threads:
            self._items.put(None)

    def _work(self) -> None:
        self._token.add_thread()
        try:
            self._do_all()
        finally:
            self._token.remove_thread()

    def _do_all(self) -> None:
        while (item := self._items.get()) is not None:
            outcome = None
            try:
                outcome = self._do(item)
            except BaseException as error:  # noqa: BLE001 - raised again where the threads are waited for
                self.failure = self.failure or error
            self._outcomes.put(outcome)

    def _do(self, item: Item[T]) -> ItemOutcome[V]:
        value: V | None = None
        error: Exception | None = None
        with item:
            try:
                value = self._function(item.value)
                item.detail = value
            except Exception as raised:
                error = raised
                raise
        return ItemOutcome(item.key, value, error)


def outcomes_of_threads(
    items: Iterator[Item[T]], function: Callable[[T], V], workers: int, token: Token
) -> Generator[ItemOutcome[V], None, None]:
    """Call ``function`` with each item's value, and yield the outcomes as they come.

    Raises the first exception that is to end the loop, after the outcomes of what was under way then.
    """
    if workers < 1:
        raise ValueError("workers has to be at least 1")
    pool = _Pool(function, workers, token)
    try:
        pool.start()
        yield from pool.outcomes(items)
    except (Exception, GeneratorExit):
        pool.stop()
        raise
    except BaseException:  # a second Ctrl-C waits for nothing
        pool.release()
        raise
    pool.stop()
    if pool.failure is not None:
        raise pool.failure
