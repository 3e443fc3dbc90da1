"""A local job's items with the filter by outcome above them, or why there are none."""

from __future__ import annotations

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.containers import Vertical

from jobdash.domain.items import NO_ITEM, ItemStatus
from jobdash.domain.job import JobRow
from jobdash.domain.status import Status
from jobdash.tui.context import DashboardContext
from jobdash.tui.widgets.empty import EmptyState
from jobdash.tui.widgets.item_list import OUTCOME_TONES, ItemList
from jobdash.tui.widgets.line import Line, Span, gap

OUTCOME_WORDS = {
    ItemStatus.OK: "ok",
    ItemStatus.ERROR: "error",
    ItemStatus.SKIPPED: "skipped",
    ItemStatus.WAITING: "unprocessed",
}
_CYCLE: tuple[ItemStatus | None, ...] = (None, *OUTCOME_WORDS)
_WORKING = frozenset({Status.IN_PROGRESS, Status.CANCELLING})


class ItemsPage(Vertical):
    """The items of one job, followed as they change."""

    def __init__(self, context: DashboardContext, job_id: int, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.context = context
        self._job_id = job_id
        self.outcome: ItemStatus | None = None
        self._row: JobRow | None = None
        self._keyed = True
        self._seen: tuple[int, ItemStatus | None] | None = None
        self._counts: Mapping[ItemStatus, int] = {}

    def compose(self) -> ComposeResult:
        """Lay out the filter and the list."""
        yield Line(id="item-filter")
        yield ItemList(self.context.browser, self._job_id, self.context.symbols, id="items")
        yield EmptyState(id="no-items")

    @property
    def view(self) -> ItemList:
        """The list itself."""
        return self.query_one("#items", ItemList)

    def put(self, row: JobRow, *, keyed: bool) -> None:
        """Show the job as it is now; reads the items again when it has changed."""
        self._row, self._keyed = row, keyed
        if (row.revision, self.outcome) == self._seen:
            return
        turned = self._seen is None or self._seen[1] is not self.outcome
        self._seen = (row.revision, self.outcome)
        self._counts = self.context.browser.item_counts(self._job_id)
        self._show(row, turned=turned)

    def turn(self, outcome: ItemStatus | None) -> None:
        """Show the items of one outcome, or all."""
        self.outcome = outcome
        if self._row is not None:
            self.put(self._row, keyed=self._keyed)

    def turn_on(self) -> None:
        """Show the next outcome."""
        self.turn(_CYCLE[(_CYCLE.index(self.outcome) + 1) % len(_CYCLE)])

    def _show(self, row: JobRow, *, turned: bool) -> None:
        items = self.view
        total = self._counts[self.outcome] if self.outcome else sum(self._counts.values())
        work_at = self._work_at(row, total)
        if turned:
            items.show(self.outcome, total, work_at)
        else:
            items.reload(total, work_at)
        empty = self.query_one("#no-items", EmptyState)
        if not total:
            empty.say(*self._why_empty(row))
        back = bool(total) and not items.display and self.display
        empty.display, items.display = not total, bool(total)
        if back:  # what is hidden loses the focus
            items.focus()
        self.query_one("#item-filter").display = bool(sum(self._counts.values()))
        self._draw_filter()

    def _work_at(self, row: JobRow, total: int) -> int | None:
        if row.status not in _WORKING:
            return None
        if self.outcome is None:
            return min(total, row.done or 0)
        return 0 if self.outcome is ItemStatus.WAITING else total

    def _why_empty(self, row: JobRow) -> tuple[str, list[str]]:
        if not self._keyed:
            return "Counts only", ["give track() a key= and items appear here"]
        if self.outcome is None:
            return "No item yet", []
        if self.outcome is ItemStatus.WAITING and row.remaining:
            left = f"{row.remaining:,} not begun; their keys are known when the run comes to them"
            return "No unprocessed item is known by its key", [left]
        return NO_ITEM[self.outcome], ["o shows the others"]

    def on_resize(self) -> None:
        """Say as much as fits."""
        self._draw_filter()

    def _draw_filter(self) -> None:
        spans = self._filter_spans(words=True)
        if sum(span.cells for span in spans) > self.size.width:
            spans = self._filter_spans(words=False)
        self.query_one("#item-filter", Line).put(spans)

    def _filter_spans(self, *, words: bool) -> list[Span]:
        spans = [Span(" o ", "key", "next_outcome"), gap(1)]
        for outcome in _CYCLE:
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
