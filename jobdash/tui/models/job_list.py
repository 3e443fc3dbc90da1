"""The list of jobs without its widgets: tab, filter, order, marks, and tabs with jobs that ended unseen."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Protocol

from jobdash.domain.job import JobRow
from jobdash.domain.status import TAB_OF, Tab
from jobdash.operations.job_lookup import SORT_ORDERS, Counts, Scope, Sort
from jobdash.tui.context import DashboardContext, Selection
from jobdash.tui.models.families import FamilyWindow
from jobdash.tui.models.filter_search import FilterMatches, FilterSearch, SearchResult
from jobdash.tui.models.marked_jobs import MarkedJobs
from jobdash.tui.models.windows import FoundRows

if TYPE_CHECKING:
    from jobdash.domain.cost import CostTotal
    from jobdash.domain.filter.conditions import Conditions

RESORT_AFTER_MS = 5_000
"""Time without a key after which an order that is a snapshot is sorted again under the first row."""
FAILED_MOST = 200
_CHANGES_MOST = 1_000
_UNSEEN_MOST = 200
"""The most jobs of a tab that its mark is kept for."""
_ORDERS = list(SORT_ORDERS)


class JobDisplay(Protocol):
    """The display of a list of jobs: rows in lines, with a cursor."""

    window: FamilyWindow
    marks: set[int]
    cursor: int
    touched: bool
    """A person has moved in it."""
    moved_at: int
    """When a person last did, milliseconds UTC."""
    moved: int
    """In an order that is a snapshot: rows that would stand elsewhere by now."""

    @property
    def current(self) -> JobRow | None:
        """The job under the cursor."""

    def show(self, scope: Scope, sort: Sort, total: int, found: FoundRows | None = None) -> None:
        """Turn to another scope or order."""

    def reload(self, total: int, found: FoundRows | None = None) -> None:
        """Read the visible rows again."""

    def counted(self, job_id: int, exact: int) -> None:
        """Correct the index of a job to its exact one."""


class JobList:
    """Tab, filter, order, marks and unseen ends; keeps a display on them, and follows the store.

    Filters are searched for off the UI thread. ``later`` runs a call in the UI thread, from any; ``redraw``
    is called when what stands around the display has changed.
    """

    def __init__(
        self,
        context: DashboardContext,
        display: JobDisplay,
        later: Callable[..., Any],
        redraw: Callable[[], None],
    ) -> None:
        self.browser = context.browser
        self.scope = Scope()
        self.sort = first_sort(context.config.ui.sort)
        self.counts: Counts = self.browser.counts()
        self.matches = FilterMatches(self.browser, context.clock)
        self.marks = MarkedJobs(self.browser, display.marks)
        self.unseen: dict[Tab, set[int]] = {}
        """By tab, the jobs that ended in it while another was shown."""
        self.paused = False
        self.cost: CostTotal | None = None
        """The cost of the marked jobs, else of those that pass the filter; None where that is not summed."""
        self.held_changes = 0
        """While paused, the number of changes that are not shown."""
        self._display = display
        self._clock = context.clock
        self._later = later
        self._redraw = redraw
        self._version = self.browser.data_version()
        self._then: Callable[[], None] | None = None
        """Waits for the search to end."""
        self._searcher = FilterSearch(context.open_browser, lambda answer: later(self._found, answer))

    @property
    def total(self) -> int:
        """The jobs of the tab, whatever the filter."""
        return self.counts.by_tab[self.scope.tab]

    @property
    def listed(self) -> Scope:
        """The scope as it is listed: in the tab All, without a filter, a family is one row, its head's.

        This is so in orders whose key never changes in the life of a job. In the others a job is placed by a
        value of its own, which differs from the sum over its family: there each job is a row of its own.
        While there is no family, both have the same rows, and those of one index.
        """
        alike = SORT_ORDERS[self.sort.order].settled or not self.counts.folded
        return self.scope._replace(folded=alike and self.scope.tab is Tab.ALL and not self.scope.filtered)

    @property
    def _rows(self) -> int:
        """The rows of the tab, whatever the filter; families that are open have more lines."""
        return self.total - (self.counts.folded if self.listed.folded else 0)

    @property
    def empty(self) -> bool:
        """Whether it is known that there is nothing to show."""
        answered = not self.scope.filtered or self.matches.answered(self.scope)
        return answered and self._display.window.total == 0

    def stop(self) -> None:
        """Stop the search."""
        self._searcher.stop()

    # ── following the store ────────────────────────────────────────────────────────────────────────────────

    def poll(self, last_key_at: int) -> bool:
        """Read what other connections have changed since the last call; returns whether anything had."""
        version = self.browser.data_version()
        if version == self._version:
            self._resort_when_idle(last_key_at)
            return False
        self._version = version
        if self.paused:
            self.held_changes = self.browser.revision() - self.counts.revision
        else:
            self._catch_up()
        return True

    def pause(self) -> None:
        """Show no changes any more, or show them again."""
        self.paused = not self.paused
        if not self.paused:
            self._catch_up()
        self._redraw()

    def _catch_up(self) -> None:
        before, self.counts = self.counts, self.browser.counts()
        self.held_changes = 0
        if before.stamp != self.counts.stamp:
            self._unmark_tabs()
            watched = self.scope.filtered or self.marks
            changed = self.browser.changed_since(before.revision, _CHANGES_MOST) if watched else []
            complete = len(changed) < _CHANGES_MOST
            self.marks.follow(changed, complete=complete)
            self._follow(changed, complete=complete)
            if self.marks or self.matches.ids is not None:  # else a sum reads the whole store
                self.sum_costs()
        self._redraw()

    def _follow(self, changed: Collection[JobRow], *, complete: bool) -> None:
        """Show what has changed; ``complete``: ``changed`` is everything that changed."""
        if not self.scope.filtered:
            if self._display.window.scope == self.listed:
                self._display.reload(self._rows)
            else:  # the first family, or no more
                self._display.show(self.listed, self.sort, self._rows)
            return
        followed = self.matches.follow(self.scope, changed, complete=complete)
        if followed is not None:
            self._display.reload(*followed)
        if self.matches.wants_search():
            self._search()

    def _resort_when_idle(self, last_key_at: int) -> None:
        display = self._display
        idle = self._clock() - max(last_key_at, display.moved_at) > RESORT_AFTER_MS
        if display.moved and display.cursor == 0 and idle and not self.paused:
            self.show_from_top()

    def mark_tab(self, row: JobRow) -> None:
        """Put a mark on the tab that a job has ended in."""
        tab = TAB_OF[row.status]
        if self.scope.tab is not tab:
            ids = self.unseen.setdefault(tab, set())
            if len(ids) < _UNSEEN_MOST:
                ids.add(row.id)
            self._redraw()

    def attention_changed(self) -> None:
        """Search again where the filter asks which jobs need attention: by time alone no job changes."""
        conditions = self.scope.conditions
        if conditions is not None and conditions.attention and not self.paused:
            self._search()

    def _unmark_tabs(self) -> None:
        """Take the mark off a tab when none of its jobs is there any more: undone, removed or retried."""
        for tab, ids in list(self.unseen.items()):
            rows = self.browser.rows(sorted(ids)).values()
            there = {row.id for row in rows if row.removed_at is None and TAB_OF[row.status] is tab}
            if there:
                self.unseen[tab] = there
            else:
                del self.unseen[tab]

    # ── tab, filter, order ─────────────────────────────────────────────────────────────────────────────────

    def show(self) -> None:
        """Turn the display to the tab, filter and order."""
        self._then = None
        if not self.marks:
            self.cost = None
        if self.scope.filtered:
            self._search()
            return
        self.matches.clear()
        self._display.show(self.listed, self.sort, self._rows)
        self._redraw()
        self._locate()
        self.sum_costs()

    def show_from_top(self) -> None:
        """Sort again, with the cursor on the first row."""
        self._display.touched = False
        self.show()

    def turn(self, tab: Tab) -> None:
        """Show another tab."""
        self.unseen.pop(tab, None)
        self.scope = Scope(tab, self.scope.conditions)
        self.show()

    def filter(self, conditions: Conditions) -> None:
        """Apply another filter."""
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

    def sort_by(self, order: str) -> None:
        """Sort by an order, or turn it round when it is that already."""
        if self.sort.order == order:
            self.reverse()
        else:
            self.sort = _natural(order)
            self.show()

    def reverse(self) -> None:
        """Turn the order round."""
        self.sort = Sort(self.sort.order, not self.sort.descending)
        self.show()

    def when_found(self, then: Callable[[], None]) -> None:
        """Call when the matches of the filter are shown; not at all when something else is shown before."""
        if not self.scope.filtered or self.matches.answered(self.scope):
            then()
        else:
            self._then = then

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
            self._display.show(self.scope, self.sort, answer.count, found)
        else:
            self._display.reload(answer.count)
        self.sum_costs()
        self._redraw()
        then, self._then = self._then, None
        if then is not None:
            then()

    def sum_costs(self) -> None:
        """Have the costs of the marked jobs summed, else those of the jobs that pass the filter."""
        ids = tuple(self._display.marks) or self.matches.ids
        if not self.marks and not (self.scope.filtered and self.matches.counted(self.scope)):
            self.cost = None
            return
        asked = (self.scope, len(self.marks))
        self._searcher.sum_costs(self.scope, ids, lambda total: self._later(self._summed, asked, total))

    def _summed(self, asked: tuple[Scope, int], total: CostTotal) -> None:
        if asked == (self.scope, len(self.marks)):
            self.cost = total
            self._redraw()

    def _locate(self) -> None:
        """Have the place of the cursor counted, where it is far from both ends and only estimated."""
        display, row = self._display, self._display.current
        if row is None or not display.cursor >= display.window.start > 0:
            return
        head = display.window.head_of(row)
        key, scope = display.window.key_of(head), display.window.scope
        self._searcher.locate(scope, self.sort, key, lambda at: self._later(display.counted, head.id, at))

    # ── what actions are for ───────────────────────────────────────────────────────────────────────────────

    def selection(self) -> Selection:
        """Return the jobs an action is for, as the store has them now."""
        current = self._display.current
        rows = () if current is None else self._display.window.stands_for(current)
        return self.marks.selection(self.scope, rows)

    def failed_jobs(self) -> list[JobRow]:
        """Return the marked jobs, else those of tab and filter that failed, or completed with failures.

        No more than are asked about at once.
        """
        if self.marks:
            return list(self.selection().rows)
        scope = self.scope
        found: list[JobRow] = []
        if scope.tab in {Tab.ALL, Tab.FAILED}:
            failed = Scope(Tab.FAILED, scope.conditions)
            found += self.browser.page(failed, self.sort, None, FAILED_MOST)
        if scope.tab in {Tab.ALL, Tab.COMPLETED}:
            completed = Scope(Tab.COMPLETED, scope.conditions)
            page = self.browser.page(completed, Sort("failed"), None, FAILED_MOST)
            found += [row for row in page if row.failed]
        return found[:FAILED_MOST]


def _natural(order: str) -> Sort:
    return Sort(order, not SORT_ORDERS[order].ascending)


def first_sort(setting: str) -> Sort:
    """Return the order a setting names, like ``-name``, ``+total``; created for any other word."""
    word = setting.lstrip("+-")
    order = word if word in SORT_ORDERS else "created"
    if setting[:1] in "+-" and setting:
        return Sort(order, setting.startswith("-"))
    return _natural(order)
