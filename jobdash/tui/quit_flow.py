"""Quitting the dashboard: the question before, the last lines printed, and ctrl+c."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from jobdash.domain.describe import plan_text
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.status import Tab
from jobdash.domain.text import clean
from jobdash.operations.job_lookup import waiting_removals
from jobdash.tui.action_runs import ActionRun
from jobdash.tui.host import Host
from jobdash.tui.screens.dialog import QuitScreen

TWICE_WITHIN_S = 3.0
"""A second ctrl+c within this time quits."""
_STOP_MOST_S = 10.0
_UNFINISHED = (Tab.RUNNING, Tab.PENDING, Tab.CANCELLING)


class QuitFlow:
    """Quits at once, or asks while a bulk action or the stop of a process runs; the second time it quits."""

    def __init__(self, app: Host) -> None:
        self._app = app
        self._asked = False
        self._interrupted_at = float("-inf")

    def interrupt(self) -> None:
        """Quit at the second ctrl+c; the first one shows a hint."""
        now = asyncio.get_running_loop().time()
        if now - self._interrupted_at <= TWICE_WITHIN_S:
            self.quit()
            return
        self._interrupted_at = now
        self._app.notify("ctrl+c again quits", timeout=TWICE_WITHIN_S)

    def quit(self) -> None:
        """Quit; while a bulk action is under way only when asked twice."""
        busy = [run for run in self._app.runs.active if run.bulk or run.stops_process]
        if self._asked or not (busy or self._app.context.under_way.submitting):
            self._leave()
            return
        self._asked = True
        self._app.run_worker(self._ask(busy), name="quit")

    async def _ask(self, busy: list[ActionRun]) -> None:
        stops = "Stop after these and quit"
        if not busy:
            stops = "Leave it and quit"
        elif all(run.stops_process for run in busy):  # stopping is what is under way: that is left undone
            stops = "Leave them and quit" if sum(run.total for run in busy) > 1 else "Leave it and quit"
        screen = QuitScreen(lambda: under_way(busy, self._app.context.under_way.submitting), stops)
        if not await self._app.push_screen_wait(screen):
            self._asked = False
            return
        for each in busy:
            if not each.ended:
                each.halt()
        if busy:
            ended = asyncio.gather(*(each.wait() for each in busy))
            await asyncio.wait([ended], timeout=_STOP_MOST_S)
        self._leave()

    def _leave(self) -> None:
        self._app.last_words = self._words()
        self._app.runtime.stop()
        self._app.exit()

    def _words(self) -> str:
        """Return the text about what goes on without the dashboard; empty in the demo, where nothing does."""
        context = self._app.context
        if context.demo:
            return ""
        try:
            counts = context.browser.counts()
            local = counts.by_account.get(LOCAL, {})
            at_providers = counts.unfinished - sum(local.get(tab, 0) for tab in _UNFINISHED)
            scripts, _ = context.browser.leases(context.clock())
            waiting = waiting_removals(context.browser)
            queued = context.browser.queued_here()
        except Exception:  # noqa: BLE001 - whatever the store holds, one can leave
            return ""
        return "\n".join(last_words(at_providers - queued, waiting, scripts, queued))


def under_way(runs: Sequence[ActionRun], submitting: Sequence[str] = ()) -> str:
    """Return the progress of the runs that have not ended, and what is being submitted, a line each."""
    submits = [f"{name} is being submitted; the next start looks for its batch." for name in submitting]
    return "\n".join([*(_progress(run) for run in runs if not run.ended), *submits])


def _progress(run: ActionRun) -> str:
    if not run.stops_process:
        return f"{run.done:,} of {plan_text.counted(run.plan, run.total)} sent."
    pids = plan_text.stopped_pids(run.plan)
    if run.bulk:
        ended = f"{run.done:,} of {plan_text.counted(run.plan, run.total)} ended"
        return f"{ended}; being stopped: {pids}. Without us each sees at its next item that it is over."
    name = clean(run.plan.acting[0].job.name, 60)
    stopped = f"{name}: its process is being stopped ({pids})"
    return f"{stopped}; without us it sees at its next item that it is over."


def last_words(unfinished: int, waiting: int, scripts: int = 0, queued: int = 0) -> list[str]:
    """Return a line on the jobs that go on, one on removals that wait, and one on what was not sent yet."""
    going: list[str] = []
    if unfinished:
        goes, theirs = ("goes", "its provider") if unfinished == 1 else ("go", "their providers")
        going.append(f"{plan_text.jobs(unfinished)} {goes} on at {theirs}")
    if scripts:
        going.append(f"{scripts:,} script{' goes' if scripts == 1 else 's go'} on here")
    words = [f"{'; '.join(going)}; see them with: jobdash list"] if going else []
    if waiting:
        noun = "removal goes" if waiting == 1 else "removals go"
        words.append(f"{waiting:,} {noun} on when the provider confirms")
    if queued:
        batches = "1 batch waits" if queued == 1 else f"{queued:,} batches wait"
        words.append(f"{batches} here to be sent; jobdash watch sends what there is room for")
    return words
