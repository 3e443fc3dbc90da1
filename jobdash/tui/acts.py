"""From a key to a plan, from a plan to a dialog, from a yes to a run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from jobdash.domain import wording
from jobdash.domain.plan import Action, Choices, Plan
from jobdash.operations.actor import current_actor
from jobdash.operations.plan import plan_cancel_all, plan_jobs
from jobdash.operations.undo import find_undoable, undo, undo_words
from jobdash.tui.context import Context, Selection
from jobdash.tui.screens.ask import AskScreen
from jobdash.tui.screens.confirm import ConfirmScreen
from jobdash.tui.screens.progress import ProgressScreen
from jobdash.tui.widgets.jobs_view import JobsView

if TYPE_CHECKING:
    from jobdash.tui.app import JobdashApp


class Acts:
    """The flows behind the keys that change something. One dialog at a time, however often a key is pressed."""

    def __init__(self, app: JobdashApp, context: Context) -> None:
        self._app = app
        self._context = context
        self._asking = False

    def act(
        self, action: Action, choices: Choices, selection: Selection, done: Callable[[], None] | None = None
    ) -> None:
        """Plan an action on selected jobs, ask, and begin; ``done`` is called when somebody said yes."""
        if self._may_begin():
            plan = plan_jobs(
                action, selection.rows, self._context.situation(), choices, hidden=selection.hidden
            )
            self._begin(self._ask(plan, done))

    def cancel_all(self, view: JobsView) -> None:
        """Plan a cancel of everything unfinished in tab and filter."""
        if not self._may_begin():
            return
        plan = plan_cancel_all(view.browser, view.scope, self._context.situation(named=False))
        if view.table.marks and plan.acting:
            self._app.notify("Marks are ignored: C is for everything in tab and filter", markup=False)
        self._begin(self._ask(plan, None))

    def undo(self) -> None:
        """Show what can be taken back, and ask."""
        if self._may_begin():
            self._begin(self._ask_undo())

    def _may_begin(self) -> bool:
        if self._asking or self._app.dialog_open:
            return False
        if self._context.read_only:
            self._app.notify(
                f"Nothing can be changed: {self._context.read_only}", markup=False, severity="warning"
            )
            return False
        return True

    def _begin(self, flow: Coroutine[Any, Any, None]) -> None:
        self._asking = True
        self._app.run_worker(self._guarded(flow), name="ask", exit_on_error=True)

    async def _guarded(self, flow: Coroutine[Any, Any, None]) -> None:
        try:
            await flow
        finally:
            self._asking = False

    async def _ask(self, plan: Plan, done: Callable[[], None] | None) -> None:
        if not plan.acting:
            self._app.notify(wording.nothing_to_do(plan), markup=False, severity="warning")
            return
        agreed = await self._app.push_screen_wait(ConfirmScreen(plan, self._context))
        if agreed is None:
            return
        run = self._app.start_run(agreed)
        if done is not None:
            done()
        if run.bulk:
            self._app.push_screen(ProgressScreen(run, self._context))

    async def _ask_undo(self) -> None:
        action = find_undoable(self._context.browser, current_actor("tui").name)
        if action is None:
            self._app.notify("Nothing of the last day can be taken back", markup=False)
            return
        words = undo_words(action)
        names = [row.name for row in action.jobs]
        if not await self._app.push_screen_wait(
            AskScreen("Undo?", words, names, "Keep it so", "Take it back")
        ):
            return
        outcomes = await self._app.with_store(lambda store: undo(action, store))
        kept = [outcome for outcome in outcomes if outcome.reason is not None]
        text = f"Taken back: {wording.jobs(len(outcomes) - len(kept))}"
        if kept:
            text += f"; not {wording.jobs(len(kept))}: {kept[0].reason}"
        self._app.notify(text, markup=False, severity="warning" if kept else "information")
