"""Items in threads: never more under way than there are threads, and none begun after a cancel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Generic, TypeVar

from jobdash.worker.item import Item
from jobdash.worker.saying import say
from jobdash.worker.stopping import JobCancelled

T = TypeVar("T")


class _Pool(Generic[T]):
    """The threads, and the first thing that went wrong in one of them."""

    def __init__(self, function: Callable[[T], object], workers: int) -> None:
        self.failure: BaseException | None = None
        self._function = function
        self._free = threading.Semaphore(workers)
        self._items: SimpleQueue[Item[T] | None] = SimpleQueue()
        self._said = False
        self._workers = workers
        self._threads: list[threading.Thread] = []

    def feed(self, items: Iterator[Item[T]]) -> None:
        """Hand out items one by one, as threads get free; from the thread that owns the iterable."""
        try:
            self._start()
            while self.failure is None:
                self._free.acquire()
                item = None if self.failure is not None else next(items, None)
                if item is None:
                    break
                self._items.put(item)
        finally:
            for _ in range(self._workers):
                self._items.put(None)

    def _start(self) -> None:
        for number in range(self._workers):
            # Daemons: the second Ctrl-C is meant to end the script, whatever an item is at.
            thread = threading.Thread(target=self._work, name=f"jobdash-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def join(self) -> None:
        """Wait for the items that are under way, in threads that could be started."""
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (item := self._items.get()) is not None:
            try:
                self._do(item)
            except BaseException as error:  # noqa: BLE001 - raised again where the threads are waited for
                self.failure = self.failure or error
            self._free.release()

    def _do(self, item: Item[T]) -> None:
        with item:
            self._keep(item, self._function(item.value))

    def _keep(self, item: Item[T], result: object) -> None:
        try:
            item.detail = result
        except (TypeError, ValueError):
            if not self._said:
                self._said = True
                what = type(result).__name__
                say(f"jobdash: what is returned ({what}) is not text or JSON of at most 16 KiB: not kept")


def run_in_threads(items: Iterator[Item[T]], function: Callable[[T], object], workers: int) -> None:
    """Call ``function`` with each item's value; raise the first thing that is to end the loop."""
    if workers < 1:
        raise ValueError("workers has to be at least 1")
    pool = _Pool(function, workers)
    try:
        pool.feed(items)
    except (Exception, JobCancelled):
        pool.join()
        raise
    pool.join()
    if pool.failure is not None:
        raise pool.failure
