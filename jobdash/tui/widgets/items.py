"""The items of a job: a list, above it the filter by outcome, and of fetched results by text."""

from __future__ import annotations

from collections.abc import Mapping

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

from jobdash.domain.backends.registry import rules_of
from jobdash.domain.items import ITEM_WORDS, NO_ITEM, ItemRow, ItemStatus
from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.status import Status
from jobdash.domain.text import clean
from jobdash.operations.results.item_source import FetchedItems, ItemSource, StoredItems
from jobdash.tui.context import DashboardContext
from jobdash.tui.models.result_loader import ResultLoader
from jobdash.tui.render.job_details import JobView
from jobdash.tui.render.text import Span, gap
from jobdash.tui.widgets.empty import EmptyState, Words
from jobdash.tui.widgets.filter_bar import FilterInput
from jobdash.tui.widgets.item_list import OUTCOME_TONES, ItemList
from jobdash.tui.widgets.line import Line

OUTCOME_WORDS = ITEM_WORDS | {ItemStatus.WAITING: "unprocessed"}
_WORKING = frozenset({Status.IN_PROGRESS, Status.CANCELLING})
_DRAWN_EVERY_S = 0.1
_BAR_CELLS = 30
_TEXT_SHOWN = 40


class ItemsPage(Vertical):
    """The items of one job, followed as they change; of a batch, its fetched results."""

    class Loaded(Message):
        """The fetched results are here, or cannot be read."""

    def __init__(self, context: DashboardContext, job_id: int, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.context = context
        self.results = ResultLoader(context.config.store_path)
        self._stored = StoredItems(context.browser, job_id)
        self.outcome: ItemStatus | None = None
        self.text = ""
        """What fetched results are narrowed to."""
        self._job: JobDetails | None = None
        self._view: JobView | None = None
        self._seen: tuple[int, ItemStatus | None, ItemSource] | None = None
        self._counts: Mapping[ItemStatus, int] = {}
        self._clock: Timer | None = None

    def compose(self) -> ComposeResult:
        """Lay out the filters and the list."""
        yield Line(id="item-filter")
        with Horizontal(id="item-search"):
            yield Line(id="item-prompt")
            yield FilterInput(id="item-text", compact=True, select_on_focus=False)
        yield ItemList(self._stored, self.context.symbols, id="items")
        yield EmptyState(id="no-items")

    def on_mount(self) -> None:
        """Hide the text until it is typed."""
        self._search.display = False
        self._entry.left = self._leave_text
        self.query_one("#item-prompt", Line).put([Span(" / ", "key"), Span("text ", "muted")])

    def on_unmount(self) -> None:
        """Close the results."""
        self.results.close()

    @property
    def view(self) -> ItemList:
        """The list itself."""
        return self.query_one("#items", ItemList)

    @property
    def source(self) -> ItemSource:
        """Where the items are: the fetched results, else the store."""
        return self.results.items or self._stored

    @property
    def current(self) -> ItemRow | None:
        """The fetched result under the cursor."""
        return self.view.current if self.view.display else None

    # ── what is shown ──────────────────────────────────────────────────────────────────────────────────────

    def put(self, job: JobDetails, view: JobView) -> None:
        """Show the job as it is now; reads the items again when it has changed."""
        self._job, self._view = job, view
        self.follow(job)
        self._refresh()

    def follow(self, job: JobDetails) -> None:
        """Load a batch's fetched results when they change, also while another page is shown."""
        if self.results.turn_to(job):
            self.run_worker(self._load(job), group="results", exclusive=True)

    async def _load(self, job: JobDetails) -> None:
        """Index the results off this thread, with a bar."""
        self._clock = self._clock or self.set_interval(_DRAWN_EVERY_S, self._draw_progress)
        await self.results.load(job)
        if self.results.loading:  # of other results by now, whose worker goes on
            return
        self._clock.stop()
        self._clock = None
        self.text = self._entry.value = ""
        self._seen = None
        self._refresh()
        self.post_message(self.Loaded())

    def _refresh(self) -> None:
        job, source = self._job, self.source
        if job is None or not self.is_mounted:
            return
        if self.outcome is not None and self.outcome not in source.outcomes:
            self.outcome = None
        now = (job.row.revision, self.outcome, source)
        if now == self._seen:
            return
        turned = self._seen is None or self._seen[1:] != now[1:]
        self._seen = now
        self._counts = source.counts()
        self._show(job.row, turned=turned)

    def turn(self, outcome: ItemStatus | None) -> None:
        """Show the items of one outcome, or all."""
        self.outcome = outcome
        self._refresh()

    def turn_on(self) -> None:
        """Show the next outcome."""
        cycle = (None, *self.source.outcomes)
        self.turn(cycle[(cycle.index(self.outcome) + 1) % len(cycle)])

    def _show(self, row: JobRow, *, turned: bool) -> None:
        items = self.view
        items.window.source = self.source
        total = self._counts[self.outcome] if self.outcome else sum(self._counts.values())
        work_at = self._work_at(row, total)
        if turned:
            items.show(self.outcome, total, work_at)
        else:
            items.reload(total, work_at)
        empty = self.query_one("#no-items", EmptyState)
        if not total:
            empty.put(*self._why_empty(row))
        back = bool(total) and not items.display and self.display and not self._search.display
        empty.display, items.display = not total, bool(total)
        if back:  # what is hidden loses the focus
            items.focus()
        self.query_one("#item-filter").display = bool(sum(self._counts.values()) or self.text)
        self._draw_filter()

    def _work_at(self, row: JobRow, total: int) -> int | None:
        if row.status not in _WORKING or isinstance(self.source, FetchedItems):
            return None
        if self.outcome is None:
            return min(total, row.done or 0)
        return 0 if self.outcome is ItemStatus.WAITING else total

    def _why_empty(self, row: JobRow) -> Words:
        if self.results.loading:
            return self._progress_words()
        if self.text:
            return "Nothing with this text", ["/ changes it"]
        if self.outcome is None:
            words = None if self._view is None or self._job is None else self._view.no_items(self._job)
            headline, lines = words or ("No item yet", [])
            return headline, [*lines, *([clean(self.results.error, 300)] if self.results.error else [])]
        if self.outcome is ItemStatus.WAITING and row.remaining:
            left = f"{row.remaining:,} not begun; their keys are known when the run comes to them"
            return "No unprocessed item is known by its key", [left]
        return NO_ITEM[self.outcome], ["o shows the others"]

    def _progress_words(self) -> Words:
        read, size = self.results.progress
        symbols = self.context.symbols
        done = _BAR_CELLS * read // size if size else 0
        bar = symbols.bar * done + symbols.dashes * (_BAR_CELLS - done)
        return "Indexing the results", [f"{bar}  {100 * read // size if size else 0}%"]

    def _draw_progress(self) -> None:
        if self.results.loading:
            self.query_one("#no-items", EmptyState).put(*self._progress_words())

    # ── text ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _search(self) -> Horizontal:
        return self.query_one("#item-search", Horizontal)

    @property
    def _entry(self) -> FilterInput:
        return self.query_one("#item-text", FilterInput)

    def open_text(self) -> None:
        """Let a text be typed, which fetched results are narrowed to."""
        if self.results.items is not None:
            self._search.display, self._entry.over = True, False
            self.screen.set_focus(self._entry)

    def _leave_text(self) -> None:
        self._search.display = False
        (self.view if self.view.display else self.screen).focus()

    @on(Input.Changed, "#item-text")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.run_worker(self._narrow(event.value), group="item-text", exclusive=True)

    async def _narrow(self, text: str) -> None:
        if await self.results.search(text):
            self.text = text
            self._refresh()

    # ── the line of the filter ─────────────────────────────────────────────────────────────────────────────

    def on_resize(self) -> None:
        """Draw as much as fits."""
        self._draw_filter()

    def _draw_filter(self) -> None:
        spans = self._filter_spans(words=True)
        if sum(span.cells for span in spans) > self.size.width:
            spans = self._filter_spans(words=False)
        self.query_one("#item-filter", Line).put(spans, self._text_spans())

    def _text_spans(self) -> list[Span]:
        if self.results.items is None:
            counted = self._job is not None and rules_of(self._job.row).at_provider
            return [Span("reported by its provider; d fetches all ", "muted")] if counted else []
        if self.text:
            return [Span(f"/ {clean(self.text, _TEXT_SHOWN)} ", "accent", "filter_items")]
        return [Span("/ text ", "muted", "filter_items")]

    def _filter_spans(self, *, words: bool) -> list[Span]:
        spans = [Span(" o ", "key", "next_outcome"), gap(1)]
        for outcome in (None, *self.source.outcomes):
            action, chosen = f"outcome('{outcome or ''}')", outcome is self.outcome
            number = self._counts.get(outcome, 0) if outcome else sum(self._counts.values())
            if outcome is not None:
                tone = OUTCOME_TONES[outcome] if number else "muted"
                spans.append(Span(f"{self.context.symbols.items[outcome]} ", tone, action))
            if words or outcome is None or chosen:
                word = OUTCOME_WORDS[outcome] if outcome else "all"
                spans.append(Span(f"{word} ", "strong" if chosen else "text", action))
            spans += [Span(f"{number:,}", "accent" if chosen else "muted", action), gap(3)]
        return spans
