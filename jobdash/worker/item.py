"""Items: the iterable they come from, one of them, and those that are outstanding."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, MutableMapping
from itertools import islice
from typing import Any, Generic, Self, TypeVar, cast

from jobdash.domain.text import clean, quantity
from jobdash.worker.item_encoding import DETAIL_BYTES, detail_json

T = TypeVar("T")
_LOOK_AHEAD = 256


class LoopInput(Generic[T]):
    """An iterable, and how far a loop has read it."""

    def __init__(self, values: Iterable[T]) -> None:
        self.values = values
        self.pulled = 0
        """Items that the loop has taken, done already or not."""
        self.is_collection = is_collection(values)
        """Whether it is there as a whole and can be iterated over again."""
        self._known = self.length() or 0

    def length(self) -> int | None:
        """Return how many items there are now; None for a stream."""
        return length(self.values) if self.is_collection else None

    def all_pulled(self) -> bool:
        """Whether the loop is at the last item."""
        there = self.length()
        return there is not None and 0 < there <= self.pulled

    def grown(self) -> int:
        """Return how many items were appended since this was last asked."""
        there = self.length() or 0
        more, self._known = there - self._known, there
        return max(0, more)

    def pieces(self) -> Iterator[list[T]]:
        """Yield the items in pieces of at most some hundreds.

        Only a collection is read ahead: pulling from a generator may have effects, and the iterator of a list
        that was asked beyond its end yields nothing of what is appended later.
        """
        rest = iter(self.values)
        while piece := list(islice(rest, self._ahead())):
            yield piece

    def _ahead(self) -> int:
        there = self.length()
        return 1 if there is None else max(1, min(_LOOK_AHEAD, there - self.pulled))


def length(values: object) -> int | None:
    """Return how many items there are; None where that is unknown, or more than can be counted."""
    try:
        return len(cast("Any", values))
    except Exception:  # noqa: BLE001 - a `__len__` of the script's own
        return None


def is_collection(values: object) -> bool:
    """Whether something is there as a whole, and can be iterated over again."""
    return isinstance(values, Collection) and not isinstance(values, Iterator) and length(values) is not None


class Item(Generic[T]):
    """One item; ``with item:`` around the work at it records its outcome.

    Leaving the block cleanly is ok, leaving it by an exception is an error. A cancel, Ctrl-C and the like
    leave it unprocessed.
    """

    __slots__ = (
        *("_detail", "_enter", "_kept", "_limit", "_settle", "__weakref__"),
        *("entered", "key", "passed", "settled", "skipped", "value"),
    )

    def __init__(
        self,
        value: T,
        key: str | None,
        settle: Callable[[Item[T], BaseException | None], bool],
        enter: Callable[[Item[T]], None] | None = None,
        limit: int = DETAIL_BYTES,
    ) -> None:
        self.value = value
        """What the iterable yielded."""
        self.key = key
        """The item's key as it is kept; None for a job without keys."""
        self.entered = False
        self.passed = False
        """The loop is past it; another thread or task may still enter it."""
        self.settled = False
        self.skipped = False
        self._detail: object = None
        self._kept: str | None = None
        self._settle = settle
        self._enter = enter
        self._limit = limit

    @property
    def detail(self) -> object:
        """The item's result, kept with its outcome: text, or what JSON can express.

        Setting it raises TypeError for anything else, naming the part, and ValueError for more than
        ``max_detail`` bytes.
        """
        return self._detail

    @detail.setter
    def detail(self, value: object) -> None:
        self._kept = detail_json(value, self._limit)
        self._detail = value

    @property
    def kept(self) -> str | None:
        """The detail as the store keeps it."""
        return self._kept

    def skip(self, reason: object = None) -> None:
        """Count the item as skipped, not as done, when its block is left; ``reason`` becomes its detail."""
        if reason is not None:
            self.detail = reason
        self.skipped = True

    def __enter__(self) -> Self:
        if self._enter is None:
            self.entered = True
        else:
            self._enter(self)
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        return self._settle(self, error)


class OutstandingItems(Generic[T]):
    """The items that a job has yielded and that have no outcome yet: in the loop, a thread, or a task.

    Whether an item is never entered shows only at the end. A script that enters none at all, and has no keys,
    just wants to be counted: until the first one is entered, what the loop has passed counts as done.
    """

    def __init__(self, count: Callable[[int], None]) -> None:
        self.never_entered = 0
        """Items that the loop has passed and whose block was not entered."""
        self.used = False
        """Whether any item was entered."""
        self._repeated = 0
        self._one_repeated = ""
        self._count = count
        self._counted_as_done = 0
        self._keys: set[str] = set()
        self._passed: MutableMapping[str, Item[T]] | None = None
        self._lock = threading.Lock()

    def has(self, key: str) -> bool:
        """Whether the item of this key is being worked at, or may still be."""
        return key in self._keys or (self._passed is not None and key in self._passed)

    def add(self, item: Item[T]) -> None:
        """Record that an item was yielded."""
        if item.key is not None:
            self._keys.add(item.key)

    def enter(self, item: Item[T]) -> None:
        """Record that the work at an item begins, maybe long after the loop has passed it."""
        with self._lock:
            item.entered = self.used = True
            if not item.passed:
                return
            item.passed = False
            self.never_entered -= 1
            wrong, self._counted_as_done = self._counted_as_done, 0
            if item.key is not None and self._passed is not None:
                self._keys.add(item.key)
                self._passed.pop(item.key, None)
        if wrong:
            self._count(-wrong)

    def pass_by(self, item: Item[T]) -> None:
        """Record that the loop is at the next item."""
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
            self._counted_as_done += 1
        self._count(1)

    def _forget_when_dropped(self, key: str, item: Item[T]) -> None:
        if self._passed is None:
            from weakref import WeakValueDictionary  # seldom needed

            self._passed = WeakValueDictionary()
        self._passed[key] = item
        self._keys.discard(key)

    def settle(self, item: Item[T]) -> None:
        """Record that an item has an outcome."""
        if item.key is not None:
            self._keys.discard(item.key)

    def reset(self) -> None:
        """Reset the counts: the loop begins once more."""
        with self._lock:
            self.never_entered = self._counted_as_done = 0

    def repeat(self, key: str) -> None:
        """Count an item with the key of another, which is not done."""
        self._repeated += 1
        self._one_repeated = key

    def remarks(self, name: str, *, keyed: bool, in_loop: bool) -> Iterator[str]:
        """Yield sentences about the items of a job that are not recorded at its end.

        ``in_loop``: the loop was left before its end, where items without an outcome are no mistake.
        """
        if self.never_entered and not in_loop and (keyed or self.used):
            yield (
                f"{quantity(self.never_entered, 'item')} of {name} not recorded: "
                "the work at an item belongs inside `with item:`"
            )
        if self._repeated:
            yield (
                f"{quantity(self._repeated, 'item')} of {name} with the key of another not done, "
                f"one of them {clean(self._one_repeated, 80)}"
            )
