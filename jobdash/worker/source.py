"""What a job goes through: how much of it lies there, and pulling it piece by piece."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")
_LOOK_AHEAD = 256


class ItemSource(Generic[T]):
    """An iterable, and how far a loop has come in it."""

    def __init__(self, values: Iterable[T]) -> None:
        self.values = values
        self.pulled = 0
        """Items that the loop has taken, done already or not."""
        self.lies_there = lies_there(values)
        """Whether it is there as a whole and can be gone through again."""
        self._known = self.length() or 0

    def length(self) -> int | None:
        """Return how many items there are now; None where they come as they come."""
        return length(self.values) if self.lies_there else None

    def all_pulled(self) -> bool:
        """Whether nothing comes behind the item that the loop is at."""
        there = self.length()
        return there is not None and 0 < there <= self.pulled

    def grown(self) -> int:
        """Return how many items were appended since this was last asked."""
        there = self.length() or 0
        more, self._known = there - self._known, there
        return max(0, more)

    def pieces(self) -> Iterator[list[T]]:
        """Yield what is to come, in pieces of at most some hundreds.

        Only what lies there anyway is looked at ahead: pulling from a generator may do things, and the
        iterator of a list that was asked beyond its end gives nothing of what is appended later.
        """
        rest = iter(self.values)
        while piece := list(islice(rest, self._ahead())):
            yield piece

    def _ahead(self) -> int:
        there = self.length()
        return 1 if there is None else max(1, min(_LOOK_AHEAD, there - self.pulled))


def length(values: object) -> int | None:
    """Return how many items lie there; None for what cannot tell, or has more than can be counted."""
    try:
        return len(cast("Any", values))
    except Exception:  # noqa: BLE001 - a `__len__` of the script's own
        return None


def lies_there(values: object) -> bool:
    """Whether something is there as a whole, and can be gone through again."""
    return isinstance(values, Collection) and not isinstance(values, Iterator) and length(values) is not None
