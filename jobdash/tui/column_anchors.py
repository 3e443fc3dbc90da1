"""Columns that stay aligned behind emoji whose width terminals do not agree on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import split_graphemes

_DISPUTED = re.compile("[\ufe0f\u200d\u20e3\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_PARTS = re.compile(r"\x1b\[[0-9;:?<=>]*[ -/]*[@-~]|\x1b[^\[]|[\r\n]|[^\x1b\r\n]+")
_MOVE = re.compile(r"\x1b\[\d+;(\d+)H")
_REGION = re.compile("[\U0001f1e6-\U0001f1ff]")


def anchored(data: str) -> str:
    """Return what is written to a terminal, with the place named behind every emoji of disputed width.

    A variation selector, joined emoji and flags are one, two or more cells, as the terminal has it. Each is
    written over blanks of the width that was reckoned with, and what comes behind it begins where it should.
    Where nothing has moved the cursor to a column, it is not known, and a text stays as it is.
    """
    if _DISPUTED.search(data) is None:
        return data
    written: list[str] = []
    x: int | None = None
    for part in _PARTS.findall(data):
        if part[0] == "\x1b":
            move = _MOVE.fullmatch(part)
            x = int(move[1]) - 1 if move else x
        elif part in {"\r", "\n"}:
            x = 0 if part == "\r" else None
        elif x is not None:
            pieces = list(_anchored_text(part, x))
            x += sum(width for _, width in pieces)
            written += [piece for piece, _ in pieces]
            continue
        written.append(part)
    return "".join(written)


def _anchored_text(text: str, x: int) -> Iterator[tuple[str, int]]:
    """Yield pieces of a text that begins in a column, with their widths in cells."""
    for cluster, width in _clusters(text):
        if _DISPUTED.search(cluster):
            yield f"{' ' * width}\x1b[{x + 1}G{cluster}\x1b[{x + width + 1}G", width
        else:
            yield cluster, width
        x += width


def _clusters(text: str) -> Iterator[tuple[str, int]]:
    spans, _ = split_graphemes(text)
    place = 0
    while place < len(spans):
        start, end, width = spans[place]
        place += 1
        if _REGION.match(text, start) and place < len(spans) and _REGION.match(text, spans[place][0]):
            _, end, more = spans[place]
            width += more
            place += 1
        yield text[start:end], width
