"""The screen of one job: progress, items, errors, details, log; kept live."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from jobdash.domain.backends.registry import rules_of
from jobdash.domain.failures import error_count
from jobdash.domain.items import ItemStatus
from jobdash.domain.job import JobDetails, JobRow
from jobdash.errors import StoreError
from jobdash.tui.commands import Place, bindings, job_hints
from jobdash.tui.context import DashboardContext, Selection
from jobdash.tui.host import reports_errors
from jobdash.tui.render import header_footer, job_details
from jobdash.tui.render.job_details import BatchView, JobView
from jobdash.tui.render.log_lines import log_lines
from jobdash.tui.render.script_job_details import ScriptTail, ScriptView
from jobdash.tui.render.text import Span, TextLine, gap
from jobdash.tui.screens.action_screen import ActionScreen
from jobdash.tui.screens.item import ItemScreen
from jobdash.tui.terminal.app import display_error
from jobdash.tui.widgets.item_list import ItemList
from jobdash.tui.widgets.items import ItemsPage
from jobdash.tui.widgets.line import Line
from jobdash.tui.widgets.text_views import LinesView

POLL_EVERY = 0.25
_CLOCK_EVERY, _OUTPUT_EVERY = 4, 2
"""Of so many polls, one draws what changes with the time, and one reads the script's output."""


