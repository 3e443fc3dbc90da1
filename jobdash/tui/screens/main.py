"""The main screen: every job in one table, and the keys that act on them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size

from jobdash.domain.describe import plan_text
from jobdash.domain.describe.job_text import waits_for_script
from jobdash.domain.job import LOCAL, AccountHealth, JobRow
from jobdash.domain.plan import Action, Choices
from jobdash.domain.text import clean
from jobdash.domain.time import MINUTE
from jobdash.errors import StoreError
from jobdash.tui import header_footer
from jobdash.tui.context import Context
from jobdash.tui.ended_scripts import EndedScripts
from jobdash.tui.error_guard import reading
from jobdash.tui.exact_updates import ExactScreen
from jobdash.tui.footer_keys import Footer, bindings_by_id
from jobdash.tui.messages import Synced, SyncNews
from jobdash.tui.script_job_summary import error_groups, start_failure
from jobdash.tui.widgets.job_table import JobTable
from jobdash.tui.widgets.jobs_view import JobsView
from jobdash.tui.widgets.line import Line, Span

if TYPE_CHECKING:
    from jobdash.tui.app import JobdashApp

TALL = 30
"""Lines from which on there is room for empty ones."""
_ERRORS_KEPT = 64
_ITEM_ERRORS = 300
"""Errors of a local job that are looked at for the detail line."""
LOOK_EVERY = 0.25
"""Seconds between two looks at the store."""
_AGES_YOUNG, _AGES_OLD = 1.0, 15.0
"""Seconds between two looks at the clock, with and without something younger than a minute in sight."""


class MainScreen(ExactScreen):
    """One live table of all jobs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "cancel", "Cancel", id="job.cancel", tooltip="Cancel the marked jobs, else this one"),
        Binding(
            "C", "cancel_all", "Cancel all pending", id="job.cancel_all", tooltip="Cancel all unfinished"
        ),
        Binding("f", "force_fail", "Force-fail", id="job.force_fail", tooltip="Mark it failed here"),
        Binding("r", "retry", "Retry", id="job.retry", tooltip="Let a script's job do what is not done"),
        Binding("x", "remove", "Remove", id="job.remove", tooltip="Remove finished jobs"),
        Binding(
            "X", "cancel_delete", "Cancel & delete", id="job.cancel_delete", tooltip="Cancel, then remove"
        ),
        Binding(
            "d", "fetch", "Fetch", id="job.fetch", tooltip="Write the results of a script's job into a file"
        ),
        Binding("enter", "open", "Open", key_display="enter", id="job.open", tooltip="All about this job"),
        Binding("u", "undo", "Undo", id="job.undo", tooltip="Take back the last removal or force-fail"),
        Binding("y", "copy('remote_id')", "Copy the provider's id", show=False, id="job.copy_remote"),
        Binding("Y", "copy('public_id')", "Copy our id", show=False, id="job.copy_own"),
        Binding("l", "log", "Log", show=False, id="app.log", tooltip="Who did what, when, with which result"),
        Binding("f5,ctrl+r", "sync", "Sync now", show=False, id="app.sync"),
        Binding("question_mark", "help", "Help", key_display="?", id="app.help"),
        Binding("q", "quit", "Quit", id="app.quit"),
    ]
    app: JobdashApp

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self.view = JobsView(context, id="jobs")
        """The jobs looked at."""
        self._accounts, self._banner = Line(id="accounts"), Line(id="banner")
        self._rule, self._title, self._story = Line(id="rule"), Line(id="title"), Line(id="story")
        self._keys = Line(id="keys")
        self._schema = context.browser.schema_version()
        self._ended = EndedScripts(context.browser)
        self._replaced = False
        self._width = 0
        self._footer = Footer(BINDINGS_BY_ID, context)
        self._errors: dict[tuple[int, int], list[tuple[str, int]]] = {}
        self._health: dict[str, AccountHealth] = {}
        self._keys_drawn: tuple[tuple[header_footer.KeyHint, ...], int] = ((), 0)
        self._ages_at = 0.0
        self._tick: asyncio.TimerHandle | None = None

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield from (self._accounts, self._banner, self.view, self._rule, self._title, self._story, self._keys)

    def on_mount(self) -> None:
        """Start looking."""
        self._accounts.over = self._keys.over = "bar"
        self.view.table.focus()
        self.view.table.on_row = self._draw_details
        self.view.table.on_move = self._draw_move
        if self.context.read_only:
            self.show_banner(f"{self.context.read_only}; nothing can be changed")
        # Everything is said before the first layout: the first paint is the whole screen.
        self.fit(self.app.size)
        self._schedule()
        self.call_after_refresh(self.app.first_rows_drawn)

    def on_unmount(self) -> None:
        """Stop looking."""
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
        self.set_class(size.height >= TALL, "-tall")
        self.view.fit(size.width)
        self.draw()

    # ── live ───────────────────────────────────────────────────────────────────────────────────────────────

    def _schedule(self) -> None:
        # A plain timer of the loop: a Textual timer posts messages, which an idle screen would pay for.
        self._tick = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    @reading
    def _look(self) -> None:
        self._schedule()
        now = asyncio.get_running_loop().time()
        self._check_file()
        if self.view.look():
            self._check_schema()
            self._tell_ended()
            self.draw()
        elif now >= self._ages_at:
            self.view.draw_ages()
            self._draw_accounts()
            self._draw_details()
            self._ages_at = now + (_AGES_YOUNG if self._anything_young() else _AGES_OLD)

    def _tell_ended(self) -> None:
        """Say which scripts have ended since the last look."""
        rows = self._ended.since()
        if rows:
            self.app.post_message(Synced(SyncNews(LOCAL, finished=rows)))

    def _check_schema(self) -> None:
        """Write no more once a newer jobdash has taken the store over."""
        if self._schema != self.context.browser.schema_version() and not self._replaced:
            self._replaced = True
            self.app.stop_writing("the store was upgraded by a newer jobdash; restart")

    def _check_file(self) -> None:
        """Write no more once the store was deleted, moved or replaced: it would go into the void."""
        if not self._replaced:
            try:
                self.context.browser.refuse_replaced()
            except StoreError as error:
                self._replaced = True
                self.app.stop_writing(str(error))

    def _anything_young(self) -> bool:
        now = self.context.clock()
        rows = self.view.table.visible_rows
        # A lease that runs out is seen at once.
        return any(now - row.created_at < MINUTE or (row.lease_until or 0) > now for row in rows)

    # ── lines ──────────────────────────────────────────────────────────────────────────────────────────────

    def show_banner(self, text: str) -> None:
        """Say something that stays, above the tabs; an empty text takes it away."""
        self._banner.put([Span(f" {clean(text)} ", "badge")] if text else [])
        self._banner.display = bool(text)

    @on(JobsView.Looked)
    @reading
    def draw(self) -> None:
        """Draw every line around the table where it differs."""
        self._draw_accounts()
        self._draw_rule()
        self._draw_details()

    def _draw_accounts(self) -> None:
        context, view = self.context, self.view
        symbols, now = context.symbols, context.clock()
        left = [Span(" jobdash ", "chip")]
        if context.demo:
            left += [Span(" DEMO ", "badge")]
        total = f"{view.counts.total:,} job{'' if view.counts.total == 1 else 's'} "
        right = [Span(total, "muted")]
        if view.paused:
            held = f"{view.held_changes:,} change{'' if view.held_changes == 1 else 's'}"
            right = [Span(f"{symbols.paused} paused, {held} {symbols.dot} ", "warning"), *right]
        right = [*self._run_spans(), *right]
        room = self._width - sum(span.cells for span in [*left, *right]) - 1
        health = self._health = {account.name: account for account in context.browser.accounts()}
        names = [account.name for account in context.config.accounts]
        left += header_footer.account_spans(
            names, health, context.under_way, now, symbols, room, context.read_only
        )
        self._accounts.put(left, right)

    @reading
    def draw_runs(self) -> None:
        """Draw how far a hidden run is."""
        self._draw_accounts()

    def _run_spans(self) -> list[Span]:
        hidden = self.app.runs.out_of_sight
        if not hidden:
            return []
        run, more = hidden[0], f" +{len(hidden) - 1}" if len(hidden) > 1 else ""
        told = f"{plan_text.doing(run.plan)} {min(run.done, run.total):,}/{run.total:,}{more} "
        return [Span(told, "accent", "show_run"), Span(f"{self.context.symbols.dot} ", "muted")]

    def _draw_rule(self) -> None:
        rule = self.context.symbols.rule * max(0, self._width)
        self._rule.put([Span(rule, "track")])

    @reading
    def _draw_details(self) -> None:
        row, symbols, now = self.view.table.current, self.context.symbols, self.context.clock()
        if row is None:
            self._title.put([])
            self._story.put([])
        else:
            wrong = row.failed or row.error or waits_for_script(row)
            errors = self._errors_of(row) if wrong else []
            configured = row.account in self.context.config.account_names
            spans = header_footer.title_spans(row, self._width, now, symbols, configured=configured)
            self._title.put(spans)
            health = self._health.get(row.account) if row.unfinished else None
            trouble = (health.error or "") if health is not None else ""
            self._story.put(
                header_footer.story_spans(row, errors, self._width, now, symbols, trouble=trouble)
            )
        self._draw_keys()

    def _draw_move(self) -> None:
        table = self.view.table
        self.draw_at_once(table, table.vertical_scrollbar, self._title, self._story, self._keys)

    def _errors_of(self, row: JobRow) -> list[tuple[str, int]]:
        """Return a job's errors; those of the last few rows are known, so that moving about reads nothing."""
        look = (row.id, row.revision)
        if look not in self._errors:
            if len(self._errors) >= _ERRORS_KEPT:
                self._errors.clear()
            self._errors[look] = self._read_errors(row)
        return self._errors[look]

    def _read_errors(self, row: JobRow) -> list[tuple[str, int]]:
        browser = self.context.browser
        if not row.local:
            return browser.errors_summary(row.id)
        if failure := start_failure(browser, row):
            return [(failure, 1)]
        return error_groups(browser.item_errors(row.id, _ITEM_ERRORS)) or (
            [(row.error, 1)] if row.error else []
        )

    def _draw_keys(self) -> None:
        table = self.view.table
        hints = self._footer.hints(table.current, bool(table.marks))
        if (hints, self._width) != self._keys_drawn:
            self._keys_drawn = (hints, self._width)
            self._keys.put(header_footer.key_spans(hints, self._width))

    @on(Line.Clicked)
    async def _clicked(self, event: Line.Clicked) -> None:
        event.stop()
        target = self.view if hasattr(self.view, f"action_{event.action.partition('(')[0]}") else self
        await target.run_action(event.action)

    # ── acting ─────────────────────────────────────────────────────────────────────────────────────────────

    def action_cancel(self) -> None:
        """Cancel the marked jobs, else the current one."""
        self._act(Action.CANCEL, Choices())

    def action_cancel_all(self) -> None:
        """Cancel everything unfinished in tab and filter."""
        self.app.flows.cancel_all(self.view)

    def action_force_fail(self) -> None:
        """Mark the jobs failed here."""
        self._act(Action.FORCE_FAIL, Choices())

    def action_remove(self) -> None:
        """Remove finished jobs."""
        self._act(Action.REMOVE, Choices())

    def action_cancel_delete(self) -> None:
        """Cancel unfinished jobs, and remove them when that is confirmed."""
        self._act(Action.REMOVE, Choices(cancel_first=True))

    def action_retry(self) -> None:
        """Let the jobs do what is not done."""
        self.view.with_selection(self.app.flows.retry)

    def action_fetch(self) -> None:
        """Write results into files."""
        self.view.with_selection(self.app.flows.fetch)

    def _act(self, action: Action, choices: Choices) -> None:
        self.view.with_selection(lambda selection: self.app.flows.act(action, choices, selection))

    def action_undo(self) -> None:
        """Show what can be taken back, and ask."""
        self.app.flows.undo()

    def action_open(self) -> None:
        """Open the job under the cursor."""
        row = self.view.table.current
        if row is not None:
            self.app.open_job(row)

    @on(JobTable.Opened)
    def _opened(self, event: JobTable.Opened) -> None:
        self.app.open_job(event.row)

    def action_copy(self, field: str) -> None:
        """Copy an id of the job under the cursor."""
        row = self.view.table.current
        if row is not None:
            self.app.copy_id(row, field)
        else:
            self.app.notify(plan_text.NO_JOB, severity="warning")

    def action_show_run(self) -> None:
        """Bring back the box of what is running."""
        self.app.flows.show_run()

    def action_log(self) -> None:
        """Open the log."""
        self.app.open_log()

    def action_sync(self) -> None:
        """Ask every account now."""
        self.app.sync_now()

    def action_help(self) -> None:
        """Open the help."""
        self.app.action_help()

    async def action_quit(self) -> None:
        """Leave."""
        await self.app.action_quit()


BINDINGS_BY_ID = bindings_by_id(MainScreen, JobsView)
