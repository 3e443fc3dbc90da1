"""A bulk action under way: bar, counts, one line a job as it ends, and Stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button

from jobdash.domain.describe import plan_text
from jobdash.domain.plan import Action
from jobdash.tui.action_runs import ActionRun, summary_parts
from jobdash.tui.context import DashboardContext
from jobdash.tui.host import reports_errors
from jobdash.tui.render.text import Span, gap
from jobdash.tui.screens.dialog import Dialog
from jobdash.tui.widgets.line import Line
from jobdash.tui.widgets.plan_list import PlanList, outcome_entry
from jobdash.tui.widgets.text_views import Flow


class ProgressScreen(Dialog[None]):
    """Shows a run, which goes on when the dialog is hidden."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,h", "leave", "Hide", show=False),
        Binding("s", "stop", "Stop", show=False),
        Binding("q", "quit", "Quit", show=False),
    ]

    def __init__(self, run: ActionRun, context: DashboardContext) -> None:
        super().__init__()
        self.run = run
        self.context = context
        self._shown = 0

    def body(self) -> Iterator[Widget]:
        """Yield the bar, the counts, and the result of each job."""
        yield Line(id="progress-bar")
        yield Flow(self.context.symbols, id="progress-words")
        yield PlanList(self.context.symbols, id="outcomes")

    def buttons(self) -> Iterator[Button]:
        """Yield the buttons: hiding changes nothing."""
        yield Button(Content("Hide"), id="leave")
        yield Button(Content("Stop"), id="stop", variant="error")

    def on_mount(self) -> None:
        """Start polling the run."""
        self.set_title(plan_text.danger_button(self.run.plan))
        self.query_one("#dialog").add_class("progress")
        self.set_interval(0.1, self.poll)
        self.call_after_refresh(self.poll)

    @reports_errors
    def poll(self) -> None:
        """Show what has ended since the last poll."""
        run, symbols = self.run, self.context.symbols
        new = run.outcomes[self._shown :]
        if new:
            self._shown += len(new)
            self.query_one("#outcomes", PlanList).add([outcome_entry(outcome, symbols) for outcome in new])
        self._draw_bar()
        if run.ended:
            self.query_one("#stop").display = False
            self.query_one("#leave", Button).label = Content("Close")

    def _draw_bar(self) -> None:
        run, symbols = self.run, self.context.symbols
        done, total = min(run.done, run.total), run.total
        counts = f" {done:,} / {total:,}  {done * 100 // max(1, total):3}%"
        room = max(10, self.query_one("#progress-bar").size.width - len(counts) - 2)
        filled = room * done // max(1, total)
        tone = "success" if run.ended and run.summary().clean else "accent"
        self.query_one("#progress-bar", Line).put(
            [
                gap(1),
                Span(symbols.bar * filled, tone),
                Span(symbols.track * (room - filled), "track"),
                Span(counts, "text"),
            ]
        )
        parts = summary_parts(run)
        if run.error:
            parts = [run.error]
        elif run.stopping and not run.ended:
            parts = ["stopping: those sent are awaited", *parts]
        elif run.stops_process and not run.ended:
            parts = [*self._stopped_words(), *parts]
        self.query_one("#progress-words", Flow).put(parts, "error" if run.error else "muted")

    def _stopped_words(self) -> list[str]:
        """Return what has been done to the jobs while their processes are given time to end."""
        plan = self.run.plan
        ids = [decision.job.id for decision in plan.acting if decision.job.id in plan.workers]
        rows = self.context.browser.rows(ids).values()
        if plan.action is Action.REMOVE:
            word, taken = "removed", sum(1 for row in rows if row.removed_at is not None)
        else:
            word, taken = "failed here", sum(1 for row in rows if row.force_failed)
        return [
            f"{word} already: {taken:,} of {len(ids):,}",
            f"waiting for {plan_text.stopped_pids(plan)} to end",
        ]

    @on(Button.Pressed, "#leave")
    def action_leave(self) -> None:
        """Go back to the table; the run continues."""
        self.run.hidden = not self.run.ended
        self.dismiss(None)

    async def action_quit(self) -> None:
        """Leave the dashboard; once all is done only the box, whose summary is still to be read."""
        if self.run.ended:
            self.action_leave()
        else:
            await self.app.action_quit()

    @on(Button.Pressed, "#stop")
    def action_stop(self) -> None:
        """Send nothing more."""
        if not self.run.ended:
            self.run.halt()
            self.query_one("#stop", Button).disabled = True
