"""One item of a job, for as long as the script works at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Self, TypeVar

from jobdash.worker.item_encoding import DETAIL_BYTES, detail_json

T = TypeVar("T")


class Item(Generic[T]):
    """One item; ``with item:`` around the work at it tells how it went.

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
        """What the iterable gave."""
        self.key = key
        """The item's key as it is kept; None for a job without keys."""
        self.entered = False
        self.passed = False
        """The loop has gone on without it; somebody else may enter it yet."""
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
