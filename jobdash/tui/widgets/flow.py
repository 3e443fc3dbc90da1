"""A few short texts one after the other, on as many lines as they need; none is broken unless it must be."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.geometry import Size
from textual.strip import Strip

from jobdash.domain.text import clean
from jobdash.tui.styles import StyledWidget
from jobdash.tui.symbols import Symbols
from jobdash.tui.widgets.lines_view import wrapped


class Flow(StyledWidget):
    """Parts with dots between them, broken at the dots."""

    DEFAULT_CSS = """
    Flow { height: auto; }
    """

    def __init__(self, symbols: Symbols, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._dot = f" {symbols.dot} "
        self._parts: tuple[str, ...] = ()
        self._tone = "muted"

    def put(self, parts: Sequence[str], tone: str = "muted") -> None:
        """Show these parts, gated."""
        new = (tuple(clean(part) for part in parts), tone)
        if new != (self._parts, self._tone):
            self._parts, self._tone = new
            self.refresh(layout=True)

    @property
    def plain(self) -> str:
        """All parts as text."""
        return self._dot.join(self._parts)

    def _lines(self, width: int) -> list[str]:
        lines: list[str] = []
        line = ""
        for part in self._parts:
            candidate = f"{line}{self._dot}{part}" if line else part
            if line and cell_len(candidate) > width:
                lines += wrapped(line, width)
                candidate = part
            line = candidate
        return [*lines, *wrapped(line, width)]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the number of lines the parts take."""
        return len(self._lines(max(1, width - 1)))

    def render_line(self, y: int) -> Strip:
        """Return one line."""
        width = self.size.width
        lines = self._lines(max(1, width - 1))
        text = f" {lines[y]}" if y < len(lines) else ""
        return self.strip([(text, self._tone)]).adjust_cell_length(width, self.blank())
