"""One job's own screen: progress, errors, details, log; it follows the job live."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from jobdash.domain.job import Job
from jobdash.domain.plan import Action, Choices
from jobdash.tui import chrome, job_story
from jobdash.tui.context import Context, Selection
from jobdash.tui.guard import reading
from jobdash.tui.keys import key_name, unavailable
from jobdash.tui.widgets.line import Line, Span, gap
from jobdash.tui.widgets.lines_view import LinesView

if TYPE_CHECKING:
    from jobdash.tui.app import JobdashApp

LOOK_EVERY = 0.25
_PAGES = ("errors", "details", "log")


class JobScreen(Screen[None]):
    """Everything known of one job, and the keys that act on it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "cancel", "Cancel", id="one.cancel"),
        Binding("f", "force_fail", "Force-fail", id="one.force_fail"),
        Binding("X", "cancel_delete", "Cancel & delete", id="one.cancel_delete"),
        Binding("x", "remove", "Remove", id="one.remove"),
        Binding("e", "ask_errors", "Ask for errors", id="one.errors"),
        Binding("1", "page(0)", "Errors", show=False),
        Binding("2", "page(1)", "Details", show=False),
        Binding("3", "page(2)", "Log", show=False),
        Binding("tab,right", "turn(1)", "Next page", show=False),
        Binding("shift+tab,left", "turn(-1)", "Page before", show=False),
        Binding("y", "copy('remote_id')", "Copy the provider's id", show=False),
        Binding("Y", "copy('public_id')", "Copy our id", show=False),
        Binding("question_mark", "app.help", "Help", show=False),
        Binding("escape,q,enter", "close", "Close", key_display="esc", id="one.close"),
    ]

    app: JobdashApp

    def __init__(self, job_id: int, context: Context) -> None:
        super().__init__()
        self.context = context
        self.job_id = job_id
        self.page = "errors"
        self.job: Job | None = None
        self._seen: tuple[int, int] | None = None

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield Line(id="job-head")
        yield Line(id="job-progress")
        yield Line(id="job-story")
        yield Line(id="job-pages")
        yield LinesView(id="job-lines")
        yield Line(id="keys")

    def on_mount(self) -> None:
        """Read the job, and look again and again."""
        self.query_one("#job-head", Line).over = self.query_one("#keys", Line).over = "bar"
        job = self.job = self.context.browser.job(self.job_id)
        if job is not None and not job.errors and not job.row.failed and not job.row.error:
            self.page = "details"
        self.query_one("#job-lines").focus()
        self.set_interval(LOOK_EVERY, self.look)
        self.call_after_refresh(self.draw)

    def on_resize(self) -> None:
        """Fit the lines to the new width."""
        self.call_after_refresh(self.draw)

    @reading
    def look(self) -> None:
        """Read the job again when it has changed."""
        browser = self.context.browser
        row = browser.rows([self.job_id]).get(self.job_id)
        newest = browser.events(self.job_id, limit=1)
        seen = (row.revision if row else -1, newest[0].id if newest else 0)
        if seen != self._seen:
            self._seen = seen
            self.job = browser.job(self.job_id)
            self.draw()

    @reading
    def draw(self) -> None:
        """Draw every line where it differs."""
        job, symbols, now = self.job, self.context.symbols, self.context.clock()
        if job is None:
            return
        width = self.size.width
        left, right = job_story.head_spans(job.row, now, symbols)
        self.query_one("#job-head", Line).put(left, right)
        self.query_one("#job-progress", Line).put(job_story.progress_spans(job.row, width, now, symbols))
        errors = self.context.browser.errors_summary(self.job_id)
        story = chrome.story_spans(job.row, errors, now, symbols)
        if job.row.removed_at is not None:
            story = [gap(1), Span("removed from the table; u in the table takes it back", "warning")]
        self.query_one("#job-story", Line).put(story)
        self.query_one("#job-pages", Line).put(self._page_spans(job))
        self.query_one("#job-lines", LinesView).put(self._lines(job, width - 4, now))
        self.query_one("#keys", Line).put(chrome.key_spans(self._hints(job), width))

    def _page_spans(self, job: Job) -> list[Span]:
        spans = [gap(1)]
        for place, page in enumerate(_PAGES):
            action = f"page({place})"
            spans.append(Span(f"{place + 1} ", "muted", action))
            spans.append(Span(page.capitalize(), "accent" if page == self.page else "text", action))
            if page == "errors" and (job.errors or job.row.failed):
                spans.append(Span(f" {job.row.failed or len(job.errors):,}", "error", action))
            spans.append(gap(3))
        return spans

    def _lines(self, job: Job, width: int, now: int) -> list[tuple[tuple[str, str], ...]]:
        if self.page == "errors":
            return job_story.error_lines(job, width)
        if self.page == "details":
            return job_story.detail_lines(job, width, now)
        return job_story.log_lines(self.context.browser.events(self.job_id, limit=500), width, names=False)

    def _hints(self, job: Job) -> list[chrome.KeyHint]:
        hints: list[chrome.KeyHint] = []
        off = unavailable(job.row, self.context)
        for binding in self.BINDINGS:
            if not isinstance(binding, Binding) or not binding.show:
                continue
            name = (binding.id or "").replace("one.", "job.")
            enabled = name not in off
            if name == "job.errors":
                enabled = bool(job.row.failed or job.errors or job.row.error)
            if name in {"job.cancel", "job.force_fail", "job.cancel_delete"} and job.row.terminal:
                continue
            keys = self.context.config.keys
            hints.append(
                chrome.KeyHint(key_name(binding, keys), binding.description, binding.action, enabled)
            )
        return hints

    @on(Line.Clicked)
    async def _clicked(self, event: Line.Clicked) -> None:
        event.stop()
        await self.run_action(event.action)

    # ── keys ───────────────────────────────────────────────────────────────────────────────────────────────

    def action_page(self, place: int) -> None:
        """Turn to a page."""
        self.page = _PAGES[place]
        self.query_one("#job-lines", LinesView).scroll_home(animate=False)
        self.draw()

    def action_turn(self, by: int) -> None:
        """Turn to the next page or the one before."""
        self.action_page((_PAGES.index(self.page) + by) % len(_PAGES))

    def action_cancel(self) -> None:
        """Cancel this job."""
        self._act(Action.CANCEL, Choices())

    def action_force_fail(self) -> None:
        """Mark it failed here."""
        self._act(Action.FORCE_FAIL, Choices())

    def action_remove(self) -> None:
        """Remove it."""
        self._act(Action.REMOVE, Choices())

    def action_cancel_delete(self) -> None:
        """Cancel it, and remove it when that is confirmed."""
        self._act(Action.REMOVE, Choices(cancel_first=True))

    def _act(self, action: Action, choices: Choices) -> None:
        row = self.context.browser.rows([self.job_id]).get(self.job_id)
        if row is not None:
            self.app.acts.act(action, choices, Selection((row,), False, frozenset()))

    def action_ask_errors(self) -> None:
        """Ask the provider for the error details again."""
        if self.job is not None:
            self.app.acts.ask_errors([self.job.row])

    def action_clean_up(self) -> None:
        """Delete what the provider keeps; the record stays."""
        self._act(Action.REMOVE, Choices(record=False, remote=True))

    def action_copy(self, field: str) -> None:
        """Copy an id."""
        if self.job is not None:
            self.app.copy_id(self.job.row, field)

    def action_close(self) -> None:
        """Go back to the table."""
        self.dismiss(None)
