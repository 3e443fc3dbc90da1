"""The list of a job's items; those that can be opened have a cursor."""

from __future__ import annotations

import json
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip

from jobdash.domain.items import ItemRow, ItemStatus
from jobdash.domain.text import clean
from jobdash.operations.results.item_source import FetchedItems, ItemSource
from jobdash.tui.host import reports_errors
from jobdash.tui.models.windows import ItemWindow
from jobdash.tui.render.symbols import Symbols
from jobdash.tui.render.text import Piece, cut
from jobdash.tui.widgets.virtual_list import MOVING_KEYS, VirtualList

OUTCOME_TONES = {
    ItemStatus.OK: "success",
    ItemStatus.ERROR: "error",
    ItemStatus.SKIPPED: "warning",
    ItemStatus.WAITING: "muted",
    ItemStatus.CUT_OFF: "warning",
    ItemStatus.MISSING: "muted",
}
_TEXT_MOST = 400
_TOKENS, _TOKENS_FROM = 7, 60
"""Cells of the tokens of an answer, and of the line from which on there is room for them."""
_KEY_LEAST, _KEY_COMFORT, _KEY_MOST = 16, 40, 64


class ItemLine(NamedTuple):
    """All that decides how the line of an item looks."""

    item: ItemRow
    cursor: bool


class ItemList(VirtualList[ItemLine], can_focus=True):
    """Items, one a line. Until a person scrolls, the place where the script works stays in sight.

    Fetched results can be opened: then keys move a cursor, which takes the list along.
    """

    class Opened(Message):
        """An item was clicked twice."""

    BINDINGS: ClassVar[list[BindingType]] = MOVING_KEYS

    def __init__(self, source: ItemSource, symbols: Symbols, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.window = ItemWindow(source)
        self.cursor: int | None = None
        """The line of the cursor, where items can be opened."""
        self.touched = False
        """A person has scrolled in it."""
        self._symbols = symbols
        self._placing = False

    # ── what is shown ──────────────────────────────────────────────────────────────────────────────────────

    def show(self, outcome: ItemStatus | None, total: int, work_at: int | None) -> None:
        """Turn to an outcome, from the top, or where the script works if that is known."""
        self.window.show(outcome, total)
        self.touched = False
        self.cursor = 0 if isinstance(self.window.source, FetchedItems) else None
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
        """Return the first line with which the script's place is two thirds down the screen."""
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
        """Load the items of a screen."""
        self.window.load(top, self.page_height)

    @property
    def current(self) -> ItemRow | None:
        """The item under the cursor."""
        return None if self.cursor is None else self.window.item(self.cursor)

    # ── moving ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def total(self) -> int:
        """The number of items."""
        return self.window.total

    @property
    def position(self) -> int:
        """The line that keys move from: the cursor's, or the first one."""
        return self.top if self.cursor is None else self.cursor

    def go(self, index: int) -> bool:
        """Move to an item; from then on the list stays where the person has scrolled to."""
        self.touched = True
        if self.cursor is None:
            return super().go(index)
        before = self.cursor
        self.cursor = max(0, min(index, self.total - 1))
        if self.cursor < self.top:
            self.scroll_now(self.cursor)
        elif self.cursor >= self.top + self.page_height:
            self.scroll_now(self.cursor - self.page_height + 1)
        self.draw_changes()
        return self.cursor != before

    async def on_click(self, event: events.Click) -> None:
        """Put the cursor on a line; a double click opens it."""
        index = self.top + event.y
        if self.cursor is None or index >= self.total or event.y >= self.size.height:
            return
        self.go(index)
        if event.chain == 2:
            self.post_message(self.Opened())

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

    def entry(self, index: int) -> ItemLine | None:
        """Return an item, and whether the cursor is on it."""
        item = self.window.item(index)
        return None if item is None else ItemLine(item, index == self.cursor)

    def draw_entry(self, _index: int, entry: ItemLine) -> Strip:
        """Return the line of an item."""
        width, over = self.size.width, "cursor" if entry.cursor else "line"
        pieces = item_pieces(entry.item, width, self._symbols, cursor=entry.cursor)
        return self.strip(pieces, over).adjust_cell_length(width, self.blank(over))


def item_pieces(item: ItemRow, width: int, symbols: Symbols, *, cursor: bool = False) -> list[Piece]:
    """Return the line of an item: its mark, its key, its tokens, and its error or detail."""
    tone, text = OUTCOME_TONES[item.outcome], item_words(item)
    room = max(1, width - 4)
    key_tone = "muted" if item.outcome is ItemStatus.WAITING else "text"
    pieces = [
        (symbols.cursor if cursor else " ", "pointer" if cursor else "text"),
        (f"{symbols.items[item.outcome]} ", tone),
    ]
    key = clean(item.key, _TEXT_MOST)
    if not text:
        return [*pieces, (_end_of(key, room, symbols.more), key_tone)]
    wide = max(_KEY_LEAST, min(_KEY_MOST, max(room * 2 // 5, min(room // 2, _KEY_COMFORT))))
    shown = set_cell_size(_end_of(key, wide, symbols.more), wide)
    if item.output_tokens is not None and room >= _TOKENS_FROM:
        tokens = f"{item.output_tokens:,}".rjust(_TOKENS)
        pieces.append((f"{shown}  ", key_tone))
        rest = max(1, room - wide - len(tokens) - 4)
        return [*pieces, (f"{tokens}  ", "muted"), (cut(text, rest, symbols.more), "muted")]
    text_tone = "error" if item.outcome is ItemStatus.ERROR else "muted"
    return [
        *pieces,
        (shown, key_tone),
        ("  ", "text"),
        (cut(text, max(1, room - wide - 2), symbols.more), text_tone),
    ]


def _end_of(key: str, width: int, more: str) -> str:
    """Return a sanitized key in at most ``width`` cells: of a path the end matters most."""
    if cell_len(key) <= width:
        return key
    end = key
    while end and cell_len(end) > width - cell_len(more):
        end = end[max(1, (cell_len(end) - width) // 2) :]
    return f"{more}{end}"


def item_words(item: ItemRow) -> str:
    """Return the error of an item, the detail its script gave, or how its answer begins, sanitized."""
    if item.outcome is ItemStatus.ERROR:
        return clean(": ".join(filter(None, (item.error_type, item.error))), _TEXT_MOST)
    if item.outcome is ItemStatus.MISSING:
        return "no answer"
    if item.detail is None:
        return ""
    try:
        detail = json.loads(item.detail)
    except (ValueError, RecursionError):  # cut because it was too long, or nested beyond reason
        detail = item.detail
    return clean(detail if isinstance(detail, str) else item.detail, _TEXT_MOST)
