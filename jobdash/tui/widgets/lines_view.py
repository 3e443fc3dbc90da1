"""Many lines of text in tones that scroll; only what is visible is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, chop_cells
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from jobdash.tui.job_cells import Piece
from jobdash.tui.styles import StyledWidget

TextLine = tuple[Piece, ...]
"""One line: texts, gated, each with its tone."""


class LinesView(StyledWidget, ScrollView, can_focus=True):
    """Lines that do not wrap by themselves; see `wrapped`."""

    DEFAULT_CSS = """
    LinesView {
        height: 1fr; overflow-x: hidden; overflow-y: auto;
        scrollbar-gutter: stable; scrollbar-size-vertical: 1;
    }
    """
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
        """Go to the first line, or to the end of what grows, and follow it until somebody scrolls up."""
        self.scroll_to(y=0, animate=False, immediate=True, force=True)
        self.following = self._grows = grows
        self._follow()

    def _follow(self) -> None:
        if self.following:
            self.scroll_to(y=self.max_scroll_y, animate=False, immediate=True, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow no more when somebody has scrolled up, and again once they are back at the end."""
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
        self.virtual_size = Size(self.size.width, len(self.lines))
        self._follow()
        self.refresh()

    @property
    def plain(self) -> str:
        """All lines as text."""
        return "\n".join("".join(text for text, _ in line) for line in self.lines)

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        width, index = self.size.width, round(self.scroll_y) + y
        if index >= len(self.lines):
            return Strip.blank(width, self.blank())
        return self.strip([(" ", "text"), *self.lines[index]]).adjust_cell_length(width, self.blank())


def wrapped(text: str, width: int, first: int | None = None) -> list[str]:
    """Return gated text in lines of at most ``width`` cells, broken at spaces where there are any.

    ``first`` is the width of the first line, where something stands before it.
    """
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        for part in chop_cells(word, max(1, width)) or [""]:
            candidate = f"{line} {part}" if line else part
            if cell_len(candidate) <= (width if lines or first is None else first):
                line = candidate
            else:
                lines.append(line)
                line = part
    return [*lines, line]


def pairs(rows: Sequence[tuple[str, str]], width: int, topic: int = 20) -> list[TextLine]:
    """Return topics with their values beside them, wrapped."""
    found: list[TextLine] = []
    for name, value in rows:
        for place, part in enumerate(wrapped(value, max(10, width - topic - 2))):
            found.append(((name.ljust(topic) if place == 0 else " " * topic, "muted"), (part, "text")))
    return found
