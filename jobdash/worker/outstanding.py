"""The items that a job has given out and of which nothing is known yet."""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping
from typing import Generic, TypeVar

from jobdash.worker.item import Item

T = TypeVar("T")


class OutstandingItems(Generic[T]):
    """Who is at which item: the loop itself, a thread or a task that gets to it later, or nobody any more.

    Whether an item is never entered shows only at the end. A script that enters none at all, and has no keys,
    just wants to be counted: until the first one is entered, what the loop has passed is taken for done.
    """

    def __init__(self, count: Callable[[int], None]) -> None:
        self.never_entered = 0
        """Items that the loop has passed and that nobody has entered."""
        self.used = False
        """Whether any item was entered."""
        self._count = count
        self._taken_for_done = 0
        self._keys: set[str] = set()
        self._passed: MutableMapping[str, Item[T]] | None = None
        self._lock = threading.Lock()

    def has(self, key: str) -> bool:
        """Whether somebody is at the item of this key, or may still get to it."""
        return key in self._keys or (self._passed is not None and key in self._passed)

    def give(self, item: Item[T]) -> None:
        """Take note that somebody gets an item."""
        if item.key is not None:
            self._keys.add(item.key)

    def enter(self, item: Item[T]) -> None:
        """Take note that somebody begins to work at an item, maybe long after the loop has gone on."""
        with self._lock:
            item.entered = self.used = True
            if not item.passed:
                return
            item.passed = False
            self.never_entered -= 1
            wrong, self._taken_for_done = self._taken_for_done, 0
            if item.key is not None and self._passed is not None:
                self._keys.add(item.key)
                self._passed.pop(item.key, None)
        if wrong:
            self._count(-wrong)

    def pass_by(self, item: Item[T]) -> None:
        """Take note that the loop has gone on to the next item."""
        with self._lock:
            if item.entered or item.settled:
                return
            item.passed = True
            self.never_entered += 1
            if item.key is not None:
                self._forget_when_dropped(item.key, item)
                return
            if self.used:
                return
            self._taken_for_done += 1
        self._count(1)

    def _forget_when_dropped(self, key: str, item: Item[T]) -> None:
        if self._passed is None:
            from weakref import WeakValueDictionary  # seldom needed

            self._passed = WeakValueDictionary()
        self._passed[key] = item
        self._keys.discard(key)

    def settle(self, item: Item[T]) -> None:
        """Take note that something is known of an item now."""
        if item.key is not None:
            self._keys.discard(item.key)

    def begin_again(self) -> None:
        """Forget what was counted: the loop goes through all of it once more."""
        with self._lock:
            self.never_entered = self._taken_for_done = 0
