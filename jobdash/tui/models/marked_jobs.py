"""The jobs a person has marked."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from jobdash.domain.job import JobRow
from jobdash.domain.status import Tab, tab_number
from jobdash.operations.job_lookup import Browser, Scope
from jobdash.tui.context import Selection

MARKS_MOST = 50_000
"""Jobs that can be marked, and so acted on, at once."""


class MarkedJobs:
    """The marked jobs, as a set of ids shared with the table."""

    def __init__(self, browser: Browser, ids: set[int]) -> None:
        self._browser = browser
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def toggle(self, ids: Collection[int]) -> bool:
        """Mark jobs, or unmark them when all are marked; returns False when that were too many."""
        if self._ids.issuperset(ids):
            self._ids.difference_update(ids)
        elif len(self._ids.union(ids)) > MARKS_MOST:
            return False
        else:
            self._ids.update(ids)
        return True

    def add_all(self, scope: Scope) -> bool:
        """Mark every job of a scope; returns False when there are more than can be marked."""
        for ids in self._browser.iter_ids(scope):
            for job_id in ids:
                if len(self._ids) >= MARKS_MOST:
                    return False
                self._ids.add(job_id)
        return True

    def clear(self) -> None:
        """Unmark everything."""
        self._ids.clear()

    def forget(self, ids: Iterable[int]) -> None:
        """Unmark jobs that an action has been carried out on."""
        self._ids.difference_update(ids)

    def follow(self, changed: Collection[JobRow], *, complete: bool) -> None:
        """Unmark what was removed; ``complete``: ``changed`` is everything that changed."""
        rows = changed if complete else self._browser.rows(list(self._ids)).values()
        self.forget(row.id for row in rows if row.removed_at is not None)

    def selection(self, scope: Scope, current: tuple[JobRow, ...]) -> Selection:
        """Return the jobs an action is for, as the store has them now: those marked, else those of a row."""
        if not self._ids:
            return Selection(current, False, frozenset())
        rows = self._browser.rows(sorted(self._ids))
        hidden = frozenset(row.id for row in rows.values() if not self._shows(scope, row))
        return Selection(tuple(rows.values()), True, hidden)

    def _shows(self, scope: Scope, row: JobRow) -> bool:
        if scope.filtered:
            return self._browser.matches(row.id, scope)
        number = tab_number(row.status, gone=row.gone, removed=row.removed_at is not None)
        return number >= 0 if scope.tab is Tab.ALL else number == scope.tab.number
