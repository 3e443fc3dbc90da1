"""The main screen: every job in one table, and the keys that act on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.geometry import Size
from textual.widget import Widget

from jobdash.domain.describe import plan_text
from jobdash.domain.job import AccountHealth, JobRow
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.text import clean
from jobdash.domain.time import MINUTE
from jobdash.errors import StoreError
from jobdash.operations.accounts.keys import with_others
from jobdash.operations.attention import unusable_health
from jobdash.operations.ended_jobs import SCRIPTS, EndedJobs
from jobdash.tui.commands import BY_ID, Place, bindings
from jobdash.tui.context import DashboardContext, Selection
from jobdash.tui.host import reports_errors
from jobdash.tui.messages import StoreFailed, Synced, SyncSummary
from jobdash.tui.models.attention import AttentionModel
from jobdash.tui.models.banner import Banner
from jobdash.tui.render import header_footer
from jobdash.tui.render.text import Span
from jobdash.tui.screens.action_screen import ActionScreen
from jobdash.tui.screens.current_job import CurrentJob
from jobdash.tui.widgets.job_table import JobTable
from jobdash.tui.widgets.jobs_view import JobsView
from jobdash.tui.widgets.line import Line

TALL = 30
"""Lines from which on there is room for empty ones."""
POLL_EVERY = 0.25
"""Seconds between two polls of the store."""
_AGES_YOUNG, _AGES_OLD = 1.0, 15.0
"""Seconds between two drawings of ages, with and without something younger than a minute in sight."""


class MainScreen(ActionScreen):
    """The table of all jobs between the lines about accounts and the current job."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.MAIN)
    place = Place.MAIN

    def __init__(self, context: DashboardContext) -> None:
        super().__init__(context)
        self.view = JobsView(context, id="jobs")
        """The list of jobs, with its filter and headers."""
        self._accounts, self._banner = Line(id="accounts"), Line(id="banner")
        self.banner = Banner(self._put_banner)
        self.current_job = CurrentJob(context, self.view.table)
        self._schema = context.browser.schema_version()
        self._ended = EndedJobs(context.browser, SCRIPTS)
        self.attention = AttentionModel(context.open_browser, context.config, context.clock)
        self._attention_shown = 0
        self._replaced = False
        self._width = 0
        self._health: dict[str, AccountHealth] = {}
        self._unusable = unusable_health(context.config.unusable)
        self._ages_at = 0.0
        self._tick: asyncio.TimerHandle | None = None
        self._fetching = False
        """Whether the last poll drew how far a fetch is."""

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        # While it is empty: to change it later has the styles of all that is in it computed again.
        self._fit_height(self.app.size)
        yield from (self._accounts, self._banner, self.view, self.current_job.rule, *self.current_job.lines)

    def on_mount(self) -> None:
        """Start polling the store."""
        self._accounts.over = "bar"
        self.view.table.focus()
        self.view.table.on_row = self._draw_details
        self.view.table.on_move = self._draw_move
        unusable = self.context.config.unusable
        wrong = [str(account) for account in unusable]
        if len(wrong) > 1:
            names = ", ".join(account.name for account in unusable)
            key = BY_ID["tab.attention"].key_name(self.app.own_keymap)
            wrong = [f"{len(unusable)} accounts are not used: {names}; {key} says why"]
        wrong += map(str, self.context.config.faulty)
        if self.context.read_only:
            wrong.insert(0, f"{self.context.read_only}; nothing can be changed")
        self.show_banner("; ".join(wrong))
        # Everything is put before the first layout: the first paint is the whole screen.
        self.fit(self.app.size)
        self._schedule()
        self.call_after_refresh(self.app.first_rows_drawn)

    def on_unmount(self) -> None:
        """Stop polling."""
        if self._tick is not None:
            self._tick.cancel()

    def on_resize(self, event: events.Resize) -> None:
        """Fit the lines to the new size."""
        self.fit(event.size)

    def on_screen_resume(self) -> None:
        """Fit the lines again when the terminal has changed behind another screen."""
        if self.is_mounted and self.app.size.width != self._width:
            self.fit(self.app.size)

    def fit(self, size: Size) -> None:
        """Draw for a size of the terminal; where there is room, the lines at the top stand apart."""
        self._width = size.width
        self._fit_height(size)
        self.view.fit(size.width)
        self.current_job.fit(size.width)
        self.draw()

    def _fit_height(self, size: Size) -> None:
        self.set_class(size.height >= TALL, "-tall")

    # ── live ───────────────────────────────────────────────────────────────────────────────────────────────

    def _schedule(self) -> None:
        # A plain timer of the loop: a Textual timer posts messages, which an idle screen would pay for.
        self._tick = asyncio.get_running_loop().call_later(POLL_EVERY, self._poll)

    @reports_errors
    def _poll(self) -> None:
        self._schedule()
        now = asyncio.get_running_loop().time()
        self._check_file()
        if self.banner.show_away_since(self.context.browser.away_since):
            return
        if self.attention.due(now):
            self._read_attention()
        if self.attention.version != self._attention_shown:
            self._attention_shown = self.attention.version
            self.view.model.attention_changed()
            self._draw_accounts()
        if self.view.poll():
            self.banner.show_text_again()
            self.attention.changed()
            self._check_schema()
            self._post_ended()
            self.draw()
        elif now >= self._ages_at:
            self.view.draw_ages()
            self._draw_accounts()
            self._draw_details()
            self._ages_at = now + (_AGES_YOUNG if self._anything_young() else _AGES_OLD)
        elif self.context.under_way.fetching or self._fetching:
            self._fetching = bool(self.context.under_way.fetching)
            self._draw_details()
        self.current_job.read_ahead()

    def _post_ended(self) -> None:
        """Post which scripts have ended since the last poll."""
        rows = self._ended.since()
        if rows:
            self.app.post_message(Synced(SyncSummary(LOCAL, finished=rows)))

    @work(group="attention", exit_on_error=False)
    async def _read_attention(self) -> None:
        await self.attention.read()

    def _check_schema(self) -> None:
        """Write no more once a newer jobdash has taken the store over."""
        if self._schema != self.context.browser.schema_version() and not self._replaced:
            self._replaced = True
            self.app.post_message(StoreFailed("the store was upgraded by a newer jobdash; restart"))

    def _check_file(self) -> None:
        """Write no more once the store was deleted, moved or replaced: writes would be lost."""
        if not self._replaced:
            try:
                self.context.browser.refuse_replaced()
            except StoreError as error:
                self._replaced = True
                self.app.post_message(StoreFailed(str(error)))

    def _anything_young(self) -> bool:
        now = self.context.clock()
        rows = self.view.table.visible_rows
        # A lease that runs out is seen at once.
        return any(now - row.created_at < MINUTE or (row.lease_until or 0) > now for row in rows)

    # ── lines ──────────────────────────────────────────────────────────────────────────────────────────────

    def show_banner(self, text: str) -> None:
        """Show a text above the tabs that stays; an empty one takes it away."""
        self.banner.show_text(text)

    def _put_banner(self, text: str) -> None:
        self._banner.put([Span(f" {clean(text)} ", "badge")] if text else [])
        self._banner.display = bool(text)

    @on(JobsView.Changed)
    @reports_errors
    def draw(self) -> None:
        """Draw every line around the table where it differs."""
        self._draw_accounts()
        self._draw_details()

    def _draw_accounts(self) -> None:
        context, view = self.context, self.view
        symbols, now = context.symbols, context.clock()
        left = [Span(" jobdash ", "chip")]
        if context.demo:
            left += [Span(" DEMO ", "badge")]
        total = f"{view.model.counts.total:,} job{'' if view.model.counts.total == 1 else 's'} "
        right = [Span(total, "muted")]
        if view.model.paused:
            held = f"{view.model.held_changes:,} change{'' if view.model.held_changes == 1 else 's'}"
            right = [Span(f"{symbols.paused} paused, {held} {symbols.dot} ", "warning"), *right]
        key = BY_ID["tab.attention"].key_name(self.app.own_keymap)
        right = [*self._run_spans(), *right]
        room = self._width - sum(span.cells for span in [*left, *right]) - 1
        names = [*(account.name for account in context.config.accounts), *self._unusable]
        found = len(self.attention.found)
        right = [*header_footer.attention_spans(found, key, symbols, room, names), *right]
        room = self._width - sum(span.cells for span in [*left, *right]) - 1
        asked = {account.name: account for account in context.browser.accounts()}
        context.config = with_others(context.config, asked.values(), now)
        view.table.others = frozenset(other.name for other in context.config.others)
        health = self._health = asked | self._unusable
        left += header_footer.account_spans(
            names, health, context.under_way, now, symbols, room, context.read_only
        )
        self._accounts.put(left, right)

    @reports_errors
    def draw_runs(self) -> None:
        """Draw how far a hidden run is."""
        self._draw_accounts()

    def _run_spans(self) -> list[Span]:
        hidden = self.app.runs.out_of_sight
        if not hidden:
            return []
        run, more = hidden[0], f" +{len(hidden) - 1}" if len(hidden) > 1 else ""
        progress = f"{plan_text.doing(run.plan)} {min(run.done, run.total):,}/{run.total:,}{more} "
        return [Span(progress, "accent", "show_run"), Span(f"{self.context.symbols.dot} ", "muted")]

    @reports_errors
    def _draw_details(self) -> None:
        self.current_job.draw(self._health)

    def _draw_move(self) -> None:
        table = self.view.table
        self.draw_at_once(table, table.vertical_scrollbar, *self.current_job.lines)

    # ── acting ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def current(self) -> JobRow | None:
        """The job under the cursor."""
        return self.view.table.current

    def with_selection(self, act: Callable[[Selection], None]) -> None:
        """Call with the marked jobs, else the current one."""
        self.view.with_selection(act)

    def namespace_of(self, action: str) -> Widget:
        """Return the widget that has the method of an action."""
        return self.view if hasattr(self.view, f"action_{action.partition('(')[0]}") else self

    def action_copy(self, field: str) -> None:
        """Copy an id of the job under the cursor."""
        if self.current is None:
            self.app.notify(plan_text.NO_JOB, severity="warning")
        super().action_copy(field)

    def action_cancel_all(self) -> None:
        """Cancel everything unfinished in tab and filter."""
        view, flows = self.view, self.app.flows
        if flows.may_begin() and view.settle_filter():
            flows.cancel_all(view.model.scope, marked=bool(view.model.marks))

    def action_export(self) -> None:
        """Write the jobs of tab and filter into a file."""
        if self.view.settle_filter():
            self.app.flows.export(self.view.model.scope, self.view.model.sort)

    def action_ask_errors(self) -> None:
        """Ask again for the error details of the marked jobs, else of all failed ones shown."""
        if self.view.model.marks or self.view.settle_filter():
            self.app.flows.ask_errors(self.view.model.failed_jobs())

    def action_submit(self) -> None:
        """Choose a file, check it, and submit it."""
        self.app.flows.submit()

    def action_undo(self) -> None:
        """Show what can be undone, and ask."""
        self.app.flows.undo()

    def action_show_run(self) -> None:
        """Show the dialog of a running action again."""
        self.app.flows.show_run()

    def action_open(self) -> None:
        """Open the job under the cursor."""
        if self.current is not None:
            self.open_job(self.current)

    @on(JobTable.Opened)
    def _opened(self, event: JobTable.Opened) -> None:
        self.open_job(event.row)

    def open_job(self, row: JobRow) -> None:
        """Open a job's own screen."""
        from jobdash.tui.screens.job import JobScreen

        self.app.push_screen(JobScreen(row.id, self.context))
