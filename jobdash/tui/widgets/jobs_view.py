"""Tabs, filter, headers and table together, kept live."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message

from jobdash.domain.describe.plan_text import jobs
from jobdash.domain.money import cost_text
from jobdash.domain.status import Tab
from jobdash.domain.text import clean
from jobdash.operations.job_lookup import Scope
from jobdash.tui.commands import Place, bindings
from jobdash.tui.context import DashboardContext, Selection
from jobdash.tui.host import reports_errors
from jobdash.tui.models.job_list import JobList
from jobdash.tui.models.marked_jobs import MARKS_MOST
from jobdash.tui.render import header_footer
from jobdash.tui.render.text import Span
from jobdash.tui.widgets.empty import EmptyState, Words, empty_store_words
from jobdash.tui.widgets.filter_bar import FilterBar
from jobdash.tui.widgets.job_table import JobTable
from jobdash.tui.widgets.line import Line


class JobsView(Vertical):
    """The jobs of one tab and filter in one order."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.LIST)

    class Changed(Message):
        """Marks, counts, tab or filter have changed."""

    def __init__(self, context: DashboardContext, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.context = context
        self.table = JobTable(
            context.browser, context.clock, context.symbols, context.config.ui.columns, id="table"
        )
        self.bar = FilterBar(context.symbols, id="filter-line")
        self._tabs, self._header, self._empty = Line(id="tabs"), Line(id="header"), EmptyState(id="empty")
        self.model = JobList(context, self.table, self.call_later, self.draw_lines)
        self._last_key_at = 0
        self._width = 0

    def compose(self) -> ComposeResult:
        """Lay out the lines and the table."""
        yield from (self._tabs, self.bar, self._header, self.table, self._empty)

    def on_mount(self) -> None:
        """Show the first page at once."""
        self._fit_accounts()
        self.bar.entry.left = self._filter_left
        self.table.on_home = self._homed
        self.watch(self.table, "plan", self.draw_lines, init=False)
        self.model.show()

    def on_unmount(self) -> None:
        """Stop the search."""
        self.model.stop()

    def fit(self, width: int) -> None:
        """Fit lines and columns to a width of the terminal."""
        self._width = width
        # The gutter is stable: the bar has its cells whether it is shown or not.
        self.table.fit(width - self.table.styles.scrollbar_size_vertical)
        self.draw_lines()

    # ── live ───────────────────────────────────────────────────────────────────────────────────────────────

    def poll(self) -> bool:
        """Read what other connections have changed since the last call; returns whether anything had."""
        changed = self.model.poll(self._last_key_at)
        if changed:
            self._fit_accounts()
        return changed

    def draw_ages(self) -> None:
        """Draw the lines whose age or time left has changed."""
        if not self.model.paused:
            self.table.draw_changes()

    def on_key(self) -> None:
        """Remember when a key was pressed last."""
        self._last_key_at = self.context.clock()

    def _fit_accounts(self) -> None:
        names = [*self.model.counts.by_account, *(account.name for account in self.context.config.accounts)]
        self.table.fit_accounts(max((len(clean(name)) for name in names), default=7))

    def action_pause(self) -> None:
        """Stop drawing changes, or go on."""
        self.model.pause()
        self._fit_accounts()

    # ── tab, filter, order ─────────────────────────────────────────────────────────────────────────────────

    def action_toggle_cost(self) -> None:
        """Show the column COST, or no longer."""
        self.table.toggle_costs()

    def action_tab(self, number: int) -> None:
        """Turn to a tab."""
        self.model.turn(list(Tab)[number])

    def action_sort(self) -> None:
        """Sort by the next order."""
        self.model.sort_next()

    def action_sort_by(self, order: str) -> None:
        """Sort by an order, or turn it round when it is that already."""
        self.model.sort_by(order)

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.model.reverse()

    @reports_errors
    def _homed(self) -> None:
        if self.table.moved:
            self.model.show_from_top()

    def action_filter(self) -> None:
        """Type a filter."""
        self.bar.open()
        self.draw_lines()

    def action_clear_filter(self) -> None:
        """Take the filter away."""
        self.bar.clear()
        self._apply_typed()

    @reports_errors
    def _filter_left(self) -> None:
        self._apply_typed()
        self.screen.set_focus(self.table)
        self.bar.close()
        self.draw_lines()

    @on(FilterBar.Typed)
    @reports_errors
    def _filter_typed(self, event: FilterBar.Typed) -> None:
        self.model.filter(event.conditions)

    # ── marks ──────────────────────────────────────────────────────────────────────────────────────────────

    def action_mark(self) -> None:
        """Mark or unmark the jobs of the row under the cursor, and go to the next one."""
        row = self.table.current
        if row is not None:
            if not self.model.marks.toggle([each.id for each in self.table.window.stands_for(row)]):
                self._marked_most()
            self.table.action_move(1)
            self._marked()

    def settle_filter(self) -> bool:
        """Apply the filter as it is typed by now: keys of one burst act on what was typed before them.

        Returns False, and reports why, when it cannot be read: nothing is done to jobs it would exclude.
        """
        mistake = self._apply_typed()
        if mistake:
            self.notify(f"The filter has a mistake: {mistake}", markup=False, severity="warning")
        return not mistake

    def _apply_typed(self) -> str | None:
        """Apply the filter as it is typed by now; return the mistake in it, which changes nothing."""
        conditions, mistake = self.bar.read_now()
        scope = self.model.scope
        if not mistake and scope != Scope(scope.tab, None if conditions.empty else conditions):
            self.model.filter(conditions)
        return mistake

    def action_mark_all(self) -> None:
        """Mark every job of the tab and filter."""
        if not self.settle_filter():
            return
        before = len(self.model.marks)
        if not self.model.marks.add_all(self.model.scope):
            self._marked_most()
        elif len(self.model.marks) == before:
            self.notify("No other job here to mark", markup=False)
        self._marked()

    def _marked_most(self) -> None:
        self.notify(f"Marked {MARKS_MOST:,}: no more at once", markup=False, severity="warning")

    def action_clear(self) -> None:
        """Clear the marks; when there are none, the filter."""
        if self.model.marks:
            self.model.marks.clear()
            self._marked()
        else:
            self.action_clear_filter()

    def forget_marks(self, ids: Iterable[int]) -> None:
        """Unmark jobs that an action has been carried out on."""
        self.model.marks.forget(ids)
        self._marked()

    def _marked(self) -> None:
        self.model.sum_costs()
        self.table.draw_changes()
        self.draw_lines()

    def with_selection(self, act: Callable[[Selection], None]) -> None:
        """Call with the jobs an action is for, once the filter typed before the key has found them."""
        if not self.settle_filter():
            return
        if self.model.marks:
            act(self.model.selection())
        else:
            self.model.when_found(lambda: act(self.model.selection()))

    # ── lines ──────────────────────────────────────────────────────────────────────────────────────────────

    @reports_errors
    def draw_lines(self) -> None:
        """Draw tabs, filter and headers where they differ."""
        if not self.is_mounted:
            return
        symbols, table, model = self.context.symbols, self.table, self.model
        sort = model.sort
        self._tabs.put(
            header_footer.tab_spans(model.counts, model.scope.tab, model.unseen, self._width, symbols)
        )
        self._header.put(header_footer.header_spans(table.plan, sort, symbols))
        order = header_footer.sort_spans(table.plan, sort, table.moved, symbols)
        self.bar.draw(self._count_spans(), self._cost_spans(), order)
        self._draw_empty()
        self.post_message(self.Changed())

    def _count_spans(self) -> list[Span]:
        symbols, spans = self.context.symbols, list[Span]()
        if self.model.scope.filtered:
            count = self.model.matches.count_text(self.model.scope)
            of = f"{count} of {self.model.total:,}"
            spans.append(Span(of, "text") if count else Span(symbols.more, "muted"))
        if marked := len(self.model.marks):
            spans += [Span(f" {symbols.dot} " if spans else "", "muted"), Span(f"{marked:,} marked", "mark")]
        return spans

    def _cost_spans(self) -> list[Span]:
        total, symbols = self.model.cost, self.context.symbols
        if total is None or total.cost is None:
            return []
        more = "+" if total.unknown else ""
        text = cost_text(total.micros, total.upper_bound, symbols.at_most)
        return [Span(f" {symbols.dot} {text}{more}", "muted")]

    def _draw_empty(self) -> None:
        empty = self._empty
        is_empty = self.model.empty
        if is_empty:
            empty.put(*self._why_empty())
        if empty.display != is_empty:
            empty.display = is_empty
            self._header.display = not is_empty

    def _why_empty(self) -> Words:
        if self.bar.mistake:
            return "This filter cannot be read", [self.bar.mistake]
        if self.model.scope.filtered:
            return "No job matches this filter", ["Escape clears it"]
        if self.model.counts.total:
            return f"No job is {self.model.scope.tab} now", [f"0 shows all {jobs(self.model.counts.total)}"]
        context = self.context
        health = {account.name: account for account in self.context.browser.accounts()}
        return empty_store_words(context.config, health, context.under_way.found, context.read_only)
