"""Texts in tones, fitted to the cells of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len, chop_cells, set_cell_size

Piece = tuple[str, str]
"""A text and the name of its style: bright, text, muted, success, warning, error, track."""
TextLine = tuple[Piece, ...]
"""One line: texts, sanitized, each with its tone."""


class Span(NamedTuple):
    """A sanitized text in a tone; ``action`` runs on a click."""

    text: str
    tone: str = "text"
    action: str | None = None

    @property
    def cells(self) -> int:
        """The width on the screen."""
        return len(self.text) if self.text.isascii() else cell_len(self.text)


def gap(cells: int) -> Span:
    """Return empty space."""
    return Span(" " * cells)


def fit(text: str, width: int, more: str = "…") -> str:
    """Return sanitized text in exactly ``width`` cells, cut with an ellipsis or padded."""
    if text.isascii() and len(text) <= width:
        return text.ljust(width)
    if cell_len(text) > width:
        return set_cell_size(set_cell_size(text, max(0, width - len(more))).rstrip() + more, width)
    return set_cell_size(text, width)


def cut(text: str, width: int, more: str = "…") -> str:
    """Return sanitized text in at most ``width`` cells."""
    return text if cell_len(text) <= width else fit(text, width, more).rstrip()


def wrapped(text: str, width: int, first: int | None = None) -> list[str]:
    """Return sanitized text in lines of at most ``width`` cells, broken at spaces where there are any.

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
