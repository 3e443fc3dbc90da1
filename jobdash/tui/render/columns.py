"""The layout of the job table's columns for a width of the terminal; the columns are from `domain.fields`."""

from __future__ import annotations

from typing import NamedTuple

from jobdash.domain.fields import COLUMNS, JOB_FIELDS, Kind

COLUMN_ORDERS = {field.name: field.order.name for field in JOB_FIELDS if field.column and field.order}
"""The order that a click on a column's header sorts by."""
_DROPPED = sorted((one for one in COLUMNS if COLUMNS[one].dropped), key=lambda one: COLUMNS[one].dropped)
_ALWAYS = frozenset({"name", "status"})
_TIMED = frozenset(field.name for field in JOB_FIELDS if field.timed or field.kind is Kind.TIME)

MARGIN = 3
"""Cells in front of the name: cursor, mark, space."""
GAP = 2
_COUNTS_MOST = 19
"""``1,000,000/1,000,000``; where there is less room, totals are abbreviated."""
_COUNTS_LEAST = 9
"""``999k/999k``."""
_NAME_LEAST, _NAME_MOST = 4, 60
_BAR_MOST = 32


class ColumnPlace(NamedTuple):
    """One column on the line: its first cell and its width."""

    column: str
    """The name of its field."""
    start: int
    width: int


class ColumnLayout(NamedTuple):
    """All columns of one width; equal inputs give equal layouts, so nothing shifts on refresh."""

    width: int
    places: tuple[ColumnPlace, ...]

    @property
    def clock_start(self) -> int:
        """The first cell of what changes with the time alone; the width where there is nothing such."""
        return min((place.start for place in self.timed), default=self.width)

    @property
    def timed(self) -> list[ColumnPlace]:
        """The columns that change with the time alone."""
        return [place for place in self.places if place.column in _TIMED]

    def at(self, x: int) -> str | None:
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
    minimum = {column: spec.width for column, spec in COLUMNS.items()}
    minimum["account"] = min(14, max(minimum["account"], account_width))
    columns = [column for column in COLUMNS if _is_chosen(column, chosen)]
    columns = [column for column in columns if width >= COLUMNS[column].comfort]
    room = width - MARGIN - 2
    for candidate in _DROPPED:
        if _needed(columns, minimum) <= room:
            break
        if candidate in columns:
            columns.remove(candidate)
    spare = room - _needed(columns, minimum)
    widths = {column: minimum[column] for column in columns}
    if (more := min(_COUNTS_MOST - widths.get("total", _COUNTS_MOST), spare // 5)) > 0:
        widths["total"] += more
        spare -= more
    _widen(widths, spare)
    return ColumnLayout(width, _placed(columns, widths))


def toggled(chosen: tuple[str, ...], setting: str) -> tuple[str, ...]:
    """Return a choice of columns with one more, or without it where it was chosen; empty is the default."""
    shown = chosen or tuple(spec.setting or name for name, spec in COLUMNS.items() if spec.default)
    return tuple(one for one in shown if one != setting) if setting in shown else (*shown, setting)


def _is_chosen(column: str, chosen: tuple[str, ...]) -> bool:
    spec = COLUMNS[column]
    return column in _ALWAYS or ((spec.setting or column) in chosen if chosen else spec.default)


def _needed(columns: list[str], minimum: dict[str, int]) -> int:
    return sum(minimum[column] for column in columns) + _gap(columns)


def _gap(columns: list[str]) -> int:
    return GAP * (len(columns) - 1)


def _widen(widths: dict[str, int], spare: int) -> None:
    """Share what is left between name and bar, three to two, then give the rest to the name."""
    if spare < 0:
        less = min(-spare, widths["total"] - _COUNTS_LEAST)
        widths["total"] -= less
        widths["name"] = max(_NAME_LEAST, widths["name"] + spare + less)
        return
    bar = min(_BAR_MOST - widths["progress"], spare * 2 // 5) if "progress" in widths else 0
    if bar:
        widths["progress"] += bar
    name = min(_NAME_MOST - widths["name"], spare - bar)
    widths["name"] += name
    rest = spare - bar - name
    for column in widths:
        if COLUMNS[column].most and rest > 0:
            more = min(rest, COLUMNS[column].most - widths[column])
            widths[column] += more
            rest -= more
    widths["name"] += max(0, rest)


def _placed(columns: list[str], widths: dict[str, int]) -> tuple[ColumnPlace, ...]:
    places: list[ColumnPlace] = []
    x = MARGIN
    for column in columns:
        places.append(ColumnPlace(column, x, widths[column]))
        x += widths[column] + GAP
    return tuple(places)