class JobScreen(ActionScreen):
    """One job on pages, and the keys that act on it."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Place.JOB)
    place = Place.JOB

    def __init__(self, job_id: int, context: DashboardContext) -> None:
        super().__init__(context)
        self.job_id = job_id
        self.page = "errors"
        self.job: JobDetails | None = None
        self._view: JobView = BatchView(context.browser)
        self._output = ScriptTail()
        self._seen: tuple[int, int] | None = None
        self._polls = 0

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield Line(id="job-head")
        yield Line(id="job-progress")
        yield Line(id="job-summary")
        yield Line(id="job-pages")
        yield ItemsPage(self.context, self.job_id, id="items-page")
        yield LinesView(id="job-lines")
        yield Line(id="keys")

    def on_mount(self) -> None:
        """Read the job, and poll the store for changes."""
        self.query_one("#job-head", Line).over = self.query_one("#keys", Line).over = "bar"
        self._read()
        if self.job is not None:
            self.page = self._view.first_page(self.job)
        self._show_page()
        self.set_interval(POLL_EVERY, self.poll)
        self.call_after_refresh(self.draw)

    def on_resize(self) -> None:
        """Fit the lines to the new width."""
        self.call_after_refresh(self.draw)

    # ── live ───────────────────────────────────────────────────────────────────────────────────────────────

    @reports_errors
    def poll(self) -> None:
        """Read the job again when it has changed, and draw what changes with the time."""
        browser = self.context.browser
        row = browser.rows([self.job_id]).get(self.job_id)
        newest = browser.events(self.job_id, limit=1)
        seen = (row.revision if row else -1, newest[0].id if newest else 0)
        self._polls += 1
        if seen != self._seen:
            self._seen = seen
            self._read()
            self.draw()
        elif row is not None and self._follows_clock(row) and self._polls % _CLOCK_EVERY == 0:
            if self.job is not None:
                self._view.refresh(self.job)
            self.draw()
        if self.page == "output" and self._polls % _OUTPUT_EVERY == 0:
            self._follow_output()

    def _follows_clock(self, row: JobRow) -> bool:
        """Whether something is drawn that the time alone changes: a rate, a lease, ages on the details."""
        return self.page == "details" or self._view.follows_clock(row)

    @reports_errors
    def _read(self) -> None:
        context = self.context
        self.job = context.browser.job(self.job_id)
        if self.job is not None:
            if isinstance(self._view, BatchView) and not rules_of(self.job.row).at_provider:
                self._view = ScriptView(context.browser, context.config.store_path)
            self._view.read(self.job)

    def _follow_output(self) -> None:
        if not self.query_one("#job-lines", LinesView).following:
            return  # a person reads further up, and what they read stays where it is
        if not self._output.reading:  # a disk that takes longer than until the next poll is allowed to finish
            self.run_worker(self._read_output(), group="output", exit_on_error=False)

    async def _read_output(self) -> None:
        file = self._view.log_file
        if file is None:
            return
        await self._output.read(file)
        if self.page == "output" and self.is_current:
            self._draw_page()

    # ── drawing ────────────────────────────────────────────────────────────────────────────────────────────

    @reports_errors
    def draw(self) -> None:
        """Draw every line where it differs."""
        if self.job is not None:
            self._draw_head(self.job.row)
            self._draw_progress(self.job.row)
            self._draw_summary(self.job.row)
            self.query_one("#job-pages", Line).put(self._page_spans(self.job))
            self._draw_page()
            self._draw_keys(self.job)
            self._items.follow(self.job)

    # Each catches its own errors: a fact that cannot be drawn hides none of the others.

    @reports_errors
    def _draw_head(self, row: JobRow) -> None:
        left, right = job_details.head_spans(row, self.context.clock(), self.context.symbols)
        self.query_one("#job-head", Line).put(left, right)

    @reports_errors
    def _draw_progress(self, row: JobRow) -> None:
        now, symbols = self.context.clock(), self.context.symbols
        spans = job_details.progress_spans(row, self.size.width, now, symbols, self._view.unit)
        self.query_one("#job-progress", Line).put(spans)

    @reports_errors
    def _draw_summary(self, row: JobRow) -> None:
        summary = self._view.summary(row, self.size.width, self.context.clock(), self.context.symbols)
        if row.removed_at is not None:
            summary = [gap(1), Span("removed from the table; u in the table takes it back", "warning")]
        self.query_one("#job-summary", Line).put(summary)

    @reports_errors
    def _draw_keys(self, job: JobDetails) -> None:
        on_items = self.page == "items"
        fetched = on_items and self._items.results.items is not None
        keys = job_hints(job, self.context, items=on_items, fetched=fetched, keyed=self._view.keyed)
        self.query_one("#keys", Line).put(header_footer.key_spans(keys, self.size.width))

    def _page_spans(self, job: JobDetails) -> list[Span]:
        spans = [gap(1)]
        for place, page in enumerate(self._view.pages()):
            action = f"page({place})"
            spans.append(Span(f"{place + 1} ", "muted", action))
            spans.append(Span(page.capitalize(), "accent" if page == self.page else "text", action))
            if page == "errors" and (job.errors or job.row.failed):
                spans.append(Span(f" {job.row.failed or error_count(job):,}", "error", action))
            spans.append(gap(3))
        return spans

    @reports_errors
    def _draw_page(self) -> None:
        job = self.job
        if job is None:
            return
        if self.page == "items":
            self._items.put(job, self._view)
            return
        try:
            lines = self._lines(job, self.size.width - 4, self.context.clock())
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - the other pages of the job can still be shown
            lines = [((display_error(error), "error"),)]
        self.query_one("#job-lines", LinesView).put(lines)

    def _lines(self, job: JobDetails, width: int, now: int) -> list[TextLine]:
        if self.page == "output":
            return self._output.lines(width)
        if self.page == "log":
            return log_lines(self.context.browser.events(self.job_id, limit=500), width, names=False)
        if self.page == "details":
            return self._view.detail_lines(job, width, now)
        return self._view.error_lines(job, width, self._items.results.failures)

    # ── keys ───────────────────────────────────────────────────────────────────────────────────────────────

    def action_page(self, place: int) -> None:
        """Turn to a page."""
        if place >= len(self._view.pages()):
            return
        self.page = self._view.pages()[place]
        self.query_one("#job-lines", LinesView).start(grows=self.page == "output")
        self._show_page()
        if self.page == "output":
            self._follow_output()
        self.draw()

    def _show_page(self) -> None:
        items, lines = self._items, self.query_one("#job-lines", LinesView)
        items.display, lines.display = self.page == "items", self.page != "items"
        (items.view if self.page == "items" else lines).focus()

    def action_turn(self, by: int) -> None:
        """Turn to the next page or the one before."""
        pages = self._view.pages()
        self.action_page((pages.index(self.page) + by) % len(pages))

    def action_next_outcome(self) -> None:
        """Show the items of the next outcome."""
        if self.page == "items":
            self._items.turn_on()

    def action_outcome(self, word: str) -> None:
        """Show the items of one outcome; of all when it is empty."""
        self._items.turn(ItemStatus(word) if word else None)

    def action_filter_items(self) -> None:
        """Narrow fetched results to those with a text."""
        if self.page == "items":
            self._items.open_text()

    @on(ItemList.Opened)
    def action_open_item(self) -> None:
        """Open the fetched result under the cursor; on a page without any, go back to the table."""
        listed = self.page == "items" and self._items.results.items is not None
        item = self._items.current if listed else None
        if not listed:
            self.action_close()
        elif item is not None:
            self.app.push_screen(ItemScreen(self.context, self._items.results, self._items.outcome, item))

    @on(ItemsPage.Loaded)
    def _results_loaded(self) -> None:
        self.draw()

    @property
    def _items(self) -> ItemsPage:
        return self.query_one("#items-page", ItemsPage)

    @property
    def current(self) -> JobRow | None:
        """This job."""
        return None if self.job is None else self.job.row

    @reports_errors
    def with_selection(self, act: Callable[[Selection], None]) -> None:
        """Call with this job, as the store has it now."""
        row = self.context.browser.rows([self.job_id]).get(self.job_id)
        if row is not None:
            act(Selection((row,), False, frozenset()))

    def action_ask_errors(self) -> None:
        """Ask the provider for the error details again."""
        if self.job is None:
            return
        if refusal := rules_of(self.job.row).error_refusal(self.job.row):
            self.notify(f"No provider to ask: {refusal}", severity="warning")
        else:
            self.app.flows.ask_errors([self.job.row])

    def action_close(self) -> None:
        """Go back to the table."""
        self.dismiss(None)
