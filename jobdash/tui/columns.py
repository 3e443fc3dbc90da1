"""Which columns a terminal of some width has room for, and where each begins."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Column(StrEnum):
    """The columns of the table, in the order they are drawn."""

    NAME = "name"
    ACCOUNT = "account"
    MODEL = "model"
    STATUS = "status"
    BAR = "bar"
    COUNTS = "counts"
    FAILED = "failed"
    AGE = "age"
    LEFT = "left"
    REMOTE_ID = "remote_id"


HEADERS = {
    Column.NAME: "NAME",
    Column.ACCOUNT: "ACCOUNT",
    Column.MODEL: "MODEL",
    Column.STATUS: "STATUS",
    Column.BAR: "PROGRESS",
    Column.COUNTS: "",
    Column.FAILED: "FAILED",
    Column.AGE: "AGE",
    Column.LEFT: "LEFT",
    Column.REMOTE_ID: "PROVIDER'S ID",
}
RIGHT = frozenset({Column.COUNTS, Column.FAILED, Column.AGE, Column.LEFT})
"""Numbers are right-aligned, and so are their headers."""

SORT_OF = {
    Column.NAME: "name",
    Column.ACCOUNT: "account",
    Column.BAR: "progress",
    Column.COUNTS: "total",
    Column.FAILED: "failed",
    Column.AGE: "created",
}
"""The order a click on a header asks for."""

MARGIN = 3
"""Cells in front of the name: cursor, mark, space."""
GAP = 2
_MINIMUM = {
    Column.NAME: 20,
    Column.ACCOUNT: 7,
    Column.MODEL: 14,
    Column.STATUS: 14,
    Column.BAR: 8,
    Column.COUNTS: 13,
    Column.FAILED: 7,
    Column.AGE: 5,
    Column.LEFT: 6,
    Column.REMOTE_ID: 30,
}
# What goes first when the terminal is narrow; name, status and the counts stay.
_DROPPED = (
    Column.REMOTE_ID,
    Column.MODEL,
    Column.LEFT,
    Column.ACCOUNT,
    Column.FAILED,
    Column.AGE,
    Column.BAR,
)
# A column that would only just fit is not worth squeezing the name for.
_COMFORT = {Column.REMOTE_ID: 190, Column.MODEL: 138}
_COUNTS_MOST = 19
"""``1,000,000/1,000,000``; where there is less room, totals are told shorter."""
_NAME_MOST = 60
_BAR_MOST = 32


class Place(NamedTuple):
    """One column on the line: its first cell and its width."""

    column: Column
    start: int
    width: int


class Layout(NamedTuple):
    """All columns of one width; equal inputs give equal layouts, so nothing shifts on refresh."""

    width: int
    places: tuple[Place, ...]

    @property
    def clock_start(self) -> int:
        """The first cell of what changes with the time alone; the width where there is nothing such."""
        timed = (place.start for place in self.places if place.column in {Column.AGE, Column.LEFT})
        return min(timed, default=self.width)

    def at(self, x: int) -> Column | None:
        """Return the column that cell ``x`` belongs to."""
        found = None
        for place in self.places:
            if x >= place.start - GAP:
                found = place.column
        return found


def fit(width: int, account_width: int = 7, chosen: tuple[str, ...] = ()) -> Layout:
    """Return the layout for a terminal ``width`` cells wide.

    ``account_width`` is that of the longest account name; ``chosen`` limits the columns to those named.
    """
    minimum = dict(_MINIMUM)
    minimum[Column.ACCOUNT] = min(14, max(minimum[Column.ACCOUNT], account_width))
    columns = [column for column in Column if not chosen or _is_chosen(column, chosen)]
    columns = [column for column in columns if width >= _COMFORT.get(column, 0)]
    room = width - MARGIN - 2
    for candidate in _DROPPED:
        if _needed(columns, minimum) <= room:
            break
        if candidate in columns:
            columns.remove(candidate)
    spare = room - _needed(columns, minimum)
    widths = {column: minimum[column] for column in columns}
    if (more := min(_COUNTS_MOST - widths.get(Column.COUNTS, _COUNTS_MOST), spare // 5)) > 0:
        widths[Column.COUNTS] += more
        spare -= more
    _widen(widths, spare)
    return Layout(width, _placed(columns, widths))


def _is_chosen(column: Column, chosen: tuple[str, ...]) -> bool:
    if column in {Column.BAR, Column.COUNTS}:
        return "progress" in chosen
    return column in {Column.NAME, Column.STATUS} or column.value in chosen


def _needed(columns: list[Column], minimum: dict[Column, int]) -> int:
    return sum(minimum[column] for column in columns) + _gap(columns)


def _gap(columns: list[Column]) -> int:
    return GAP * (len(columns) - 1)


def _widen(widths: dict[Column, int], spare: int) -> None:
    """Share what is left between name and bar, three to two, then give the rest to the name."""
    if spare < 0:
        widths[Column.NAME] = max(4, widths[Column.NAME] + spare)
        return
    bar = min(_BAR_MOST - widths[Column.BAR], spare * 2 // 5) if Column.BAR in widths else 0
    if bar:
        widths[Column.BAR] += bar
    name = min(_NAME_MOST - widths[Column.NAME], spare - bar)
    widths[Column.NAME] += name
    rest = spare - bar - name
    for column, most in ((Column.MODEL, 28), (Column.REMOTE_ID, 44)):
        if column in widths and rest > 0:
            more = min(rest, most - widths[column])
            widths[column] += more
            rest -= more
    widths[Column.NAME] += max(0, rest)


def _placed(columns: list[Column], widths: dict[Column, int]) -> tuple[Place, ...]:
    places: list[Place] = []
    x = MARGIN
    for column in columns:
        places.append(Place(column, x, widths[column]))
        x += widths[column] + GAP
    return tuple(places)
