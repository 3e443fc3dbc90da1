"""What is looked at: tab, filter and order, and the table turned to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from jobdash.domain.job import JobRow
from jobdash.domain.status import Tab, tab_number
from jobdash.domain.time import Clock
from jobdash.operations.job_lookup import Browser, Counts, Scope, Sort, SortOrder
from jobdash.tui.context import DashboardContext, Selection
from jobdash.tui.models.filter_search import AGAIN_AFTER, FilterSearch, SearchResult
from jobdash.tui.models.windows import FoundRows
from jobdash.tui.widgets.job_table import JobTable

if TYPE_CHECKING:
    from jobdash.domain.filter.conditions import Conditions

_ORDERS = list(SortOrder)
_ASCENDING = frozenset({SortOrder.NAME, SortOrder.ACCOUNT})


class ViewState:
    """Keeps the table on one scope and order; filters are searched for off the UI thread.

    ``later`` runs a call in the UI thread, from any; ``redraw`` is called when there is something new to say.
    """

    def __init__(
        self,
        context: DashboardContext,
        table: JobTable,
        later: Callable[..., Any],
        redraw: Callable[[], None],
    ) -> None:
        self.scope = Scope()
        self.sort = first_sort(context.config.ui.sort)
        self.counts: Counts = context.browser.counts()
        self.matches = FilterMatches(context.browser, context.clock)
        self._table = table
        self._later = later
        self._redraw = redraw
        self._then: Callable[[], None] | None = None
        """What waits for the search to be answered."""
        self._searcher = FilterSearch(context.open_browser, lambda answer: later(self._found, answer))

    @property
    def total(self) -> int:
        """The jobs of the tab, whatever the filter."""
        return self.counts.by_tab[self.scope.tab]

    @property
    def empty(self) -> bool:
        """Whether it is known that there is nothing to show."""
        answered = not self.scope.filtered or self.matches.answered(self.scope)
        return answered and self._table.window.total == 0

    def when_found(self, then: Callable[[], None]) -> None:
        """Call when the table shows what is looked at; not at all when something else is looked at before."""
        if not self.scope.filtered or self.matches.answered(self.scope):
            then()
        else:
            self._then = then

    def stop(self) -> None:
        """Stop what is being searched."""
        self._searcher.stop()

    def show(self) -> None:
        """Turn the table to what is looked at."""
        self._then = None
        if self.scope.filtered:
            self._search()
            return
        self.matches.clear()
        self._table.show(self.scope, self.sort, self.total)
        self._redraw()
        self._locate()

    def show_from_top(self) -> None:
        """Sort again, and stand on the first row."""
        self._table.touched = False
        self.show()

    def turn(self, tab: Tab) -> None:
        """Look at another tab."""
        self.scope = Scope(tab, self.scope.conditions)
        self.show()

    def filter(self, conditions: Conditions) -> None:
        """Look through another filter."""
        scope = Scope(self.scope.tab, None if conditions.empty else conditions)
        if scope == self.scope:
            self._redraw()
        else:
            self.scope = scope
            self.show()

    def sort_next(self) -> None:
        """Sort by the next order."""
        order = _ORDERS[(_ORDERS.index(self.sort.order) + 1) % len(_ORDERS)]
        self.sort = _natural(order)
        self.show()

    def sort_by(self, order: SortOrder) -> None:
        """Sort by an order, or turn it round when it is that already."""
        if self.sort.order is order:
            self.reverse()
        else:
            self.sort = _natural(order)
            self.show()

    def reverse(self) -> None:
        """Turn the order round."""
        self.sort = Sort(self.sort.order, not self.sort.descending)
        self.show()

    def follow(self, changed: Collection[JobRow], *, complete: bool) -> None:
        """Show what has changed; ``complete`` says that ``changed`` is everything (for a filter)."""
        if not self.scope.filtered:
            self._table.reload(self.total)
            return
        followed = self.matches.follow(self.scope, changed, complete=complete)
        if followed is not None:
            self._table.reload(*followed)
        if self.matches.wants_search():
            self._search()

    def _search(self) -> None:
        self.matches.asked()
        self._searcher.ask(self.scope, self.sort)
        self._redraw()

    def _found(self, answer: SearchResult) -> None:
        if (answer.scope, answer.sort) != (self.scope, self.sort):
            return
        first = self.matches.take(answer)
        found = None if answer.ids is None else FoundRows(answer.ids)
        if first or found is not None:
            self._table.show(self.scope, self.sort, answer.count, found)
        else:
            self._table.reload(answer.count)
        self._redraw()
        then, self._then = self._then, None
        if then is not None:
            then()

    def _locate(self) -> None:
        """Have the place of the cursor counted, where it is far from both ends and only estimated."""
        table, row = self._table, self._table.current
        if row is None or not table.cursor >= table.window.start > 0:
            return
        key, job_id = table.window.key_of(row), row.id
        self._searcher.locate(self.scope, self.sort, key, lambda at: self._later(table.counted, job_id, at))


def _natural(order: SortOrder) -> Sort:
    return Sort(order, order not in _ASCENDING)


def first_sort(setting: str) -> Sort:
    """Return the order a setting names, like ``-name``, ``+total``; created for any other word."""
    word = setting.lstrip("+-")
    order = SortOrder(word) if word in set(SortOrder) else SortOrder.CREATED
    if setting[:1] in "+-" and setting:
        return Sort(order, setting.startswith("-"))
    return _natural(order)


class FilterMatches:
    """The answer of the last search, and what has come of it since."""

    def __init__(self, browser: Browser, clock: Clock) -> None:
        self._browser = browser
        self._clock = clock
        self._answer: SearchResult | None = None
        self._about = False
        self._asked_at = 0

    def asked(self) -> None:
        """Note that a search begins now."""
        self._asked_at = self._clock()
        self._about = False

    def clear(self) -> None:
        """Forget what was found: nothing is filtered any more."""
        self._answer = None
        self._about = False

    def take(self, answer: SearchResult) -> bool:
        """Keep an answer; returns whether it is the first one to its question."""
        before, self._answer = self._answer, answer
        return before is None or (before.scope, before.sort) != (answer.scope, answer.sort)

    def answered(self, scope: Scope) -> bool:
        """Whether the search for a scope has found anything yet, be it nothing."""
        return self._answer is not None and self._answer.scope == scope

    def told(self, scope: Scope) -> str:
        """Return the number of matches: ``214``, ``10,000+`` while it is being counted, ``~214`` when old."""
        if self._answer is None or not self.answered(scope):
            return ""
        return f"{'~' if self._about else ''}{self._answer.count:,}{'' if self._answer.counted else '+'}"

    def follow(
        self, scope: Scope, changed: Collection[JobRow], *, complete: bool
    ) -> tuple[int, FoundRows | None] | None:
        """Match the jobs that changed; returns the new number, and the ids where all are held.

        ``complete`` says that ``changed`` is everything that changed. None while the search is not answered.
        """
        answer = self._answer
        if answer is None or not self.answered(scope):
            return None
        if answer.ids is None:
            self._about = True
            return answer.count, None
        touched = {row.id for row in changed}
        matching = {job_id for job_id in touched if self._browser.matches(job_id, scope)}
        kept = [job_id for job_id in answer.ids if job_id not in touched or job_id in matching]
        new = sorted(matching.difference(kept), reverse=True)
        ids = (*new, *kept)
        self._about = self._about or bool(new) or not complete
        self._answer = SearchResult(answer.scope, answer.sort, ids, len(ids), answer.counted, answer.took)
        return len(ids), FoundRows(ids)

    def wants_search(self) -> bool:
        """Whether what is known is only about right, and looking again is not too dear."""
        took_ms = (self._answer.took if self._answer else 0) * 1000
        return self._about and self._clock() - self._asked_at > AGAIN_AFTER * took_ms


MARKS_MOST = 50_000
"""Jobs that can be marked, and so acted on, at once."""


class MarkedJobs:
    """The marks of one table, whose set of ids they are kept in."""

    def __init__(self, browser: Browser, ids: set[int]) -> None:
        self._browser = browser
        self._ids = ids

    def __len__(self) -> int:
        return len(self._ids)

    def toggle(self, job_id: int) -> None:
        """Mark a job, or unmark it."""
        self._ids ^= {job_id}

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
        """Unmark what was removed; ``complete`` says that ``changed`` is everything that changed."""
        rows = changed if complete else self._browser.rows(list(self._ids)).values()
        self.forget(row.id for row in rows if row.removed_at is not None)

    def selection(self, scope: Scope, current: JobRow | None) -> Selection:
        """Return the jobs an action is for, as the store has them now: those marked, else the current one."""
        if not self._ids:
            return Selection((current,) if current is not None else (), False, frozenset())
        rows = self._browser.rows(sorted(self._ids))
        hidden = frozenset(row.id for row in rows.values() if not self._shows(scope, row))
        return Selection(tuple(rows.values()), True, hidden)

    def _shows(self, scope: Scope, row: JobRow) -> bool:
        if scope.filtered:
            return self._browser.matches(row.id, scope)
        number = tab_number(row.status, gone=row.gone, removed=row.removed_at is not None)
        return number >= 0 if scope.tab is Tab.ALL else number == scope.tab.number
