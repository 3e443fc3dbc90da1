"""The dashboard's application: themes, global keys, messages of threads, and the actions under way."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.actions import ActionParseResult
from textual.app import SystemCommand
from textual.binding import BindingType
from textual.dom import DOMNode
from textual.filter import LineFilter
from textual.geometry import Size
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input

from jobdash.domain.plan import Plan
from jobdash.domain.text import clean
from jobdash.errors import StoreAway, StoreError
from jobdash.tui.action_runs import ActionRun, ActionRuns, single_toast, summary_line
from jobdash.tui.commands import APP_BINDINGS, CommandState, palette
from jobdash.tui.context import DashboardContext
from jobdash.tui.host import Host
from jobdash.tui.messages import (
    AccountWaiting,
    Notified,
    Severity,
    StoreFailed,
    StoreReady,
    Synced,
    SyncProgress,
    SyncSummary,
    ThreadMessage,
    toasts,
)
from jobdash.tui.render.symbols import not_utf8
from jobdash.tui.render.theme import DARK, LIGHT
from jobdash.tui.runtime import Runtime
from jobdash.tui.screens.action_screen import ActionScreen
from jobdash.tui.screens.main import MainScreen
from jobdash.tui.terminal import exact_updates
from jobdash.tui.terminal.app import AsciiFilter
from jobdash.tui.widgets.filter_bar import FilterInput

if TYPE_CHECKING:
    from jobdash.tui.action_flows import ActionFlows
    from jobdash.tui.quit_flow import QuitFlow

_RUNS_EVERY = 0.1
_TOAST_MOST = 600
"""Characters of a toast."""
_TOAST_CELLS, _TOAST_FRAME = 60, 3
"""The width of a toast, and of its border and padding."""


class JobdashApp(Host):
    """The dashboard."""

    TITLE = "jobdash"
    CSS_PATH = Path(__file__).with_name("jobdash.tcss")
    SUSPENDED_SCREEN_CLASS = "-suspended"
    BINDINGS: ClassVar[list[BindingType]] = APP_BINDINGS

    def __init__(self, context: DashboardContext) -> None:
        super().__init__()
        self.context = context
        # Before anything is laid out: a theme put on later has every style computed twice.
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        wanted = self.context.config.ui.theme or DARK.name
        self.theme = wanted if wanted in self.available_themes else DARK.name
        self.runtime = Runtime(self, context, self.post_message)
        self.runs = ActionRuns(self.runtime.begin)
        self.main = MainScreen(context)
        self.opening_dialog = False
        self.behind_first_paint: Callable[[], None] = lambda: None
        """Called when the first rows are drawn."""
        self.notices: list[str] = []
        """Sentences about opening the store."""
        self.last_words = ""
        self.held_toasts = []
        if context.config.keys:
            self.set_keymap(dict(context.config.keys))

    # Imported when the first dialog opens.

    @cached_property
    def flows(self) -> ActionFlows:
        """The flows behind the keys that change something."""
        from jobdash.tui.action_flows import ActionFlows

        return ActionFlows(self, self.context)

    @cached_property
    def quit_flow(self) -> QuitFlow:
        """What is asked and printed at the end."""
        from jobdash.tui.quit_flow import QuitFlow

        return QuitFlow(self)

    def on_mount(self) -> None:
        """Report mistakes in the settings."""
        from jobdash.tui.settings_check import settings_warnings

        self.leave_running_to_signals()

        config = self.context.config
        for warning in [*self.notices, *config.warnings, *settings_warnings(config)]:
            self.notify(warning, severity="warning")

    def first_rows_drawn(self) -> None:
        """Start everything that waits for the first paint."""
        if self.context.read_only is None:
            self.runtime.start()
        self.behind_first_paint()

    def get_default_screen(self) -> MainScreen:
        """Return the table, which is below every other screen."""
        return self.main

    def on_unmount(self) -> None:
        """End the threads."""
        self.runtime.stop()

    @property
    def _background_screens(self) -> list[Screen[object]]:
        """The screens seen through the one in front; Textual 8.2 takes an opaque one for transparent, too.

        It would paint that one anew, from edge to edge, for every change of the table behind it.
        """
        opaque = exact_updates.EXACT and self.screen.styles.background.a == 1
        return [] if opaque else super()._background_screens

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the filters that every line passes before it is written; the last one leaves ASCII alone."""
        filters = super().get_line_filters()
        return (
            [*filters, AsciiFilter(letters=not not_utf8(os.environ))]
            if self.context.symbols.ascii
            else filters
        )

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: Severity = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a toast. Its text may come from outside: it is sanitized, and never taken for markup."""
        sanitized = clean(message, _longest_toast(self.size))
        super().notify(sanitized, title=clean(title, 80), severity=severity, timeout=timeout, markup=False)

    def store_unreadable(self, error: StoreError) -> None:
        """Report that the store cannot be read any more."""
        if isinstance(error, StoreAway):
            self.main.banner.show_away(str(error))
        else:
            self.main.show_banner(str(self.context.store_error(error)))

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Run the action of a key or a click; an error in it ends nothing."""
        try:
            return await super().run_action(action, default_namespace, namespaces)
        except Exception as error:  # noqa: BLE001 - the data of one job must not end the dashboard
            self.report_error(error)
            return True

    async def on_event(self, event: events.Event) -> None:
        """Register keys before they are sent to a widget."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            self.keys.sent(event)
            self.runtime.record_activity()
        await super().on_event(event)

    def on_key(self, event: events.Key) -> None:
        """Pass keys that came in one burst on to what the first of them opened.

        They were sent to the widget that had the focus before: letters after ``/`` belong to the filter, and
        what is pressed before a dialog is drawn is dropped.
        """
        self.keys.arrived(event)
        entry = self.focused
        if self.opening_dialog and not self.dialog_open:
            event.prevent_default()
        elif isinstance(entry, FilterInput) and event.is_printable and event.character:
            event.prevent_default()
            entry.take(event.character)

    async def _on_message(self, message: Message) -> None:
        """Handle a message; one of a thread is dropped once the screens are closed."""
        if self._running or not isinstance(message, ThreadMessage):
            await super()._on_message(message)

    # ── messages of threads ────────────────────────────────────────────────────────────────────────────────

    @on(StoreReady)
    def _store_ready(self) -> None:
        self.runs.ready()

    @on(StoreFailed)
    def _store_failed(self, event: StoreFailed) -> None:
        self.stop_writing(event.reason)

    def stop_writing(self, reason: str) -> None:
        """Write no more, and show why."""
        self.context.read_only = reason
        self.runtime.stop()
        self.runs.failed(reason)
        self.main.show_banner(reason)
        self.main.draw()
        if self.screen is not self.main:  # which hides the banner
            self.notify(reason, severity="error")

    @on(Notified)
    def _notified(self, event: Notified) -> None:
        if self._driver is not None:
            self._driver.write(event.sequence)

    @on(AccountWaiting)
    def _account_waiting(self, event: AccountWaiting) -> None:
        if event.until is None:
            self.context.under_way.waiting.pop(event.account, None)
        else:
            self.context.under_way.waiting[event.account] = event.until
        self.main.draw()

    @on(SyncProgress)
    def _sync_progress(self, event: SyncProgress) -> None:
        self.context.under_way.found[event.account] = event.seen
        self.main.view.draw_lines()

    @on(Synced)
    def _synced(self, event: Synced) -> None:
        self.context.under_way.found.pop(event.summary.account, None)
        for row in event.summary.finished:
            self.main.view.model.mark_tab(row)
        self.held_toasts += toasts(_without_own(event.summary, self.screen))
        self.show_held_toasts()
        self.main.view.draw_lines()

    # ── runs ───────────────────────────────────────────────────────────────────────────────────────────────

    def start_run(self, plan: Plan) -> ActionRun:
        """Execute a plan; its rows are shown as queued until the store has begun with it."""
        run = self.runs.start(plan)
        waits = run.stop is None and not run.ended
        if waits:
            self._queued(plan, waits=True)
        self._watch(run, queued=waits)
        return run

    def _queued(self, plan: Plan, *, waits: bool) -> None:
        table = self.main.view.table
        ids = {decision.job.id for decision in plan.acting}
        if waits:
            table.queued |= ids
        else:
            table.queued -= ids
        table.draw_changes()

    def _watch(self, run: ActionRun, *, queued: bool) -> None:
        if not self.main.children:  # the dashboard was left meanwhile
            return
        if queued and (run.stop is not None or run.ended):
            self._queued(run.plan, waits=False)
            queued = False
        if run.hidden:
            self.main.draw_runs()
        if run.ended:
            self._report_end(run)
        else:
            asyncio.get_running_loop().call_later(_RUNS_EVERY, partial(self._watch, run, queued=queued))

    def _report_end(self, run: ActionRun) -> None:
        if not run.bulk:
            words, severity = single_toast(run)
            self.notify(words, severity=severity)
        elif run.hidden:
            clean_end = run.error is None and run.summary().clean
            self.notify(run.error or summary_line(run), severity="information" if clean_end else "warning")
        self.main.view.forget_marks(decision.job.id for decision in run.plan.acting)

    # ── screens ────────────────────────────────────────────────────────────────────────────────────────────

    def action_log(self) -> None:
        """Open the log."""
        from jobdash.tui.screens.log import LogScreen

        self.push_screen(LogScreen(self.context))

    def action_attention(self) -> None:
        """Open the jobs that need attention."""
        from jobdash.tui.screens.attention import AttentionScreen

        if not self.dialog_open:
            self.push_screen(AttentionScreen(self.context, self.main.attention, self.main.view.action_tab))

    def action_doctor(self) -> None:
        """Open the doctor."""
        from jobdash.tui.screens.doctor import DoctorScreen

        self.push_screen(DoctorScreen(self.context))

    def action_help(self) -> None:
        """Open the help."""
        from jobdash.tui.screens.help import HelpScreen

        if not self.dialog_open:
            self.push_screen(HelpScreen(self.context))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Return what the palette offers on a screen."""
        if screen.is_modal:
            return ()
        if isinstance(screen, ActionScreen):
            return palette(screen, screen.place, screen.command_state())
        return palette(screen, None, CommandState())

    def action_command_palette(self) -> None:
        """Open the palette, but over no dialog."""
        if not self.dialog_open:
            super().action_command_palette()

    def action_sync(self) -> None:
        """Ask every account now."""
        if self.context.read_only:
            self.notify(f"Not asked: {self.context.read_only}", severity="warning")
        elif not self.context.config.accounts:
            self.notify("No account to ask", severity="warning")
        else:
            self.runtime.sync_now()
            self.notify("Asking every account", timeout=2)

    # ── quitting ───────────────────────────────────────────────────────────────────────────────────────────

    async def action_quit(self) -> None:
        """Quit; asks first while a bulk action runs."""
        self.quit_flow.quit()

    async def action_interrupt(self) -> None:
        """Copy what is selected; without a selection, quit when it is pressed twice."""
        entry = self.focused
        selected = entry.selected_text if isinstance(entry, Input) else self.screen.get_selected_text()
        if selected:
            self.copy_to_clipboard(selected)
        else:
            self.quit_flow.interrupt()


def _without_own(summary: SyncSummary, screen: Screen[object]) -> SyncSummary:
    """Leave out the jobs of the bulk action in front, whose own dialog lists them."""
    run = getattr(screen, "run", None)
    if not isinstance(run, ActionRun):
        return summary
    own = {decision.job.id for decision in run.plan.acting}
    return summary._replace(finished=tuple(row for row in summary.finished if row.id not in own))


def _longest_toast(size: Size) -> int:
    """Return how many characters a toast may have to fit into half of the screen, wrapped at words."""
    width = min(_TOAST_CELLS, size.width * 3 // 4) - _TOAST_FRAME
    return max(1, min(_TOAST_MOST, width * (size.height // 2 - 1) * 4 // 5))
