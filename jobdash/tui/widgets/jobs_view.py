"""Tabs, filter, headers and table together: what is looked at, kept live."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message

from jobdash.domain.describe.plan_text import jobs
from jobdash.domain.job import JobRow
from jobdash.domain.status import TAB_OF, Tab
from jobdash.domain.text import clean
from jobdash.operations.job_lookup import Counts, Scope, Sort, SortOrder
from jobdash.tui.commands import Place, bindings
from jobdash.tui.context import DashboardContext, Selection
from jobdash.tui.host import reading
from jobdash.tui.models.job_list import MARKS_MOST, MarkedJobs, ViewState
from jobdash.tui.render import header_footer
from jobdash.tui.render.text import Span
from jobdash.tui.widgets.empty import EmptyState, Words, empty_store_words
from jobdash.tui.widgets.filter_bar import FilterBar
from jobdash.tui.widgets.job_table import JobTable
from jobdash.tui.widgets.line import Line

RESORT_AFTER_MS = 5_000
"""How long nobody touches a key before an order that is a snapshot is sorted again under the first row."""
FAILED_MOST = 200
_CHANGES_MOST = 1_000
_NEWS_MOST = 200
"""Jobs of a tab that its mark is kept for."""


class JobsView(Vertical):
    """The jobs of one tab and filter in one order."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.LIST)

    class Looked(Message):
        """Marks, counts, tab or filter have changed."""

    def __init__(self, context: DashboardContext, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.context = context
        self.browser = context.browser
        self.table = JobTable(
            self.browser, context.clock, context.symbols, context.config.ui.columns, id="table"
        )
        self.bar = FilterBar(context.symbols, id="filter-line")
        self.marks = MarkedJobs(self.browser, self.table.marks)
        self.look_at = ViewState(context, self.table, self.call_later, self.draw_lines)
        self.news: dict[Tab, set[int]] = {}
        """By tab, the jobs that ended in it while another was looked at."""
        self.paused = False
        self.held_changes = 0
        self._version = self.browser.data_version()
        self._last_key_at = 0
        self._width = 0

    def compose(self) -> ComposeResult:
        """Lay out the lines and the table."""
        yield Line(id="tabs")
        yield self.bar
        yield Line(id="header")
        yield self.table
        yield EmptyState(id="empty")

    @property
    def scope(self) -> Scope:
        """The tab and filter."""
        return self.look_at.scope

    @property
    def counts(self) -> Counts:
        """How many jobs there are, as far as they are drawn."""
        return self.look_at.counts

    def on_mount(self) -> None:
        """Show the first page at once."""
        self._fit_accounts()
        self.bar.entry.left = self._filter_left
        self.table.on_home = self._homed
        self.watch(self.table, "plan", self.draw_lines, init=False)
        self.look_at.show()

    def on_unmount(self) -> None:
        """Let no search outlive the screen."""
        self.look_at.stop()

    def fit(self, width: int) -> None:
        """Fit lines and columns to a width of the terminal."""
        self._width = width
        # The gutter is stable: the bar has its cells whether it is shown or not.
        self.table.fit(width - self.table.styles.scrollbar_size_vertical)
        self.draw_lines()

    # ── live ───────────────────────────────────────────────────────────────────────────────────────────────

    def look(self) -> bool:
        """Read what other connections have changed since the last look; returns whether anything had."""
        version = self.browser.data_version()
        if version == self._version:
            self._resort_when_idle()
            return False
        self._version = version
        if self.paused:
            self.held_changes = self.browser.revision() - self.counts.revision
        else:
            self._catch_up()
        return True

    def _catch_up(self) -> None:
        before = self.counts
        now = self.look_at.counts = self.browser.counts()
        self.held_changes = 0
        if before.by_account.keys() != now.by_account.keys():
            self._fit_accounts()
        if before.revision != now.revision:
            self._forget_old_news()
            changed = self._changed(before.revision)
            complete = len(changed) < _CHANGES_MOST
            self.marks.follow(changed, complete=complete)
            self.look_at.follow(changed, complete=complete)
        self.draw_lines()

    def _forget_old_news(self) -> None:
        """Take the mark off a tab when none of its jobs is there any more: undone, removed or retried."""
        for tab, ids in list(self.news.items()):
            rows = self.browser.rows(sorted(ids)).values()
            there = {row.id for row in rows if row.removed_at is None and TAB_OF[row.status] is tab}
            if there:
                self.news[tab] = there
            else:
                del self.news[tab]

    def _changed(self, since: int) -> list[JobRow]:
        if not self.scope.filtered and not self.marks:
            return []
        return self.browser.changed_since(since, _CHANGES_MOST)

    def _resort_when_idle(self) -> None:
        table = self.table
        idle = self.context.clock() - max(self._last_key_at, table.moved_at) > RESORT_AFTER_MS
        if table.moved and table.cursor == 0 and idle and not self.paused:
            self.look_at.show_from_top()

    def draw_ages(self) -> None:
        """Draw the lines whose age or time left reads differently by now."""
        if not self.paused:
            self.table.draw_changes()

    def on_key(self) -> None:
        """Remember that somebody is at the keyboard."""
        self._last_key_at = self.context.clock()

    def _fit_accounts(self) -> None:
        names = [*self.counts.by_account, *(account.name for account in self.context.config.accounts)]
        self.table.fit_accounts(max((len(clean(name)) for name in names), default=7))

    def action_pause(self) -> None:
        """Stop drawing changes, or go on."""
        self.paused = not self.paused
        if not self.paused:
            self._catch_up()
        self.draw_lines()

    # ── what is looked at ──────────────────────────────────────────────────────────────────────────────────

    def action_tab(self, number: int) -> None:
        """Turn to a tab."""
        tab = list(Tab)[number]
        self.news.pop(tab, None)
        self.look_at.turn(tab)

    def action_sort(self) -> None:
        """Sort by the next order."""
        self.look_at.sort_next()

    def action_sort_by(self, order: str) -> None:
        """Sort by an order, or turn it round when it is that already."""
        self.look_at.sort_by(SortOrder(order))

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.look_at.reverse()

    @reading
    def _homed(self) -> None:
        if self.table.moved:
            self.look_at.show_from_top()

    def action_filter(self) -> None:
        """Type a filter."""
        self.bar.open()
        self.draw_lines()

    def action_clear_filter(self) -> None:
        """Take the filter away."""
        self.bar.clear()
        self._look_as_typed()

    @reading
    def _filter_left(self) -> None:
        self._look_as_typed()
        self.screen.set_focus(self.table)
        self.bar.close()
        self.draw_lines()

    @on(FilterBar.Typed)
    @reading
    def _filter_typed(self, event: FilterBar.Typed) -> None:
        self.look_at.filter(event.conditions)

    # ── marks ──────────────────────────────────────────────────────────────────────────────────────────────

    def action_mark(self) -> None:
        """Mark or unmark the job under the cursor, and go to the next one."""
        row = self.table.current
        if row is not None:
            self.marks.toggle(row.id)
            self.table.action_move(1)
            self._marked()

    def settle_filter(self) -> bool:
        """Look through the filter as it is typed by now: keys of one burst act on what stands before them.

        False, and said, when it cannot be read: nothing is done to what it would have kept out.
        """
        mistake = self._look_as_typed()
        if mistake:
            self.notify(f"The filter has a mistake: {mistake}", markup=False, severity="warning")
        return not mistake

    def _look_as_typed(self) -> str | None:
        """Look through the filter as it is typed by now; return the mistake in it, which changes nothing."""
        conditions, mistake = self.bar.read_now()
        if not mistake and self.scope != Scope(self.scope.tab, None if conditions.empty else conditions):
            self.look_at.filter(conditions)
        return mistake

    def action_mark_all(self) -> None:
        """Mark every job of the tab and filter."""
        if not self.settle_filter():
            return
        before = len(self.marks)
        if not self.marks.add_all(self.scope):
            self.notify(f"Marked {MARKS_MOST:,}: no more at once", markup=False, severity="warning")
        elif len(self.marks) == before:
            self.notify("No other job here to mark", markup=False)
        self._marked()

    def action_clear(self) -> None:
        """Clear the marks; when there are none, the filter."""
        if self.marks:
            self.marks.clear()
            self._marked()
        else:
            self.action_clear_filter()

    def forget_marks(self, ids: Iterable[int]) -> None:
        """Unmark jobs that an action has been carried out on."""
        self.marks.forget(ids)
        self._marked()

    def _marked(self) -> None:
        self.table.draw_changes()
        self.draw_lines()

    def with_selection(self, act: Callable[[Selection], None]) -> None:
        """Call with the jobs an action is for, when the filter in front of the key has found them."""
        if not self.settle_filter():
            return
        if self.marks:
            act(self.selection())
        else:
            self.look_at.when_found(lambda: act(self.selection()))

    def selection(self) -> Selection:
        """Return the jobs an action is for, as the store has them now."""
        return self.marks.selection(self.scope, self.table.current)

    def failed_jobs(self) -> list[JobRow]:
        """Return the marked jobs, else those of tab and filter that failed, or completed with failures; as
        many as are asked at once.
        """
        if self.marks:
            return list(self.selection().rows)
        scope = self.scope
        found: list[JobRow] = []
        if scope.tab in {Tab.ALL, Tab.FAILED}:
            failed = Scope(Tab.FAILED, scope.conditions)
            found += self.browser.page(failed, self.look_at.sort, None, FAILED_MOST)
        if scope.tab in {Tab.ALL, Tab.COMPLETED}:
            completed = Scope(Tab.COMPLETED, scope.conditions)
            page = self.browser.page(completed, Sort(SortOrder.FAILED, descending=True), None, FAILED_MOST)
            found += [row for row in page if row.failed]
        return found[:FAILED_MOST]

    # ── lines ──────────────────────────────────────────────────────────────────────────────────────────────

    def tell_news(self, row: JobRow) -> None:
        """Put a mark on the tab that a job has ended in."""
        tab = TAB_OF[row.status]
        if self.scope.tab is not tab:
            ids = self.news.setdefault(tab, set())
            if len(ids) < _NEWS_MOST:
                ids.add(row.id)
            self.draw_lines()

    @reading
    def draw_lines(self) -> None:
        """Draw tabs, filter and headers where they differ."""
        if not self.is_mounted:
            return
        symbols, table, sort = self.context.symbols, self.table, self.look_at.sort
        self.query_one("#tabs", Line).put(
            header_footer.tab_spans(self.counts, self.scope.tab, self.news, self._width, symbols)
        )
        self.query_one("#header", Line).put(header_footer.header_spans(table.plan, sort, symbols))
        self.bar.draw(self._count_spans(), header_footer.sort_spans(table.plan, sort, table.moved, symbols))
        self._draw_empty()
        self.post_message(self.Looked())

    def _count_spans(self) -> list[Span]:
        symbols, spans = self.context.symbols, list[Span]()
        if self.scope.filtered:
            told = self.look_at.matches.told(self.scope)
            of = f"{told} of {self.look_at.total:,}"
            spans.append(Span(of, "text") if told else Span(symbols.more, "muted"))
        if marked := len(self.marks):
            spans += [Span(f" {symbols.dot} " if spans else "", "muted"), Span(f"{marked:,} marked", "mark")]
        return spans

    def _draw_empty(self) -> None:
        empty = self.query_one("#empty", EmptyState)
        is_empty = self.look_at.empty
        if is_empty:
            empty.say(*self._why_empty())
        if empty.display != is_empty:
            empty.display = is_empty
            self.query_one("#header").display = not is_empty

    def _why_empty(self) -> Words:
        if self.bar.mistake:
            return "This filter cannot be read", [self.bar.mistake]
        if self.scope.filtered:
            return "No job matches this filter", ["Escape clears it"]
        if self.counts.total:
            return f"No job is {self.scope.tab} now", [f"0 shows all {jobs(self.counts.total)}"]
        context = self.context
        health = {account.name: account for account in self.browser.accounts()}
        return empty_store_words(context.config, health, context.under_way.found, context.read_only)
