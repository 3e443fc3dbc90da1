"""ASCII on the whole screen: whatever a widget, a border or a job's name draws, only ASCII leaves."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_LOOKALIKES = {
    "─": "-", "━": "-", "═": "-", "┄": ".", "╌": ".", "▔": "-", "▁": "-", "▂": "-", "▄": "_", "▀": "-",
    "│": "|", "┃": "|", "║": "|", "▏": "|", "▎": "|", "▍": "|", "▌": "|", "▐": "|", "▕": "|", "▊": "|",
    "▋": "|", "▉": "|", "█": "#", "•": "*", "·": "|", "…": ".", "—": "-", "–": "-", "×": "x", "✖": "x",
    "✔": "+", "↑": "^", "↓": "v", "←": "<", "→": ">", "≥": ">", "“": '"', "”": '"', "‘": "'", "’": "'",
    "🔎": "> ", "\u00a0": " ",
}  # fmt: skip
_CORNERS = dict.fromkeys("┌┐└┘├┤┬┴┼┏┓┗┛┣┫╔╗╚╝╭╮╰╯▛▜▙▟▖▗▘▝", "+")
_TABLE = _LOOKALIKES | _CORNERS


@lru_cache(4096)
def to_ascii(text: str) -> str:
    """Return a text in ASCII that takes the same number of cells."""
    if text.isascii():
        return text
    return "".join(char if char.isascii() else _TABLE.get(char, "?" * cell_len(char)) for char in text)


class AsciiFilter(LineFilter):
    """The last thing every line of every widget goes through."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments with only ASCII in them."""
        return [Segment(to_ascii(text), style, control) for text, style, control in segments]
