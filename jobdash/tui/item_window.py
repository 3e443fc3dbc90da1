"""The stretch of a job's items that is in memory, read by place: the millionth costs what the first does."""

from __future__ import annotations

from jobdash.domain.items import ItemRow, ItemStatus
from jobdash.operations.job_lookup import Browser

SLACK = 60
"""Items read above and below what is asked for."""


class ItemWindow:
    """Items ``start`` … ``start + len(items)`` of one job, all or those of one outcome.

    Of all items the place is the ``seq``, which is dense; of one outcome the store counts it from the nearer
    end.
    """

    def __init__(self, browser: Browser, job_id: int) -> None:
        self._browser = browser
        self._job_id = job_id
        self.outcome: ItemStatus | None = None
        self.total = 0
        self.start = 0
        self.items: list[ItemRow] = []

    def show(self, outcome: ItemStatus | None, total: int) -> None:
        """Turn to an outcome; nothing is loaded yet."""
        self.outcome, self.total = outcome, total
        self.start, self.items = 0, []

    def item(self, index: int) -> ItemRow | None:
        """Return the loaded item at an index."""
        place = index - self.start
        return self.items[place] if 0 <= place < len(self.items) else None

    def load(self, first: int, count: int) -> None:
        """Make items ``first`` … ``first + count`` available."""
        last = min(self.total, first + count)
        if not (self.start <= first and last <= self.start + len(self.items)):
            self._read(first, count)

    def reload(self, total: int, first: int, count: int) -> int:
        """Read again what is shown, ``first`` being the first line; returns the index that line has now."""
        anchor = self.item(first)
        self.total = total
        if self.outcome is not None and anchor is not None and first:
            first = self._browser.item_position(self._job_id, self.outcome, anchor.seq)
        first = max(0, min(first, total - count))
        self._read(first, count)
        return first

    def _read(self, first: int, count: int) -> None:
        self.start = max(0, first - SLACK)
        limit = first + count + SLACK - self.start
        self.items = self._browser.items_at(self._job_id, self.outcome, self.start, self.total, limit)
