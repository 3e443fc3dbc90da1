"""The interface of the application for its screens, widgets and flows, which it imports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar

from textual import events
from textual.binding import Keymap
from textual.widget import Widget

from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, Choices, Plan
from jobdash.errors import StoreError
from jobdash.operations.job_lookup import Scope, Sort
from jobdash.tui.action_runs import ActionRun, ActionRuns
from jobdash.tui.context import DashboardContext, Selection
from jobdash.tui.messages import Toast
from jobdash.tui.runtime import Runtime
from jobdash.tui.terminal.app import TerminalApp

if TYPE_CHECKING:
    from jobdash.operations.writer_thread import WriterThread

P = ParamSpec("P")
T = TypeVar("T")
W = TypeVar("W", bound=Widget)
_MOST_HELD = 5
"""Toasts that are shown behind a dialog, the newest."""


class Flows(Protocol):
    """The flows behind the keys that change something; see `jobdash.tui.action_flows`."""

    def may_begin(self) -> bool:
        """Whether a flow may begin now; shows why when the store cannot be written."""

    def act(self, action: Action, choices: Choices, selection: Selection) -> None:
        """Plan an action on selected jobs, ask, and begin."""

    def cancel_all(self, scope: Scope, *, marked: bool) -> None:
        """Plan a cancel of everything unfinished in a scope."""

    def fetch(self, selection: Selection) -> None:
        """Write results into files."""

    def submit(self) -> None:
        """Choose a file, check it, and submit it."""

    def undo(self) -> None:
        """Show what can be undone, and ask."""

    def ask_errors(self, rows: Sequence[JobRow]) -> None:
        """Ask again for the error details of failed jobs."""

    def export(self, scope: Scope, sort: Sort) -> None:
        """Write the jobs of a scope into a file."""

    def show_run(self) -> None:
        """Show the dialog of a running action again."""


class Host(TerminalApp):
    """The interface of `jobdash.tui.app.JobdashApp`."""

    context: DashboardContext
    runtime: Runtime
    runs: ActionRuns
    opening_dialog: bool
    """A dialog has been requested and is not on the screen yet."""
    held_toasts: list[Toast]
    """What the accounts have to say, while a dialog is in front."""
    last_words: str
    """What to print when the terminal is restored."""

    @property
    def flows(self) -> Flows:
        """The flows behind the keys that change something."""
        raise NotImplementedError

    @property
    def dialog_open(self) -> bool:
        """Whether a dialog is in front."""
        return self.screen.is_modal

    @property
    def own_keymap(self) -> Keymap:
        """The person's own keys by binding id, spelled as Textual spells keys."""
        return self._normalize_keymap(self.context.config.keys)

    def may_act_at_once(self, key: events.Key) -> bool:
        """Whether a key may act before it has bubbled: it is the only one under way, and no dialog opens."""
        return self.keys.only(key) and not self.opening_dialog

    def first_rows_drawn(self) -> None:
        """Start everything that waits for the first paint."""
        raise NotImplementedError

    def show_held_toasts(self) -> None:
        """Show what the accounts have to say, but not in front of a dialog: it covers what is decided on."""
        if not self.dialog_open:
            held, self.held_toasts = self.held_toasts, []
            for toast in held[-_MOST_HELD:]:
                self.notify(toast.text, severity=toast.severity)

    def start_run(self, plan: Plan) -> ActionRun:
        """Execute a plan."""
        raise NotImplementedError

    async def with_store(self, act: Callable[[WriterThread], Awaitable[T]]) -> T:
        """Await something in the store's thread."""
        return await self.runtime.with_store(act)

    def report_error(self, error: Exception) -> None:
        """Report an error of reading or drawing; neither an unreadable store nor bad data ends anything."""
        if isinstance(error, StoreError):
            self.store_unreadable(error)
        else:
            self.cannot_show(error)

    def store_unreadable(self, error: StoreError) -> None:
        """Report that the store cannot be read any more."""
        raise NotImplementedError


def host_of(widget: Widget) -> Host:
    """Return the app of a widget."""
    app = widget.app
    assert isinstance(app, Host)
    return app


def reports_errors(handler: Callable[Concatenate[W, P], None]) -> Callable[Concatenate[W, P], None]:
    """Decorate a widget's method that reads; an exception would end the widget's own message loop."""

    @wraps(handler)
    def guarded(self: W, /, *args: P.args, **more: P.kwargs) -> None:
        try:
            handler(self, *args, **more)
        except Exception as error:  # noqa: BLE001 - see `Host.report_error`
            host_of(self).report_error(error)

    return guarded
