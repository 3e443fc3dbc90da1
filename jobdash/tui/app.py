"""The application: themes, global keys, and what lives as long as the dashboard does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import on
from textual.app import App
from textual.binding import Binding, BindingType

from jobdash.domain import wording
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Plan
from jobdash.domain.status import LABELS, TAB_OF
from jobdash.domain.text import clean
from jobdash.tui.acts import Acts
from jobdash.tui.context import Context
from jobdash.tui.messages import News, StoreFailed, StoreReady, Synced, Waiting
from jobdash.tui.runs import Run, Runs, single_toast, summary_line
from jobdash.tui.runtime import Runtime
from jobdash.tui.screens.ask import AskScreen
from jobdash.tui.screens.main import MainScreen
from jobdash.tui.theme import DARK, LIGHT

if TYPE_CHECKING:
    from jobdash.operations.writing import StoreWorker

T = TypeVar("T")
_TOASTS_AT_ONCE = 3
_RUNS_EVERY = 0.1
_STOP_MOST_S = 10.0


class JobdashApp(App[None]):
    """The dashboard."""

    TITLE = "jobdash"
    CSS_PATH = Path(__file__).with_name("jobdash.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, priority=False),
    ]

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self.waiting: dict[str, int] = {}
        self.acts = Acts(self, context)
        self.runtime = Runtime(self, context, self.post_message)
        self.runs = Runs(self._begin)
        self.main = MainScreen(context)
        self._quitting = False
        if context.config.keys:
            self.set_keymap(dict(context.config.keys))

    def on_mount(self) -> None:
        """Put on the theme and show the table; everything else starts behind the first paint."""
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        wanted = self.context.config.ui.theme or DARK.name
        self.theme = wanted if wanted in self.available_themes else DARK.name
        self.push_screen(self.main)
        if self.context.read_only is None:
            self.main.call_after_refresh(self.runtime.start)
        for warning in self.context.config.warnings:
            self.notify(warning, markup=False, severity="warning")

    def on_unmount(self) -> None:
        """Let the threads end."""
        self.runtime.stop()

    @property
    def dialog_open(self) -> bool:
        """Whether something lies over the screen a key was pressed on."""
        return self.screen.is_modal

    # ── what threads tell ──────────────────────────────────────────────────────────────────────────────────

    @on(StoreReady)
    def _store_ready(self) -> None:
        self.runs.ready()

    @on(StoreFailed)
    def _store_failed(self, event: StoreFailed) -> None:
        self.context.read_only = event.reason
        self.runs.failed(event.reason)
        self.main.show_banner(event.reason)

    @on(Waiting)
    def _account_waits(self, event: Waiting) -> None:
        if event.until is None:
            self.waiting.pop(event.account, None)
        else:
            self.waiting[event.account] = event.until
        self.main.draw()

    @on(Synced)
    def _synced(self, event: Synced) -> None:
        news = event.news
        for row in news.lost_race:
            self.notify(
                f"{clean(row.name, 60)}: finished before the cancel took effect",
                markup=False,
                severity="warning",
            )
        self._toast_finished(news)
        for notice in news.notices[:_TOASTS_AT_ONCE]:
            self.notify(clean(notice, 200), markup=False, severity="warning")

    def _toast_finished(self, news: News) -> None:
        lost = {row.id for row in news.lost_race}
        rows = [row for row in news.finished if row.id not in lost]
        for row in rows:
            self.main.view.tell_news(TAB_OF[row.status])
        if len(rows) > _TOASTS_AT_ONCE:
            self.notify(f"{wording.jobs(len(rows))} of {clean(news.account)} ended", markup=False)
            return
        for row in rows:
            failed = f", {row.failed:,} failed" if row.failed else ""
            severity = "warning" if row.failed or row.status != "completed" else "information"
            text = f"{clean(row.name, 60)}: {LABELS[row.status]}{failed}"
            self.notify(text, markup=False, severity="warning" if severity == "warning" else "information")

    # ── runs ───────────────────────────────────────────────────────────────────────────────────────────────

    def start_run(self, plan: Plan) -> Run:
        """Carry out a plan; its rows say queued until the store has taken it up."""
        run = self.runs.start(plan)
        self.main.view.queue(decision.job.id for decision in plan.acting)
        asyncio.get_running_loop().call_later(_RUNS_EVERY, self._watch, run)
        return run

    def _begin(self, run: Run) -> None:
        self.runtime.begin(run)

    def _watch(self, run: Run) -> None:
        view = self.main.view
        if run.stop is not None:
            view.unqueue(decision.job.id for decision in run.plan.acting)
        if not run.ended:
            asyncio.get_running_loop().call_later(_RUNS_EVERY, self._watch, run)
            return
        view.unqueue(decision.job.id for decision in run.plan.acting)
        self._tell_end(run)

    def _tell_end(self, run: Run) -> None:
        if not run.bulk:
            words, severity = single_toast(run)
            level = {"error": "error", "warning": "warning"}.get(severity, "information")
            self.notify(words, markup=False, severity=level)  # type: ignore[arg-type]
        elif run.hidden:
            clean_end = run.error is None and run.summary().clean
            self.notify(
                run.error or summary_line(run),
                markup=False,
                severity="information" if clean_end else "warning",
            )
        self.main.view.forget_marks(decision.job.id for decision in run.plan.acting)

    async def with_store(self, act: Callable[[StoreWorker], Awaitable[T]]) -> T:
        """Await something in the store's thread."""
        return await self.runtime.with_store(act)

    # ── screens ────────────────────────────────────────────────────────────────────────────────────────────

    def open_job(self, row: JobRow) -> None:
        """Open a job's own screen."""
        from jobdash.tui.screens.job import JobScreen

        self.push_screen(JobScreen(row.id, self.context))

    def open_log(self) -> None:
        """Open the log."""
        from jobdash.tui.screens.log import LogScreen

        self.push_screen(LogScreen(self.context))

    def open_help(self) -> None:
        """Open the help."""
        from jobdash.tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.context))

    def copy_id(self, row: JobRow, field: str) -> None:
        """Copy an id of a job to the clipboard."""
        value = getattr(row, field)
        if value:
            self.copy_to_clipboard(value)
            self.notify(f"Copied {clean(value, 80)}", markup=False, timeout=2)
        else:
            self.notify("There is no id to copy yet", markup=False, severity="warning")

    def action_help(self) -> None:
        """Open the help."""
        self.open_help()

    def sync_now(self) -> None:
        """Ask every account now."""
        if self.context.read_only:
            self.notify(f"Not asked: {self.context.read_only}", markup=False, severity="warning")
        elif not self.context.config.accounts:
            self.notify("No account to ask", markup=False, severity="warning")
        else:
            self.runtime.sync_now()
            self.notify("Asking every account", markup=False, timeout=2)

    # ── leaving ────────────────────────────────────────────────────────────────────────────────────────────

    async def action_quit(self) -> None:
        """Leave; asks first while a bulk action runs, and leaves at once when asked twice."""
        busy = [run for run in self.runs.active if run.bulk]
        if self._quitting or not busy:
            self._leave()
            return
        self._quitting = True
        self.run_worker(self._ask_to_quit(busy), name="quit")

    async def _ask_to_quit(self, busy: list[Run]) -> None:
        run = busy[0]
        words = f"{run.done:,} of {run.total:,} {wording.verb(run.plan).lower()}s sent."
        stop = await self.push_screen_wait(AskScreen("Quit?", words, (), "Stay", "Stop after these and quit"))
        if not stop:
            self._quitting = False
            return
        for each in busy:
            each.halt()
        deadline = asyncio.get_running_loop().time() + _STOP_MOST_S
        while any(not each.ended for each in busy) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_RUNS_EVERY)
        self._leave()

    def _leave(self) -> None:
        self.runtime.stop()
        self.exit(message=self._last_words())

    def _last_words(self) -> str | None:
        if self.context.demo:
            return None
        unfinished = self.main.view.counts.unfinished
        waiting = self.main.view.removals_waiting()
        words = []
        if unfinished:
            goes = "goes" if unfinished == 1 else "go"
            theirs = "its provider" if unfinished == 1 else "their providers"
            words.append(f"{wording.jobs(unfinished)} {goes} on at {theirs}; see them with: jobdash list")
        if waiting:
            words.append(f"{waiting} removals go on when the provider confirms")
        return "\n".join(words) or None
