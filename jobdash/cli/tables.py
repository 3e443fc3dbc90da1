"""Tables: drawn on a terminal, plain aligned text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TextIO

from jobdash.cli.output import Style, print_text
from jobdash.domain.text import clean, redact

_GAP = 2
_LEAST_WIDTH = 8
"""Cells that a column keeps which gives way."""


@dataclass(frozen=True, slots=True)
class TableCell:
    """One cell of a table."""

    text: str
    tone: Style = Style.PLAIN


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: its head, and how its cells stand."""

    head: str
    right: bool = False
    gives: bool = False
    """It gives way, cut with ``…``, where the terminal is too narrow."""


def table(columns: Sequence[TableColumn], rows: Sequence[Sequence[TableCell]]) -> None:
    """Print a table: drawn by Rich on a terminal, plain aligned text elsewhere."""
    sanitized = [[TableCell(clean(redact(cell.text)), cell.tone) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _rich_table(columns, sanitized)
    else:
        for line in plain_lines(columns, sanitized):
            sys.stdout.write(f"{line}\n")


def plain_lines(
    columns: Sequence[TableColumn], rows: Sequence[Sequence[TableCell]], room: int | None = None
) -> Iterator[str]:
    """Yield the lines of a table, the heads first; in ``room`` cells what is too long is cut with ``…``."""
    widths = _widths(columns, rows)
    if room is not None:
        widths = fitted(columns, widths, room)
    for line in ([column.head for column in columns], *([cell.text for cell in row] for row in rows)):
        padded = [
            _padded(text, width, right=column.right)
            for text, width, column in zip(line, widths, columns, strict=True)
        ]
        yield (" " * _GAP).join(padded).rstrip()


def _padded(text: str, width: int, *, right: bool) -> str:
    if cells(text) > width:
        from rich.cells import set_cell_size

        text = f"{set_cell_size(text, max(0, width - 1)).rstrip()}…"
    blank = " " * (width - cells(text))
    return f"{blank}{text}" if right else f"{text}{blank}"


def table_width(columns: Sequence[TableColumn], rows: Sequence[Sequence[TableCell]]) -> int:
    """Return how many cells the longest line of a table has."""
    return sum(_widths(columns, rows)) + _GAP * (len(columns) - 1)


def _widths(columns: Sequence[TableColumn], rows: Sequence[Sequence[TableCell]]) -> list[int]:
    return [
        max((cells(column.head), *(cells(row[number].text) for row in rows)))
        for number, column in enumerate(columns)
    ]


def cells(text: str) -> int:
    """Return how many cells of a terminal a sanitized text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def terminal_width(stream: TextIO) -> int | None:
    """Return how many cells a line has where a stream is a terminal, else None: there no line is broken."""
    if not stream.isatty():
        return None
    import shutil  # with all the formats of archives

    return shutil.get_terminal_size().columns


def wrapped(text: str, width: int | None, first: str = "", rest: str = "") -> list[str]:
    """Return a text in lines of at most ``width`` cells, broken between words where that can be.

    ``first`` stands in front of the first line, ``rest`` in front of the others. Without a width nothing is
    broken.
    """
    if width is None or cells(first) + cells(text) <= width:
        return [f"{first}{text}"]
    lines: list[str] = []
    line, room = "", width - cells(first)
    for word in text.split(" "):
        if line and cells(line) + 1 + cells(word) > max(room, _LEAST_WIDTH):
            lines.append(line)
            line, room = word, width - cells(rest)
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    return [f"{rest if place else first}{part}" for place, part in enumerate(lines)]


_RICH = {
    Style.PLAIN: "",
    Style.GOOD: "green",
    Style.WARN: "yellow",
    Style.BAD: "red",
    Style.QUIET: "dim",
    Style.STRONG: "bold",
}


def _rich_table(columns: Sequence[TableColumn], rows: Sequence[Sequence[TableCell]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
    drawn = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for column, width in zip(columns, fitted(columns, _widths(columns, rows), console.width), strict=True):
        justify: Literal["left", "right"] = "right" if column.right else "left"
        drawn.add_column(Text(column.head), justify=justify, no_wrap=True, overflow="ellipsis", width=width)
    for row in rows:
        drawn.add_row(*(Text(cell.text, style=_RICH[cell.tone]) for cell in row))
    console.print(drawn)


def fitted(columns: Sequence[TableColumn], widths: Sequence[int], room: int) -> list[int]:
    """Return widths that fit: the widest column that gives way is cut first, none below a few cells."""
    found = list(widths)
    giving = [number for number, column in enumerate(columns) if column.gives]
    excess = sum(found) + _GAP * (len(found) - 1) - room
    while excess > 0 and giving:
        widest = max(giving, key=lambda number: found[number])
        if found[widest] <= _LEAST_WIDTH:
            break
        found[widest] -= 1
        excess -= 1
    return found


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Print ``name  value`` lines, the values under each other."""
    known = [(name, value) for name, value in pairs if value]
    width = max((cells(name) for name, _ in known), default=0)
    for name, value in known:
        print_text(f"{name.ljust(width)}  {value}")
