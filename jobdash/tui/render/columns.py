"""The columns of the job table, and their layout for a width of the terminal."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class JobColumn(StrEnum):
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


class ColumnSpec(NamedTuple):
    """The fixed facts of a column."""

    header: str
    minimum: int
    """Its least width in cells."""
    sort: str | None = None
    """The order that a click on its header sorts by."""
    right: bool = False
    """It and its header are aligned to the right, as numbers are."""
    dropped: int = 0
    """Its turn to go when the terminal is narrow; 0 stays in any width."""
    comfort: int = 0
    """The width of the terminal from which on it is worth making the name narrower for."""


COLUMNS = {
    JobColumn.NAME: ColumnSpec("NAME", 20, "name"),
    JobColumn.ACCOUNT: ColumnSpec("ACCOUNT", 7, "account", dropped=4),
    JobColumn.MODEL: ColumnSpec("MODEL", 14, dropped=2, comfort=138),
    JobColumn.STATUS: ColumnSpec("STATUS", 14),
    JobColumn.BAR: ColumnSpec("PROGRESS", 8, "progress", dropped=7),
    JobColumn.COUNTS: ColumnSpec("", 13, "total", right=True),
    JobColumn.FAILED: ColumnSpec("FAILED", 7, "failed", right=True, dropped=5),
    JobColumn.AGE: ColumnSpec("AGE", 5, "created", right=True, dropped=6),
    JobColumn.LEFT: ColumnSpec("LEFT", 6, right=True, dropped=3),
    JobColumn.REMOTE_ID: ColumnSpec("PROVIDER'S ID", 30, dropped=1, comfort=190),
}
_DROPPED = sorted((one for one in JobColumn if COLUMNS[one].dropped), key=lambda one: COLUMNS[one].dropped)

MARGIN = 3
"""Cells in front of the name: cursor, mark, space."""
GAP = 2
_COUNTS_MOST = 19
"""``1,000,000/1,000,000``; where there is less room, totals are abbreviated."""
_NAME_MOST = 60
_BAR_MOST = 32


class ColumnPlace(NamedTuple):
    """One column on the line: its first cell and its width."""

    column: JobColumn
    start: int
    width: int


class ColumnLayout(NamedTuple):
    """All columns of one width; equal inputs give equal layouts, so nothing shifts on refresh."""

    width: int
    places: tuple[ColumnPlace, ...]

    @property
    def clock_start(self) -> int:
        """The first cell of what changes with the time alone; the width where there is nothing such."""
        timed = (place.start for place in self.places if place.column in {JobColumn.AGE, JobColumn.LEFT})
        return min(timed, default=self.width)

    def at(self, x: int) -> JobColumn | None:
        """Return the column that cell ``x`` belongs to."""
        found = None
        for place in self.places:
            if x >= place.start - GAP:
                found = place.column
        return found


def column_layout(width: int, account_width: int = 7, chosen: tuple[str, ...] = ()) -> ColumnLayout:
    """Return the layout for a terminal ``width`` cells wide.

    ``account_width`` is that of the longest account name; ``chosen`` limits the columns to those named.
    """
    minimum = {column: spec.minimum for column, spec in COLUMNS.items()}
    minimum[JobColumn.ACCOUNT] = min(14, max(minimum[JobColumn.ACCOUNT], account_width))
    columns = [column for column in JobColumn if not chosen or _is_chosen(column, chosen)]
    columns = [column for column in columns if width >= COLUMNS[column].comfort]
    room = width - MARGIN - 2
    for candidate in _DROPPED:
        if _needed(columns, minimum) <= room:
            break
        if candidate in columns:
            columns.remove(candidate)
    spare = room - _needed(columns, minimum)
    widths = {column: minimum[column] for column in columns}
    if (more := min(_COUNTS_MOST - widths.get(JobColumn.COUNTS, _COUNTS_MOST), spare // 5)) > 0:
        widths[JobColumn.COUNTS] += more
        spare -= more
    _widen(widths, spare)
    return ColumnLayout(width, _placed(columns, widths))


def _is_chosen(column: JobColumn, chosen: tuple[str, ...]) -> bool:
    if column in {JobColumn.BAR, JobColumn.COUNTS}:
        return "progress" in chosen
    return column in {JobColumn.NAME, JobColumn.STATUS} or column.value in chosen


def _needed(columns: list[JobColumn], minimum: dict[JobColumn, int]) -> int:
    return sum(minimum[column] for column in columns) + _gap(columns)


def _gap(columns: list[JobColumn]) -> int:
    return GAP * (len(columns) - 1)


def _widen(widths: dict[JobColumn, int], spare: int) -> None:
    """Share what is left between name and bar, three to two, then give the rest to the name."""
    if spare < 0:
        widths[JobColumn.NAME] = max(4, widths[JobColumn.NAME] + spare)
        return
    bar = min(_BAR_MOST - widths[JobColumn.BAR], spare * 2 // 5) if JobColumn.BAR in widths else 0
    if bar:
        widths[JobColumn.BAR] += bar
    name = min(_NAME_MOST - widths[JobColumn.NAME], spare - bar)
    widths[JobColumn.NAME] += name
    rest = spare - bar - name
    for column, most in ((JobColumn.MODEL, 28), (JobColumn.REMOTE_ID, 44)):
        if column in widths and rest > 0:
            more = min(rest, most - widths[column])
            widths[column] += more
            rest -= more
    widths[JobColumn.NAME] += max(0, rest)


def _placed(columns: list[JobColumn], widths: dict[JobColumn, int]) -> tuple[ColumnPlace, ...]:
    places: list[ColumnPlace] = []
    x = MARGIN
    for column in columns:
        places.append(ColumnPlace(column, x, widths[column]))
        x += widths[column] + GAP
    return tuple(places)
