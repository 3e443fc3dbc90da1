"""The items of a script's job: a list, and above it the filter by outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.strip import Strip

from jobdash.domain.items import NO_ITEM, ItemRow, ItemStatus
from jobdash.domain.job import JobRow
from jobdash.domain.status import Status
from jobdash.domain.text import clean
from jobdash.operations.job_lookup import Browser
from jobdash.tui.context import DashboardContext
from jobdash.tui.host import reports_errors
from jobdash.tui.models.windows import ItemWindow
from jobdash.tui.render.symbols import Symbols
from jobdash.tui.render.text import Piece, Span, cut, gap
from jobdash.tui.widgets.empty import EmptyState
from jobdash.tui.widgets.line import Line
from jobdash.tui.widgets.virtual_list import VirtualList

OUTCOME_TONES = {
    ItemStatus.OK: "success",
    ItemStatus.ERROR: "error",
    ItemStatus.SKIPPED: "warning",
    ItemStatus.WAITING: "muted",
}
_TEXT_MOST = 400
_KEY_LEAST, _KEY_COMFORT, _KEY_MOST = 16, 40, 64


class ItemList(VirtualList[ItemRow], can_focus=True):
    """Items, one a line. Until a person scrolls, the place where the script works stays in sight."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home,g", "home", show=False),
        Binding("end,G", "end", show=False),
    ]

    def __init__(self, browser: Browser, job_id: int, symbols: Symbols, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.window = ItemWindow(browser, job_id)
        self.touched = False
        """A person has scrolled in it."""
        self._symbols = symbols
        self._placing = False

    # ── what is shown ──────────────────────────────────────────────────────────────────────────────────────

    def show(self, outcome: ItemStatus | None, total: int, work_at: int | None) -> None:
        """Turn to an outcome, from the top, or where the script works if that is known."""
        self.window.show(outcome, total)
        self.touched = False
        self._settle(self._place(work_at, total) if work_at is not None else 0)

    def reload(self, total: int, work_at: int | None) -> None:
        """Read again what is shown; ``work_at`` is the line the script works at, None when it does not."""
        top, before = self.top, self.window.total
        at_end = before > self.page_height and top >= before - self.page_height
        top = self.window.reload(total, top, self.page_height)
        if not self.touched and work_at is not None:
            top = self._place(work_at, total)
        elif self.touched and at_end:
            top = total - self.page_height
        self._settle(top)

    def _place(self, work_at: int, total: int) -> int:
        """Return the first line for the script's place to stand at two thirds."""
        return max(0, min(work_at - self.page_height * 2 // 3, total - self.page_height))

    def _settle(self, top: int) -> None:
        total = self.window.total
        self.fit_total()
        top = max(0, min(top, total - self.page_height))
        self.load(top)
        self._scroll(top)
        self.draw_changes()

    @reports_errors
    def load(self, top: int) -> None:
        """Have the items of a screen in memory."""
        self.window.load(top, self.page_height)

    # ── moving ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def total(self) -> int:
        """The number of items."""
        return self.window.total

    def go(self, index: int) -> bool:
        """Move to an item; from then on the list stays where the person has scrolled to."""
        self.touched = True
        return super().go(index)

    def _scroll(self, top: int) -> None:
        if self.top == top:
            return
        self._placing = True
        try:
            self.scroll_now(top)
        finally:
            self._placing = False

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Remember that a person has scrolled."""
        if round(old_value) != round(new_value) and self.total:
            self.touched = self.touched or not self._placing
        super().watch_scroll_y(old_value, new_value)

    def on_resize(self, event: events.Resize) -> None:
        """Draw for another width."""
        self._settle(self.top)
        self.draw_all()

    # ── drawing ────────────────────────────────────────────────────────────────────────────────────────────

    def entry(self, index: int) -> ItemRow | None:
        """Return an item."""
        return self.window.item(index)

    def draw_entry(self, _index: int, entry: ItemRow) -> Strip:
        """Return the line of an item."""
        width = self.size.width
        return self.strip(item_pieces(entry, width, self._symbols)).adjust_cell_length(width, self.blank())


def item_pieces(item: ItemRow, width: int, symbols: Symbols) -> list[Piece]:
    """Return the line of an item: its mark, its key, and its error or detail."""
    tone, text = OUTCOME_TONES[item.outcome], item_words(item)
    room = max(1, width - 4)
    key_tone = "muted" if item.outcome is ItemStatus.WAITING else "text"
    pieces = [(f" {symbols.items[item.outcome]} ", tone)]
    key = clean(item.key, _TEXT_MOST)
    if not text:
        return [*pieces, (_end_of(key, room, symbols.more), key_tone)]
    wide = max(_KEY_LEAST, min(_KEY_MOST, max(room * 2 // 5, min(room // 2, _KEY_COMFORT))))
    shown = set_cell_size(_end_of(key, wide, symbols.more), wide)
    text_tone = "error" if item.outcome is ItemStatus.ERROR else "muted"
    return [
        *pieces,
        (shown, key_tone),
        ("  ", "text"),
        (cut(text, max(1, room - wide - 2), symbols.more), text_tone),
    ]


def _end_of(key: str, width: int, more: str) -> str:
    """Return a gated key in at most ``width`` cells: of a path the end matters most."""
    if cell_len(key) <= width:
        return key
    end = key
    while end and cell_len(end) > width - cell_len(more):
        end = end[max(1, (cell_len(end) - width) // 2) :]
    return f"{more}{end}"


def item_words(item: ItemRow) -> str:
    """Return the error of an item, or the detail its script gave, gated."""
    if item.outcome is ItemStatus.ERROR:
        return clean(": ".join(filter(None, (item.error_type, item.error))), _TEXT_MOST)
    if item.detail is None:
        return ""
    try:
        detail = json.loads(item.detail)
    except (ValueError, RecursionError):  # cut because it was too long, or nested beyond reason
        detail = item.detail
    return clean(detail if isinstance(detail, str) else item.detail, _TEXT_MOST)


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
            empty.put(*self._why_empty(row))
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
        """Draw as much as fits."""
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
