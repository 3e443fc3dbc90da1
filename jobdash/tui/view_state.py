"""What is looked at: tab, filter and order, and the table turned to it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from jobdash.domain.job import JobRow
from jobdash.domain.status import Tab
from jobdash.operations.job_lookup import Counts, Scope, Sort, SortOrder
from jobdash.tui.context import DashboardContext
from jobdash.tui.filter_matches import FilterMatches
from jobdash.tui.filter_search import FilterSearch, SearchResult
from jobdash.tui.row_window import FoundRows
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
