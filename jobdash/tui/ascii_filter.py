"""ASCII on the whole screen: whatever a widget, a border or a job's name draws, only ASCII leaves.

Where the locale has other letters, names keep theirs: a person could not tell what ``??????`` is.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_LOOKALIKES = {
    "─": "-", "━": "-", "═": "-", "┄": ".", "╌": ".", "▔": "-", "▁": "-", "▂": "-", "▄": "_", "▀": "-",
    "│": "|", "┃": "|", "║": "|", "▏": "|", "▎": "|", "▍": "|", "▌": "|", "▐": "|", "▕": "|", "▊": "|",
    "▅": "_", "▃": "_", "▆": "#", "▇": "#", "◼": "#", "■": "#",
    "▋": "|", "▉": "|", "█": "#", "•": "*", "·": "|", "…": ".", "—": "-", "–": "-", "×": "x", "✖": "x",
    "✔": "+", "↑": "^", "↓": "v", "←": "<", "→": ">", "≥": ">", "“": '"', "”": '"', "‘": "'", "’": "'",
    "🔎": "> ", "\u00a0": " ",
}  # fmt: skip
_CORNERS = dict.fromkeys("┌┐└┘├┤┬┴┼┏┓┗┛┣┫╔╗╚╝╭╮╰╯▛▜▙▟▖▗▘▝", "+")
_TABLE = _LOOKALIKES | _CORNERS


@lru_cache(4096)
def to_ascii(text: str, *, letters: bool = False) -> str:
    """Return a text in ASCII that takes the same number of cells; ``letters`` of any script may stay."""
    if text.isascii():
        return text
    return "".join(_ascii(char, letters) for char in text)


def _ascii(char: str, letters: bool) -> str:
    if char.isascii() or (letters and unicodedata.category(char)[0] in "LMN"):
        return char
    return _TABLE.get(char, "?" * cell_len(char))


class AsciiFilter(LineFilter):
    """The last thing every line of every widget goes through."""

    def __init__(self, *, letters: bool) -> None:
        super().__init__()
        self._letters = letters

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments with ASCII (and letters, where they may stay) in them."""
        return [
            Segment(to_ascii(text, letters=self._letters), style, control)
            for text, style, control in segments
        ]
