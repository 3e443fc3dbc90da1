"""Windows of rows in memory: jobs of an order, read by key, and items of a job, read by place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from jobdash.domain.items import ItemRow, ItemStatus
from jobdash.domain.job import JobRow
from jobdash.domain.status import Tab, tab_number
from jobdash.operations.job_lookup import SORT_ORDERS, Browser, Scope, Sort, SortKey

if TYPE_CHECKING:
    # Not at run time: it imports the code for result files, which the first screen does not read.
    from jobdash.operations.results.item_source import ItemSource

SLACK = 40
"""Rows read beyond those requested, in the direction of travel."""
MOST = 800
"""The most rows kept in memory; the farthest are dropped."""


class FoundRows(NamedTuple):
    """The ids a filter found, in drawn order, in place of pages by key."""

    ids: tuple[int, ...]


class RowWindow:
    """Rows ``start`` … ``start + len(rows)`` of one scope in one order.

    The place of a row far from both ends is an estimate until it is counted (`rebase`); what is loaded is
    always contiguous and exact. A method that finds the estimate wrong returns by how much every index
    shifted; the caller moves its cursor and scroll by the same number, and nothing moves on the screen.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.scope = Scope()
        self.sort = Sort()
        self.total = 0
        self.start = 0
        self.rows: list[JobRow] = []
        self._keys: list[SortKey] = []
        self._found: FoundRows | None = None
        self.moved = 0
        """How many loaded rows would stand on another line by now."""

    @property
    def end(self) -> int:
        """The index after the last loaded row."""
        return self.start + len(self.rows)

    @property
    def snapshot(self) -> bool:
        """Whether rows keep their lines until sorted again, although their keys change."""
        return not SORT_ORDERS[self.sort.order].settled

    def row(self, index: int) -> JobRow | None:
        """Return the loaded row at an index."""
        place = index - self.start
        return self.rows[place] if 0 <= place < len(self.rows) else None

    def find(self, job_id: int) -> int | None:
        """Return the index of a loaded job."""
        for place, row in enumerate(self.rows):
            if row.id == job_id:
                return self.start + place
        return None

    def show(self, scope: Scope, sort: Sort, total: int, found: FoundRows | None = None) -> None:
        """Turn to another scope or order; nothing is loaded yet."""
        self.scope, self.sort, self.total = scope, sort, total
        self._found = found
        self.start = 0
        self.rows, self._keys = [], []
        self.moved = 0

    def key_of(self, row: JobRow) -> SortKey:
        """Return a row's place in the order shown."""
        return self._browser.key_of(row, self.sort)

    def load(self, first: int, count: int) -> int:
        """Make rows ``first`` … ``first + count`` available; returns by how much indexes shifted."""
        first = max(0, min(first, self.total - 1))
        last = min(self.total, first + count)
        if self.start <= first and last <= self.end and self.rows:
            return 0
        if self._found is not None:
            self._load_found(first, last)
            return 0
        if self.rows and self.start <= first <= self.end:
            shift = self._extend_down(last + SLACK - self.end)
        elif self.rows and self.start <= last <= self.end:
            shift = self._extend_up(self.start - first + SLACK)
        else:
            shift = self._jump(first, last)
        self._trim(first + shift, last + shift)
        return shift

    def load_around(self, anchor: JobRow | SortKey, place: int, above: int, below: int) -> int:
        """Load rows around a job (or where it stood), ``place`` being the caller's idea of its index.

        Returns the index of the first row not before the anchor, exact wherever an end was reached.
        """
        if self._found is not None:
            return self._around_found(anchor, place, above, below)
        key = anchor if isinstance(anchor, SortKey) else self.key_of(anchor)
        before = self._browser.page_before(self.scope, self.sort, key, above)
        behind = self.key_of(before[-1]) if before else None
        after = self._browser.page(self.scope, self.sort, behind, below)
        if len(before) < above:
            index = len(before)
        elif len(after) < below:
            index = self.total - len(after)
        else:
            index = max(len(before), min(place, self.total - len(after)))
        self._take(before + after, index - len(before))
        return index

    def rebase(self, index: int, exact: int) -> int:
        """Correct the index of a row to ``exact``; returns the shift.

        A place with which the loaded rows would not fit into the total was counted at another moment, and
        counts for nothing.
        """
        shift = exact - index
        if self._found is not None or self.start + shift < 0 or self.end + shift > self.total:
            return 0
        self.start += shift
        return shift

    def refresh_rows(self) -> None:
        """Read the loaded rows again, each staying on its line; `moved` is how many keys have changed.

        Rows that left the scope go, and the rows after them move up.
        """
        fresh = self._browser.rows([row.id for row in self.rows])
        kept = [
            (row, key)
            for old, key in zip(self.rows, self._keys, strict=True)
            if (row := fresh.get(old.id)) is not None and self._belongs(row)
        ]
        self.total = max(self.total, len(kept))
        self.rows = [row for row, _ in kept]
        self._keys = [key for _, key in kept]
        self.moved = sum(1 for row, key in kept if self.key_of(row) != key)

    def _belongs(self, row: JobRow) -> bool:
        if self.scope.filtered:
            return self._browser.matches(row.id, self.scope)
        if row.removed_at is not None:
            return False
        number = tab_number(row.status, gone=row.gone, removed=False)
        return self.scope.tab is Tab.ALL or self.scope.tab.number == number

    def _take(self, rows: Sequence[JobRow], start: int) -> None:
        self.rows = list(rows)
        self._keys = [self.key_of(row) for row in rows]
        self.start = max(0, start)
        self.total = max(self.total, self.end)

    def _load_found(self, first: int, last: int) -> None:
        assert self._found is not None
        first, last = max(0, first - SLACK), last + SLACK
        ids = self._found.ids[first:last]
        rows = self._browser.rows(ids)
        self._take([rows[job_id] for job_id in ids if job_id in rows], first)

    def _around_found(self, anchor: JobRow | SortKey, place: int, above: int, below: int) -> int:
        assert self._found is not None
        ids = self._found.ids
        index = ids.index(anchor.id) if anchor.id in ids else max(0, min(place, len(ids) - 1))
        self._load_found(max(0, index - above), index + below)
        return index

    def _jump(self, first: int, last: int) -> int:
        first, last = max(0, first - SLACK), min(self.total, last + SLACK)
        limit = last - first
        if first == 0:
            rows = self._browser.page(self.scope, self.sort, None, limit)
        elif last >= self.total:
            rows = self._browser.page_from_end(self.scope, self.sort, limit)
            first = self.total - len(rows)
        else:
            rows = self._browser.page_at(self.scope, self.sort, first, self.total, limit)
        self._take(rows, first)
        return 0

    def _extend_down(self, count: int) -> int:
        more = self._browser.page(self.scope, self.sort, self._keys[-1], count)
        known = {row.id for row in self.rows}
        more_new = [row for row in more if row.id not in known]
        self.rows += more_new
        self._keys += [self.key_of(row) for row in more_new]
        if len(more) < count:
            if self.start == 0:
                # Both ends are here: what the total counts besides came between rows that keep their lines.
                self.total = self.end
            shift = self.total - self.end
            self.start = max(0, self.start + shift)
            return shift
        return 0

    def _extend_up(self, count: int) -> int:
        more = self._browser.page_before(self.scope, self.sort, self._keys[0], count)
        known = {row.id for row in self.rows}
        more_new = [row for row in more if row.id not in known]
        self.rows[:0] = more_new
        self._keys[:0] = [self.key_of(row) for row in more_new]
        self.start -= len(more_new)
        if len(more) < count or self.start < 0:
            shift = -self.start
            self.start = 0
            return shift
        return 0

    def _trim(self, first: int, last: int) -> None:
        if len(self.rows) <= MOST:
            return
        low = max(0, first - self.start - MOST // 3)
        high = min(len(self.rows), last - self.start + MOST // 3)
        self.rows = self.rows[low:high]
        self._keys = self._keys[low:high]
        self.start += low


_ITEM_SLACK = 60
"""Items read above and below those requested."""


class ItemWindow:
    """Items ``start`` … ``start + len(items)`` of one job, all or those of one outcome.

    Of all items of a script the place is the ``seq``, which is dense; else the source knows it.
    """

    def __init__(self, source: ItemSource) -> None:
        self.source = source
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
            first = self.source.position(self.outcome, anchor.seq)
        first = max(0, min(first, total - count))
        self._read(first, count)
        return first

    def _read(self, first: int, count: int) -> None:
        self.start = max(0, first - _ITEM_SLACK)
        limit = first + count + _ITEM_SLACK - self.start
        self.items = self.source.at(self.outcome, self.start, self.total, limit)
