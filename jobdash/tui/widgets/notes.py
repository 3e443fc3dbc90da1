"""What a dialog says below its jobs: topics with sentences beside them, wrapped."""

from __future__ import annotations

from collections.abc import Sequence

from textual.geometry import Size
from textual.strip import Strip

from jobdash.domain.plan import Note
from jobdash.domain.text import clean
from jobdash.tui.styles import StyledWidget
from jobdash.tui.widgets.lines_view import TextLine, wrapped

_TOPIC = 17
_TEXT_MOST = 64 * 1024
"""Characters of a note: a whole command line, and what stands around it."""


class Notes(StyledWidget):
    """A plan's notes; other notes are put in their place without a flicker."""

    DEFAULT_CSS = """
    Notes { height: auto; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._notes: tuple[Note, ...] = ()
        self._wrapped: tuple[int, list[TextLine]] = (0, [])
        """The lines, and the width that they are wrapped for."""

    def put(self, notes: Sequence[Note]) -> None:
        """Show these notes, gated: a reason may name an account or quote a server."""
        gated = tuple(
            Note(clean(note.topic, 40), clean(note.text, _TEXT_MOST), note.warning) for note in notes
        )
        if gated != self._notes:
            self._notes = gated
            self._wrapped = (0, [])
            self.refresh(layout=True)

    @property
    def plain(self) -> str:
        """All notes as text."""
        return "\n".join(f"{note.topic}: {note.text}" for note in self._notes)

    def _lines(self, width: int) -> list[TextLine]:
        if self._wrapped[0] != width:
            self._wrapped = (width, self._wrap(width))
        return self._wrapped[1]

    def _wrap(self, width: int) -> list[TextLine]:
        lines: list[TextLine] = []
        above = ""
        for note in self._notes:
            tone = "warning" if note.warning else "text"
            for place, part in enumerate(wrapped(note.text, max(10, width - _TOPIC))):
                topic = note.topic if place == 0 and note.topic != above else ""
                lines.append(((topic.ljust(_TOPIC), "muted"), (part, tone)))
            above = note.topic
        return lines

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the number of lines the notes take."""
        return len(self._lines(width))

    def render_line(self, y: int) -> Strip:
        """Return one line."""
        width, lines = self.size.width, self._lines(self.size.width)
        if y >= len(lines):
            return Strip.blank(width, self.blank())
        return self.strip(list(lines[y])).adjust_cell_length(width, self.blank())
