"""The lines of the table of jobs: a family is one row, and an open one has its other members beneath."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jobdash.domain.family import JobFamily
from jobdash.domain.job import JobRow
from jobdash.operations.job_lookup import Browser, Scope, Sort, SortKey
from jobdash.tui.models.windows import FoundRows, RowWindow

_TRIES = 4
"""Attempts to load a far line: where open families are is known once their heads are loaded."""
_CLOSED_MOST = 500
"""Closed families kept in memory."""


class FamilyWindow:
    """The lines ``start`` … ``end`` of a table, in memory: rows of a `RowWindow`, and members of families.

    The rows are those of a scope. Where that is `Scope.folded`, its rows are heads, and an open family has
    its other members in the lines beneath. How many lines stand in front is known by the keys of the heads
    of open families, so that one that is far away needs no place of its own.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._heads = RowWindow(browser)
        self._wanted: set[int] = set()
        """The families that were opened, kept while families are not folded."""
        self._open: dict[int, JobFamily] = {}
        """Of these, those in the list that have something to open."""
        self._closed: dict[int, JobFamily] = {}
        """Read for lines on the screen, until a member changes."""
        self._revision = 0
        """The store's revision that they were read at, or later."""
        self._lines: list[JobRow] = []
        self._places: Sequence[int] = ()
        """Of each line, where its head stands among the loaded ones."""
        self._in_front = 0
        """Lines of members before the loaded ones."""

    @property
    def scope(self) -> Scope:
        """The jobs that are shown."""
        return self._heads.scope

    @property
    def sort(self) -> Sort:
        """Their order."""
        return self._heads.sort

    @property
    def snapshot(self) -> bool:
        """Whether rows keep their lines until sorted again; never where families are folded."""
        return self._heads.snapshot

    @property
    def moved(self) -> int:
        """How many loaded rows would stand on another line by now."""
        return self._heads.moved

    @property
    def total(self) -> int:
        """The number of lines."""
        return self._heads.total + sum(family.size - 1 for family in self._open.values())

    @property
    def start(self) -> int:
        """The index of the first loaded line."""
        return self._heads.start + self._in_front

    @property
    def end(self) -> int:
        """The index after the last loaded line."""
        return self.start + len(self._lines)

    @property
    def rows(self) -> list[JobRow]:
        """The loaded lines."""
        return self._lines

    def row(self, index: int) -> JobRow | None:
        """Return the loaded job at an index."""
        place = index - self.start
        return self._lines[place] if 0 <= place < len(self._lines) else None

    def find(self, job_id: int) -> int | None:
        """Return the index of a loaded job."""
        for place, row in enumerate(self._lines):
            if row.id == job_id:
                return self.start + place
        return None

    def key_of(self, row: JobRow) -> SortKey:
        """Return a row's place in the order shown."""
        return self._heads.key_of(row)

    # ── families ───────────────────────────────────────────────────────────────────────────────────────────

    def family(self, row: JobRow) -> JobFamily | None:
        """Return the family of a head; None for a member beneath it, and for a job alone."""
        if row.family_id is None or row.folded or not self.scope.folded:
            return None
        found = self._open.get(row.family_id)
        if found is None:
            self._read([row])
            found = self._closed.get(row.family_id)
        return found if found is not None and found.size > 1 else None

    def is_open(self, row: JobRow) -> bool:
        """Whether a line belongs to an open family, as its head or as a member."""
        return row.family_id in self._open

    def closed_family(self, row: JobRow) -> JobFamily | None:
        """Return the family that a line alone stands for; None for every other line."""
        return None if self.is_open(row) else self.family(row)

    def stands_for(self, row: JobRow) -> tuple[JobRow, ...]:
        """Return the jobs a line stands for: all members of a closed family, else the job itself."""
        family = self.closed_family(row)
        return (row,) if family is None else family.members

    def head_of(self, row: JobRow) -> JobRow:
        """Return the job whose line a job is on or beneath."""
        if not (row.folded and self.scope.folded and row.family_id is not None):
            return row
        family = self._open.get(row.family_id) or self._browser.families([row.family_id]).get(row.family_id)
        return row if family is None else family.head

    def shown_as(self, row: JobRow) -> JobRow:
        """Return the job on whose line a job is: the head, for a member of a closed family."""
        return row if self.is_open(row) else self.head_of(row)

    def open(self, row: JobRow) -> int:
        """Open the closed family of a line; returns how many members it has, 0 where there is none."""
        family = self.closed_family(row)
        if family is None or row.family_id is None:
            return 0
        self._wanted.add(row.family_id)
        self._open[row.family_id] = self._closed.pop(row.family_id)
        self._lay()
        return family.size

    def close(self, row: JobRow) -> int | None:
        """Close the open family of a line; returns the index of its head, or None where none is open."""
        family = self._open.pop(row.family_id, None) if row.family_id is not None else None
        if family is None or row.family_id is None:
            return None
        self._wanted.discard(row.family_id)
        self._lay()
        return self.find(family.head.id)

    def _read(self, rows: Iterable[JobRow]) -> None:
        """Read the families of lines that are not known."""
        if len(self._closed) > _CLOSED_MOST:
            self._closed.clear()
        known = self._open.keys() | self._closed.keys()
        wanted = {row.family_id for row in rows if row.family_id is not None and not row.folded} - known
        if wanted and self.scope.folded:
            self._closed |= self._browser.families(list(wanted))

    def _follow(self) -> None:
        """Read the open families again, and forget the others of which a member has changed."""
        since, self._revision = self._revision, self._browser.revision()
        changed = self._browser.changed_families(since, _CLOSED_MOST) if self._closed else []
        if len(changed) == _CLOSED_MOST:
            self._closed.clear()
        for family_id in changed:
            self._closed.pop(family_id, None)
        self._open.clear()
        if self._wanted and self.scope.folded:
            found = self._browser.families(list(self._wanted))
            self._open |= {family_id: family for family_id, family in found.items() if family.size > 1}

    def _lay(self) -> None:
        """Build the lines: each head, with the other members of an open family beneath."""
        rows = self._heads.rows
        self._in_front = self._members_in_front(self.key_of(rows[0])) if rows else 0
        if not self._open:
            self._lines, self._places = rows, range(len(rows))
            return
        self._lines, places = [], list[int]()
        for place, row in enumerate(rows):
            family = self._open.get(row.family_id) if row.family_id is not None else None
            below = [] if family is None else [each for each in family.members[1:] if each.id != row.id]
            self._lines += [row, *below]
            places += [place] * (1 + len(below))
        self._places = places

    def _members_in_front(self, key: SortKey) -> int:
        return sum(f.size - 1 for f in self._open.values() if self._is_in_front(self.key_of(f.head), key))

    def _is_in_front(self, one: SortKey, other: SortKey) -> bool:
        a, b = (one.value, one.id), (other.value, other.id)
        return a > b if self.sort.descending else a < b

    # ── loading ────────────────────────────────────────────────────────────────────────────────────────────

    def show(self, scope: Scope, sort: Sort, total: int, found: FoundRows | None = None) -> None:
        """Turn to another scope or order of ``total`` rows; nothing is loaded yet."""
        self._heads.show(scope, sort, total, found)
        self._follow()
        self._lay()

    def resize(self, total: int) -> None:
        """Set the present number of rows."""
        self._heads.total = total

    def load(self, first: int, count: int) -> int:
        """Make the lines ``first`` … ``first + count`` available; returns by how much indexes shifted."""
        shift = 0
        for _ in range(_TRIES):
            first = max(0, min(first, self.total - 1))
            last = min(self.total, first + count)
            if self.start <= first and last <= self.end and self._lines:
                break
            begin = self._head_index(first)
            by = self._heads.load(begin, self._head_index(last - 1) + 1 - begin)
            self._lay()
            shift, first = shift + by, first + by
        place = max(0, first - self.start)
        self._read(self._lines[place : place + count])
        return shift

    def _head_index(self, line: int) -> int:
        """Return the index of the head of a line: exact where it is loaded, an estimate elsewhere."""
        place = line - self.start
        if place < 0:
            return max(0, line - self._in_front)
        if place < len(self._places):
            return self._heads.start + self._places[place]
        return self._heads.end + place - len(self._places)

    def load_around(self, anchor: JobRow | SortKey, place: int, above: int, below: int) -> int:
        """Load lines around a job (or where it stood), ``place`` being the caller's idea of its index.

        Returns the index of the first line not before the anchor; of a member whose family is closed
        by now, that of its head.
        """
        self._follow()
        head = self.head_of(anchor) if isinstance(anchor, JobRow) else anchor
        key = self.key_of(head) if isinstance(head, JobRow) else head
        place = max(0, place - self._members_in_front(key) - self._beneath(anchor))
        index = self._heads.load_around(head, place, above, below)
        self._lay()
        if isinstance(anchor, JobRow) and (found := self.find(anchor.id)) is not None:
            return found
        at = index - self._heads.start
        return self.start + (self._places.index(at) if at in self._places else len(self._lines))

    def _beneath(self, anchor: JobRow | SortKey) -> int:
        """Return how many lines a member stands beneath its head."""
        if not isinstance(anchor, JobRow) or anchor.family_id not in self._open:
            return 0
        ids = [row.id for row in self._open[anchor.family_id].members]
        return ids.index(anchor.id) if anchor.id in ids else 0

    def rebase(self, index: int, exact: int) -> int:
        """Correct the line of a head that is in the place ``exact`` among the heads; returns the shift."""
        return self._heads.rebase(self._head_index(index), exact)

    def refresh_rows(self) -> None:
        """Read the loaded rows again, each staying on its line, as `RowWindow.refresh_rows`."""
        self._heads.refresh_rows()
        self._follow()
        self._lay()

    def count_newcomers(self, total: int, before: int) -> int:
        """Read the loaded rows again; return how many of ``total`` jobs came since this order was taken.

        They have no line in it until it is taken again: an undone removal, or a job that came into the tab.
        ``before`` is how many they were.
        """
        lines, loaded = self.total, len(self.rows)
        self.resize(total)
        self.refresh_rows()
        if self.start == 0 and loaded >= lines:
            return max(0, total - len(self.rows))
        return before + max(0, total - (lines - (loaded - len(self.rows))))
