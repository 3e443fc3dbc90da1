"""The base of the screens whose keys act on jobs: the table, and a job's own screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from jobdash.domain.backends.registry import rules_of
from jobdash.domain.job import JobRow
from jobdash.domain.text import clean
from jobdash.tui.commands import BY_ID, CommandState, Place
from jobdash.tui.context import DashboardContext, Selection
from jobdash.tui.host import Host
from jobdash.tui.screens.line_screen import LineScreen


class ActionScreen(LineScreen):
    """A screen with the commands that act on selected jobs."""

    app: Host
    place: ClassVar[Place]

    def __init__(self, context: DashboardContext) -> None:
        super().__init__()
        self.context = context

    @property
    def current(self) -> JobRow | None:
        """The job that a key means, as it is drawn."""
        raise NotImplementedError

    def with_selection(self, act: Callable[[Selection], None]) -> None:
        """Call with the jobs that an action is for, as the store has them now."""
        raise NotImplementedError

    def command_state(self) -> CommandState:
        """Return what decides which commands the palette offers."""
        return CommandState(self.current, hidden_runs=bool(self.app.runs.out_of_sight))

    def action_act(self, name: str) -> None:
        """Plan a command's action on the selected jobs, and ask."""
        acts = BY_ID[name].acts
        if acts is not None:
            self.with_selection(lambda selection: self.app.flows.act(*acts, selection))

    def action_fetch(self) -> None:
        """Write results into files."""
        self.with_selection(self.app.flows.fetch)

    def action_copy(self, field: str) -> None:
        """Copy an id of the current job to the clipboard."""
        row = self.current
        if row is None:
            return
        if value := getattr(row, field):
            self.app.copy_to_clipboard(value)
            self.app.notify(f"Copied {clean(value, 80)}", timeout=2)
        else:
            self.app.notify(rules_of(row).no_remote_id, severity="warning")
