"""Texts in tones: lines that scroll, and wrapped blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.strip import Strip

from jobdash.domain.plan import Note
from jobdash.domain.text import clean
from jobdash.tui.render.styles import StyledWidget
from jobdash.tui.render.symbols import Symbols
from jobdash.tui.render.text import TextLine, wrapped
from jobdash.tui.widgets.virtual_list import VirtualList


class LinesView(VirtualList[TextLine], can_focus=True):
    """Lines that do not wrap by themselves; see `wrapped`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", show=False),
        Binding("k", "scroll_up", show=False),
        Binding("g", "scroll_home", show=False),
        Binding("G", "scroll_end", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: tuple[TextLine, ...] = ()
        self.following = False
        """The end stays in sight, whatever is put and however high the view is."""
        self._grows = False

    def start(self, *, grows: bool) -> None:
        """Go to the first line, or to the end of what grows, and follow it until a person scrolls up."""
        self.scroll_now(0)
        self.following = self._grows = grows
        self._follow()

    def _follow(self) -> None:
        if self.following:
            self.scroll_now(round(self.max_scroll_y))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Stop following when a person has scrolled up, and follow again at the end."""
        self.following = self._grows and new_value >= self.max_scroll_y
        super().watch_scroll_y(old_value, new_value)

    def on_resize(self) -> None:
        """Keep the end in sight."""
        self._follow()

    def put(self, lines: Sequence[TextLine]) -> None:
        """Show these lines; the scroll stays where it is, and equal lines are not drawn again."""
        if tuple(lines) == self.lines:
            return
        self.lines = tuple(lines)
        self.fit_total()
        self._follow()
        self.draw_changes()

    @property
    def plain(self) -> str:
        """All lines as text."""
        return "\n".join("".join(text for text, _ in line) for line in self.lines)

    @property
    def total(self) -> int:
        """The number of lines."""
        return len(self.lines)

    def entry(self, index: int) -> TextLine | None:
        """Return a line."""
        return self.lines[index] if index < len(self.lines) else None

    def draw_entry(self, _index: int, entry: TextLine) -> Strip:
        """Return one line as a strip."""
        return self.strip([(" ", "text"), *entry]).adjust_cell_length(self.size.width, self.blank())


class TextBlock(StyledWidget):
    """Wrapped text, as high as its lines."""

    DEFAULT_CSS = """
    TextBlock { height: auto; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._wrapped: tuple[int, list[TextLine]] = (0, [])
        """The lines, and the width that they are wrapped for."""

    def wrap(self, width: int) -> list[TextLine]:
        """Return the lines for a width."""
        raise NotImplementedError

    def changed(self) -> None:
        """Wrap and draw again."""
        self._wrapped = (0, [])
        self.refresh(layout=True)

    def _lines(self, width: int) -> list[TextLine]:
        if self._wrapped[0] != width:
            self._wrapped = (width, self.wrap(width))
        return self._wrapped[1]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the number of lines."""
        return len(self._lines(width))

    def render_line(self, y: int) -> Strip:
        """Return one line."""
        width = self.size.width
        lines = self._lines(width)
        if y >= len(lines):
            return Strip.blank(width, self.blank())
        return self.strip(list(lines[y])).adjust_cell_length(width, self.blank())


class Flow(TextBlock):
    """Short texts with dots between them, broken at the dots."""

    def __init__(self, symbols: Symbols, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._dot = f" {symbols.dot} "
        self._parts: tuple[str, ...] = ()
        self._tone = "muted"

    def put(self, parts: Sequence[str], tone: str = "muted") -> None:
        """Show these parts, sanitized."""
        new = (tuple(clean(part) for part in parts), tone)
        if new != (self._parts, self._tone):
            self._parts, self._tone = new
            self.changed()

    @property
    def plain(self) -> str:
        """All parts as text."""
        return self._dot.join(self._parts)

    def wrap(self, width: int) -> list[TextLine]:
        """Return the parts, each line after a blank."""
        room = max(1, width - 1)
        lines: list[str] = []
        line = ""
        for part in self._parts:
            candidate = f"{line}{self._dot}{part}" if line else part
            if line and cell_len(candidate) > room:
                lines += wrapped(line, room)
                candidate = part
            line = candidate
        return [((f" {text}", self._tone),) for text in [*lines, *wrapped(line, room)]]


_TOPIC = 17
_TEXT_MOST = 64 * 1024
"""Characters of a note: a whole command line, and what stands around it."""


class Notes(TextBlock):
    """The notes of a plan: topics with sentences beside them."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._notes: tuple[Note, ...] = ()

    def put(self, notes: Sequence[Note]) -> None:
        """Show these notes, sanitized: a reason may name an account or quote a server."""
        sanitized = tuple(
            Note(clean(note.topic, 40), clean(note.text, _TEXT_MOST), note.warning) for note in notes
        )
        if sanitized != self._notes:
            self._notes = sanitized
            self.changed()

    @property
    def plain(self) -> str:
        """All notes as text."""
        return "\n".join(f"{note.topic}: {note.text}" for note in self._notes)

    def wrap(self, width: int) -> list[TextLine]:
        """Return the notes; of neighbours with one topic the first one names it."""
        lines: list[TextLine] = []
        above = ""
        for note in self._notes:
            tone = "warning" if note.warning else "text"
            for place, part in enumerate(wrapped(note.text, max(10, width - _TOPIC))):
                topic = note.topic if place == 0 and note.topic != above else ""
                lines.append(((topic.ljust(_TOPIC), "muted"), (part, tone)))
            above = note.topic
        return lines
