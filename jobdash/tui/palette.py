"""The palette: what has no key of its own, offered on the table and on a job's screen only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.screen import Screen

from jobdash.domain.plan import Action, Choices
from jobdash.tui.screens.main import MainScreen

if TYPE_CHECKING:
    from jobdash.tui.app import JobdashApp

CLEAN_UP = Choices(record=False, remote=True)


def commands(app: JobdashApp, screen: Screen[object]) -> Iterator[SystemCommand]:
    """Yield the commands that make sense on a screen."""
    if screen.is_modal:
        return
    if isinstance(screen, MainScreen):
        yield from _of_table(app, screen)
    yield from _of_job(app, screen)
    yield SystemCommand("Doctor", "Look for what is wrong: store, keys, accounts", app.open_doctor)
    yield SystemCommand("Theme", "Change the colours", app.action_change_theme)
    yield SystemCommand("Help", "All keys, and what the words mean", app.action_help)
    yield SystemCommand("Quit", "Leave the dashboard", app.action_quit)


def _of_table(app: JobdashApp, screen: MainScreen) -> Iterator[SystemCommand]:
    view = screen.view
    if app.runs.out_of_sight:
        yield SystemCommand(
            "Show what is running", "Bring back the box of the action under way", app.flows.show_run
        )
    yield SystemCommand(
        "Export as CSV",
        "Write the jobs of tab and filter into the current folder",
        lambda: app.flows.export(view),
    )
    yield SystemCommand(
        "Refresh errors",
        "Ask again for the error details of the marked jobs, else of all failed ones shown",
        lambda: (
            None if not view.marks and not view.settle_filter() else app.flows.ask_errors(view.failed_jobs())
        ),
    )
    yield SystemCommand(
        "Clean up at the provider",
        "Delete files and batches of finished jobs there; the records stay here",
        lambda: app.flows.act(Action.REMOVE, CLEAN_UP, view.selection()),
    )


def _of_job(app: JobdashApp, screen: Screen[object]) -> Iterator[SystemCommand]:
    from jobdash.tui.screens.job import JobScreen

    if not isinstance(screen, JobScreen):
        return
    if screen.job is not None and screen.job.row.local:
        yield SystemCommand(
            "Clean up files here",
            "Delete its fetched files and logs on this computer; the record stays",
            screen.action_clean_up,
        )
        return
    yield SystemCommand("Refresh errors", "Ask again for this job's error details", screen.action_ask_errors)
    yield SystemCommand(
        "Clean up at the provider",
        "Delete its files and batch there; the record stays here",
        screen.action_clean_up,
    )
