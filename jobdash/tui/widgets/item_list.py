"""A local job's items as a virtual list: it holds what is visible and draws only the lines that changed."""

from __future__ import annotations

import json
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from jobdash.domain.items import ItemRow, ItemStatus
from jobdash.domain.text import clean
from jobdash.operations.job_lookup import Browser
from jobdash.tui import job_cells
from jobdash.tui.host import reading
from jobdash.tui.item_window import ItemWindow
from jobdash.tui.styles import StyledWidget
from jobdash.tui.symbols import Symbols

OUTCOME_TONES = {
    ItemStatus.OK: "success",
    ItemStatus.ERROR: "error",
    ItemStatus.SKIPPED: "warning",
    ItemStatus.WAITING: "muted",
}
_TEXT_MOST = 400
_KEY_LEAST, _KEY_COMFORT, _KEY_MOST = 16, 40, 64


class ItemList(StyledWidget, ScrollView, can_focus=True):
    """Items, one a line. Until somebody scrolls, the place where the script works stays in sight."""

    DEFAULT_CSS = """
    ItemList {
        height: 1fr; overflow-x: hidden; overflow-y: auto;
        scrollbar-gutter: stable; scrollbar-size-vertical: 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home,g", "top", show=False),
        Binding("end,G", "bottom", show=False),
    ]

    def __init__(self, browser: Browser, job_id: int, symbols: Symbols, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.window = ItemWindow(browser, job_id)
        self.touched = False
        """A person has scrolled in it."""
        self._symbols = symbols
        self._drawn: list[ItemRow | None] = []
        self._placing = False

    # ── what is shown ──────────────────────────────────────────────────────────────────────────────────────

    def show(self, outcome: ItemStatus | None, total: int, work_at: int | None) -> None:
        """Turn to an outcome, from the top, or where the script works if that is known."""
        self.window.show(outcome, total)
        self.touched = False
        self._settle(self._place(work_at, total) if work_at is not None else 0)

    def reload(self, total: int, work_at: int | None) -> None:
        """Read again what is shown; ``work_at`` is the line the script works at, None when it does not."""
        top, before = round(self.scroll_y), self.window.total
        at_end = before > self._height and top >= before - self._height
        top = self.window.reload(total, top, self._height)
        if not self.touched and work_at is not None:
            top = self._place(work_at, total)
        elif self.touched and at_end:
            top = total - self._height
        self._settle(top)

    def _place(self, work_at: int, total: int) -> int:
        """Return the first line for the script's place to stand at two thirds."""
        return max(0, min(work_at - self._height * 2 // 3, total - self._height))

    def _settle(self, top: int) -> None:
        total = self.window.total
        if self.virtual_size.height != total:
            self.virtual_size = Size(self.size.width, total)
        top = max(0, min(top, total - self._height))
        self._load(top)
        self._scroll(top)
        self._draw_changes()

    @reading
    def _load(self, top: int) -> None:
        self.window.load(top, self._height)

    @property
    def _height(self) -> int:
        return max(1, self.size.height)

    # ── moving ─────────────────────────────────────────────────────────────────────────────────────────────

    def action_move(self, by: int) -> None:
        """Scroll by lines."""
        self._go(round(self.scroll_y) + by)

    def action_page(self, by: int) -> None:
        """Scroll by screens."""
        self._go(round(self.scroll_y) + by * max(1, self._height - 1))

    def action_top(self) -> None:
        """Go to the first item."""
        self._go(0)

    def action_bottom(self) -> None:
        """Go to the last item."""
        self._go(self.window.total)

    def _go(self, top: int) -> None:
        self.touched = True
        top = max(0, min(top, self.window.total - self._height))
        self._load(top)
        self._scroll(top)

    def _scroll(self, top: int) -> None:
        if round(self.scroll_y) == top:
            return
        self._placing = True
        try:
            self.scroll_to(y=top, animate=False, immediate=True, force=True)
        finally:
            self._placing = False

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Have the items ready before they are drawn, however the scroll was changed."""
        if round(old_value) != round(new_value) and self.window.total:
            self.touched = self.touched or not self._placing
            self._load(round(new_value))
        super().watch_scroll_y(old_value, new_value)

    def on_resize(self, event: events.Resize) -> None:
        """Draw for another width."""
        self._drawn = []
        self._settle(round(self.scroll_y))
        self.refresh()

    # ── drawing ────────────────────────────────────────────────────────────────────────────────────────────

    def _draw_changes(self) -> None:
        first = round(self.scroll_y)
        for y in range(self.size.height):
            before = self._drawn[y] if y < len(self._drawn) else None
            if before != self.window.item(first + y):
                self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        width, item = self.size.width, self.window.item(round(self.scroll_y) + y)
        while len(self._drawn) <= y:
            self._drawn.append(None)
        self._drawn[y] = item
        if item is None:
            return Strip.blank(width, self.blank())
        return self.strip(item_pieces(item, width, self._symbols)).adjust_cell_length(width, self.blank())


def item_pieces(item: ItemRow, width: int, symbols: Symbols) -> list[job_cells.Piece]:
    """Return the line of an item: its mark, its key, and what is said of it."""
    tone, text = OUTCOME_TONES[item.outcome], item_words(item)
    room = max(1, width - 4)
    key_tone = "muted" if item.outcome is ItemStatus.WAITING else "text"
    pieces = [(f" {symbols.items[item.outcome]} ", tone)]
    key = clean(item.key, _TEXT_MOST)
    if not text:
        return [*pieces, (_end_of(key, room, symbols.more), key_tone)]
    wide = max(_KEY_LEAST, min(_KEY_MOST, max(room * 2 // 5, min(room // 2, _KEY_COMFORT))))
    shown = set_cell_size(_end_of(key, wide, symbols.more), wide)
    said = "error" if item.outcome is ItemStatus.ERROR else "muted"
    return [
        *pieces,
        (shown, key_tone),
        ("  ", "text"),
        (job_cells.cut(text, max(1, room - wide - 2), symbols.more), said),
    ]


def _end_of(key: str, width: int, more: str) -> str:
    """Return a gated key in at most ``width`` cells: of a path the end tells most."""
    if cell_len(key) <= width:
        return key
    end = key
    while end and cell_len(end) > width - cell_len(more):
        end = end[max(1, (cell_len(end) - width) // 2) :]
    return f"{more}{end}"


def item_words(item: ItemRow) -> str:
    """Return what is said of an item, gated: the error, or the detail its script gave."""
    if item.outcome is ItemStatus.ERROR:
        return clean(": ".join(filter(None, (item.error_type, item.error))), _TEXT_MOST)
    if item.detail is None:
        return ""
    try:
        detail = json.loads(item.detail)
    except (ValueError, RecursionError):  # cut because it was too long, or nested beyond reason
        detail = item.detail
    return clean(detail if isinstance(detail, str) else item.detail, _TEXT_MOST)
