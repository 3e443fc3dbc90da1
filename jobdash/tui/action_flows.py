"""The flows behind the keys that change something: plan, dialog, run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobdash.domain.backends.registry import rules_of
from jobdash.domain.describe import plan_text
from jobdash.domain.family import whole_families
from jobdash.domain.items import RETRYABLE
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, ActionResult, Choices, Note, Plan
from jobdash.domain.status import LABELS
from jobdash.domain.text import clean
from jobdash.errors import StoreError
from jobdash.operations.actions.undo import (
    NOTHING_TO_UNDO,
    find_lasting,
    find_undoable,
    not_taken_back,
    undo,
    undo_refusal,
    undo_words,
)
from jobdash.operations.job_lookup import Scope, Sort
from jobdash.operations.person import current_actor
from jobdash.operations.planning import plan_again, plan_cancel_all, plan_jobs
from jobdash.tui.action_runs import SEVERITY
from jobdash.tui.context import DashboardContext, Selection
from jobdash.tui.host import Host
from jobdash.tui.screens.confirm import ConfirmScreen
from jobdash.tui.screens.dialog import AskScreen
from jobdash.tui.screens.progress import ProgressScreen

if TYPE_CHECKING:
    from jobdash.operations.results.fetch_request import FetchedResults
    from jobdash.operations.writer_thread import WriterThread


_PLAN_TIMEOUT_S = 3.0
"""Seconds for checking the processes of scripts; after that a plan is made without them."""


class ActionFlows:
    """The flows behind the keys that change something; one dialog at a time."""

    def __init__(self, app: Host, context: DashboardContext) -> None:
        self._app = app
        self._context = context
        self._asking = False

    def act(self, action: Action, choices: Choices, selection: Selection) -> None:
        """Plan an action on selected jobs, ask, and begin."""
        if self.may_begin():
            self._begin(self._plan_and_ask(action, choices, selection))

    def fetch(self, selection: Selection) -> None:
        """Write results into files in the current folder; asks first where there are more to come."""
        if self.may_begin() and selection.rows:
            self._begin(self._ask_fetch(selection.rows))

    async def _plan_and_ask(self, action: Action, choices: Choices, selection: Selection) -> None:
        plan = await self._plan(action, choices, selection)
        if plan.can_stop:
            plan = plan_again(plan, self._context.situation(), replace(choices, stop_process=True))
        if choices.cancel_first and plan.acting and not any(each.job.unfinished for each in plan.acting):
            self._app.notify(self._ended(plan), severity="warning")
            return
        if action is Action.RETRY and not plan.acting:
            starting = await self._plan(action, replace(choices, restart=True, only=RETRYABLE), selection)
            plan = starting if starting.can_restart or starting.can_send_cut_off else plan
        await self._ask(plan)

    def _ended(self, plan: Plan) -> str:
        """Return that there is nothing left to cancel, and which key removes what has ended."""
        remove = self._context.config.keys.get("job.remove", "x").split(",")[0]
        if len(plan.acting) > 1:
            return f"Nothing to cancel: {plan_text.jobs(len(plan.acting))} have ended; {remove} removes them"
        (only,) = plan.acting
        return f"{clean(only.job.name, 60)}: already {LABELS[only.job.status]}; {remove} removes it"

    async def _plan(self, action: Action, choices: Choices, selection: Selection) -> Plan:
        rows, hidden, situation = selection.rows, selection.hidden, self._context.situation()

        def plan() -> Plan:
            with closing(self._context.open_browser()) as browser:
                return plan_jobs(action, rows, situation, choices, hidden=hidden, browser=browser)

        reads_files = action in {Action.RETRY, Action.REMOVE}
        if reads_files or not all(rules_of(row).at_provider for row in rows):
            # Off this thread: it checks processes, folders and fetched results, and a disk may hang.
            with suppress(TimeoutError):
                return await asyncio.wait_for(asyncio.to_thread(plan), _PLAN_TIMEOUT_S)
        return plan_jobs(action, rows, situation, choices, hidden=hidden)

    def cancel_all(self, scope: Scope, *, marked: bool) -> None:
        """Plan a cancel of everything unfinished in a scope; ``marked``: there are marked jobs."""
        if self.may_begin():
            plan = plan_cancel_all(self._context.browser, scope, self._context.situation(named=False))
            ignored = Note("Marks", "ignored: C is for everything in tab and filter")
            self._begin(self._ask(plan, ignored if marked else None))

    def show_run(self) -> None:
        """Show the dialog of a running action again, the oldest first."""
        if self._asking or self._app.dialog_open:
            return
        hidden = self._app.runs.out_of_sight
        if not hidden:
            self._app.notify("Nothing is running")
            return
        hidden[0].hidden = False
        self._app.push_screen(ProgressScreen(hidden[0], self._context))

    def undo(self) -> None:
        """Show what can be undone, and ask."""
        if self.may_begin():
            self._begin(self._ask_undo())

    def submit(self) -> None:
        """Choose a file, check it, and submit it."""
        from jobdash.tui.submit_flow import SubmitFlow

        if self.may_begin():
            self._begin(SubmitFlow(self._app, self._context).ask())

    def ask_errors(self, rows: Sequence[JobRow]) -> None:
        """Ask again for the error details of failed jobs."""
        if not self.may_begin():
            return
        if not rows:
            self._app.notify("No failed job here to ask about", severity="warning")
            return
        self._app.run_worker(self._ask_errors(rows), name="errors")

    def export(self, scope: Scope, sort: Sort) -> None:
        """Write the jobs of a scope into a file."""
        self._app.run_worker(self._export(scope, sort), name="export")

    def may_begin(self) -> bool:
        """Whether a flow may begin now; shows why when the store cannot be written."""
        if self._asking or self._app.dialog_open:
            return False
        if self._context.read_only:
            self._app.notify(f"Nothing can be changed: {self._context.read_only}", severity="warning")
            return False
        return True

    def _begin(self, flow: Coroutine[Any, Any, None]) -> None:
        self._asking = self._app.opening_dialog = True
        self._app.run_worker(self._guarded(flow), name="ask", exit_on_error=True)

    async def _guarded(self, flow: Coroutine[Any, Any, None]) -> None:
        try:
            await flow
        except StoreError as error:  # busy for too long, or gone
            self._app.notify(str(self._context.store_error(error)), severity="error")
        except Exception as error:  # noqa: BLE001 - the data of one job must not end the dashboard
            self._app.cannot_show(error)
        finally:
            self._asking = self._app.opening_dialog = False

    async def _ask(self, plan: Plan, remark: Note | None = None) -> None:
        if not plan.acting:
            self._app.notify(plan_text.nothing_to_do(plan), severity="warning")
            return
        agreed = await self._app.push_screen_wait(ConfirmScreen(plan, self._context, remark))
        if agreed is None:
            return
        run = self._app.start_run(agreed)
        if run.bulk:
            self._app.push_screen(ProgressScreen(run, self._context))

    async def _ask_undo(self) -> None:
        actor = current_actor("tui").name
        action = find_undoable(self._context.browser, actor)
        if action is None:
            self._app.notify(f"Nothing can be taken back: {NOTHING_TO_UNDO}")
            return
        lasting = find_lasting(self._context.browser, actor, action)
        if refusal := undo_refusal(action, lasting):
            self._app.notify(f"Nothing was taken back: {refusal}", severity="warning")
            return
        words = " ".join(filter(None, (undo_words(action), not_taken_back(lasting))))
        names = [row.name for row in action.jobs]
        if not await self._app.push_screen_wait(AskScreen("Undo?", words, names, "Leave it", "Take it back")):
            return
        outcomes = await self._app.with_store(lambda store: undo(action, store))
        kept = [outcome for outcome in outcomes if outcome.reason is not None]
        text = f"Taken back: {plan_text.jobs(len(outcomes) - len(kept))}"
        if kept:
            text += f"; not {plan_text.jobs(len(kept))}: {kept[0].reason}"
        self._app.notify(text, severity="warning" if kept else "information")

    async def _ask_fetch(self, rows: Sequence[JobRow]) -> None:
        going = [row for row in rows if row.unfinished and row.done and not rules_of(row).at_provider]
        attempts = self._context.browser.last_attempts([row.id for row in going]) if going else {}
        # Of items without keys nothing is kept: the fetch reports that, and there is nothing to ask.
        going = [row for row in going if row.id not in attempts or attempts[row.id].keyed]
        if going:
            first, more = going[0], len(going) - 1
            so_far = f"{first.done:,}" + ("" if first.total is None else f" of {first.total:,}")
            others = f", and {plan_text.jobs(more, 'other')}" if more else ""
            words = f"{clean(first.name, 60)} is not finished: {so_far} so far{others}. Fetch what there is?"
            names = [row.name for row in going]
            if not await self._app.push_screen_wait(
                AskScreen("Fetch?", words, names, "Don't fetch", "Fetch what there is")
            ):
                return
        # In a worker of its own: a large file takes time, and keys work meanwhile.
        self._app.run_worker(self._fetch(rows), name="fetch")

    async def _fetch(self, rows: Sequence[JobRow]) -> None:
        async def write(_store: WriterThread) -> list[FetchedResults]:
            from jobdash.operations.fetch import fetch
            from jobdash.operations.results.fetch_request import FetchRequest

            request = FetchRequest(
                Path.cwd(),
                self._context.open_browser,
                self._app.runtime.work(),
                partial=True,
                on_progress=received,
            )
            families = self._context.browser.families([row.family_id for row in rows if row.family_id])
            firsts, others = whole_families(rows, families)
            merged = await fetch(firsts, replace(request, merged=True))
            return [*merged, *await fetch(others, request)]

        def received(row: JobRow, size: int) -> None:
            under_way.fetching[row.id] = size

        under_way = self._context.under_way
        under_way.fetching.update((row.id, 0) for row in rows if rules_of(row).at_provider)
        try:
            fetched = await self._app.with_store(write)
        except (OSError, StoreError) as error:
            self._app.notify(
                f"Failed to fetch: {clean(str(error), 300)}; you may try again", severity="error"
            )
            return
        finally:
            for row in rows:
                under_way.fetching.pop(row.id, None)
        if len(fetched) == 1:
            (only,) = fetched
            place = only.folder or only.file
            where = "" if place is None else f" in {place}"
            self._report_one(only.row, clean(f"{only.reason}{where}", 500), only.result)
            return
        results = Counter(one.result for one in fetched)
        text = f"Fetched: {_counts(results)}"
        reasons = [one.reason for one in fetched if one.result is not ActionResult.DONE]
        if results[ActionResult.DONE]:
            text += f", in {clean(str(Path.cwd()), 200)}"
        if reasons:
            text += f". {clean(reasons[0], 200)}"
        self._app.notify(text, severity="warning" if reasons else "information")

    async def _ask_errors(self, rows: Sequence[JobRow]) -> None:
        from jobdash.operations.actions.refresh_errors import refresh_errors

        try:
            work = self._app.runtime.work()
        except StoreError as error:
            self._app.notify(str(self._context.store_error(error)), severity="warning")
            return
        self._app.notify(f"Asking for the errors of {plan_text.jobs(len(rows))}", timeout=2)
        answers = await refresh_errors(rows, work, lambda _one: None)
        if len(answers) == 1:
            (only,) = answers
            self._report_one(only.row, clean(only.reason, 300), only.result)
            return
        results = Counter(one.result for one in answers)
        failed = results[ActionResult.FAILED]
        self._app.notify(f"Errors asked: {_counts(results)}", severity="warning" if failed else "information")

    def _report_one(self, row: JobRow, reason: str, result: ActionResult) -> None:
        self._app.notify(f"{clean(row.name, 60)}: {reason}", severity=SEVERITY[result])

    async def _export(self, scope: Scope, sort: Sort) -> None:
        from jobdash.operations.export import export_csv

        def write() -> tuple[Path, int]:
            with closing(self._context.open_browser()) as browser:
                return export_csv(browser, scope, sort, Path.cwd(), self._context.clock)

        try:
            path, number = await asyncio.to_thread(write)
        except (OSError, StoreError) as error:
            self._app.notify(f"Not exported: {clean(str(error), 200)}", severity="error")
            return
        self._app.notify(f"{plan_text.jobs(number)} in {clean(str(path), 300)}")


def _counts(results: Counter[ActionResult]) -> str:
    done, failed = results[ActionResult.DONE], results[ActionResult.FAILED]
    return f"{done:,} · Failed: {failed:,} · Skipped: {results[ActionResult.SKIPPED]:,}"
