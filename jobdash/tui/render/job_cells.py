"""The cells of a job in the table: sanitized and fitted texts, each with the name of its style."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import NamedTuple

from rich.cells import cell_len

from jobdash.domain.describe import job_text
from jobdash.domain.field_values import cell_text
from jobdash.domain.fields import COLUMNS, JOB_FIELDS, JobField, Kind
from jobdash.domain.job import JobRow
from jobdash.domain.money import MICROS, cost_text
from jobdash.domain.status import Completeness, Status
from jobdash.domain.text import clean, short_count
from jobdash.tui.render.symbols import Symbols
from jobdash.tui.render.text import Piece, cut, fit

_STATUS_STYLE = {
    Status.PENDING: "text",
    Status.VALIDATING: "success",
    Status.IN_PROGRESS: "success",
    Status.FINALIZING: "success",
    Status.CANCELLING: "warning",
    Status.COMPLETED: "muted",
    Status.FAILED: "error",
    Status.EXPIRED: "warning",
    Status.CANCELLED: "muted",
    Status.UNKNOWN: "warning",
}
_OUTCOME_STYLE = {Completeness.OK: "muted", Completeness.PARTIAL: "warning", Completeness.ALL_FAILED: "error"}


def status_style(row: JobRow, now: int | None = None) -> str:
    """Return the style of a job's status: colour only where it means something.

    With ``now`` it also follows from the time: a job whose worker has not renewed its lease.
    """
    if row.gone or (now is not None and row.stalled(now)):
        return "warning"
    if now is not None and row.worker_gone(now):
        return "muted"
    if row.outcome is not None:
        return _OUTCOME_STYLE[row.outcome]
    return _STATUS_STYLE[row.status]


def status_words(row: JobRow, now: int, symbols: Symbols) -> tuple[str, str]:
    """Return a job's glyph and word; a completed job in which something failed has a word of its own."""
    return _glyph(row, now, symbols), job_text.shown_status(row, now)


def _glyph(row: JobRow, now: int, symbols: Symbols) -> str:
    if row.gone:
        return symbols.gone
    if row.removing is not None:
        return symbols.status[Status.CANCELLING]
    if row.stalled(now):
        return symbols.warning
    if row.worker_gone(now):
        return symbols.status[Status.CANCELLED]
    if row.stuck_cancelling(now) or row.unrecorded:
        return symbols.warning
    return symbols.status[Status.FAILED if row.outcome is Completeness.ALL_FAILED else row.status]


def name_style(row: JobRow) -> str:
    """Return the style of a job's name: what is unfinished stands out, what ended well is quiet."""
    if row.unfinished:
        return "bright"
    return "muted" if row.status in {Status.CANCELLED, Status.COMPLETED} else "text"


def counts(row: JobRow, none: str, width: int | None = None) -> str:
    """Return ``6,214/10,000``, or ``62%``; what is not known is a dash, never a zero.

    In ``width`` cells no digit is cut: first the total is abbreviated, then both are.
    """
    if row.done is None and row.percent is not None:
        return f"{row.percent}%"
    if row.total is None and row.done is None:
        return none
    done, total = (none if number is None else f"{number:,}" for number in (row.done, row.total))
    short_done, short_total = (
        none if number is None else short_count(number) for number in (row.done, row.total)
    )
    forms = (f"{done}/{total}", f"{done}/{short_total}", f"{short_done}/{short_total}")
    return next((text for text in forms if width is None or len(text) <= width), forms[-1])


def _number(number: int | None, width: int) -> str:
    if number is None:
        return ""
    text = f"{number:,}"
    return text if len(text) <= width else short_count(number)


def bar(row: JobRow, width: int, symbols: Symbols, now: int | None = None) -> list[Piece]:
    """Return a progress bar in exactly ``width`` cells, to half a cell.

    Where nothing is counted, dashes: heavy ones for the part of its window that has gone, one at least.
    """
    if row.done is None and row.percent is not None:
        halves = min(2 * width, row.percent * 2 * width // 100)
    elif row.total is None or row.done is None or row.total <= 0:
        if row.unfinished:
            part = None if now is None else row.window_part(now)
            gone = 0 if part is None else min(width, max(1, round(width * part)))
            parts = ((symbols.dashes_gone * gone, "muted"), (symbols.dashes * (width - gone), "track"))
            return [(dashes, style) for dashes, style in parts if dashes]
        filled = width if row.status is Status.COMPLETED else 0
        halves = filled * 2
    else:
        halves = min(2 * width, row.done * 2 * width // row.total)
    full, half = divmod(halves, 2)
    pieces: list[Piece] = []
    if full:
        pieces.append((symbols.bar * full, _bar_style(row, now)))
    if half:
        pieces.append((symbols.half, _bar_style(row, now)))
    if rest := width - full - half:
        pieces.append((symbols.track * rest, "track"))
    return pieces


def _bar_style(row: JobRow, now: int | None) -> str:
    if row.outcome is Completeness.OK:
        return "done"
    style = status_style(row, now)
    return "muted" if style == "text" else style


Cell = Callable[[JobRow, int, int, Symbols], Piece]
"""Makes the text of a column for a row, a width in cells, the time and symbols."""


def _status(row: JobRow, _width: int, now: int, symbols: Symbols) -> Piece:
    return " ".join(status_words(row, now, symbols)), status_style(row, now)


def _failed(row: JobRow, width: int, _now: int, _symbols: Symbols) -> Piece:
    return _number(row.failed, width), "error" if row.failed else "muted"


def _total(row: JobRow, width: int, _now: int, symbols: Symbols) -> Piece:
    return counts(row, symbols.none, width), "text" if row.unfinished else "muted"


def _cost(row: JobRow, width: int, _now: int, symbols: Symbols) -> Piece:
    text = cost_text(row.cost, row.cost_is_upper_bound, symbols.at_most)
    if len(text) > width and row.cost is not None:  # no digit is cut
        text = f"{symbols.at_most if row.cost_is_upper_bound else ''}${short_count(row.cost // MICROS)}"
    return text or symbols.none, "muted"


def _left(row: JobRow, _width: int, now: int, symbols: Symbols) -> Piece:
    return job_text.left(row, now) or symbols.none, "muted"


def _plain(field: JobField) -> Cell:
    """Return what draws a field by its kind; no digit of a number is cut."""
    text, read = cell_text(field), attrgetter(field.source)
    if field.kind is Kind.NUMBER:
        return lambda row, width, _now, _symbols: (_number(read(row), width), "muted")
    return lambda row, _width, now, _symbols: (clean(text(row, now)), "muted")


CELLS: dict[str, Cell] = {field.name: _plain(field) for field in JOB_FIELDS if field.column} | {
    "name": lambda row, *_: (clean(row.name), name_style(row)),
    "status": _status,
    "total": _total,
    "failed": _failed,
    "left": _left,
    "cost": _cost,
}
"""By column, all but the bar."""


class FamilyMark(NamedTuple):
    """How a line shows its family; without a sign it is a member beneath its head."""

    sign: str = ""
    size: int = 0
    revision: int = 0
    """Of the last change of a member, where the line shows the values of all."""
    more_cost: bool = False
    """The cost of a member is not known."""


def line(
    row: JobRow,
    places: dict[str, int],
    now: int,
    symbols: Symbols,
    *,
    queued: bool = False,
    dim: bool = False,
    family: FamilyMark | None = None,
) -> dict[str, list[Piece]]:
    """Return the pieces of every column; ``places`` gives the columns' widths in cells.

    ``queued``: an action on the job waits for its turn. ``dim``: it is of another person's account.
    """
    drawn: dict[str, list[Piece]] = {}
    for column, width in places.items():
        if column == "progress":
            drawn[column] = bar(row, width, symbols, now)
            continue
        text, style = CELLS[column](row, width, now, symbols)
        if dim and column == "name":
            style = "muted"
        if queued and column == "status":
            text = f"{_glyph(row, now, symbols)} queued"
        if family is not None and column == "name":
            text = _name_in_family(text, family, width, symbols.more)
        if family is not None and family.more_cost and column == "cost" and row.cost is not None:
            text = f"{text}+"
        drawn[column] = [(_aligned(text, width, COLUMNS[column].right, symbols.more), style)]
    return drawn


def _name_in_family(name: str, family: FamilyMark, width: int, more: str) -> str:
    """Return a name between its sign and the number of members, which are never cut off."""
    if not family.sign:
        return f"    {name}"
    begin, end = f"{family.sign} ", f" ({family.size:,})"
    return f"{begin}{cut(name, max(1, width - cell_len(begin + end)), more)}{end}"


def _aligned(text: str, width: int, right: bool, more: str) -> str:
    if right and cell_len(text) < width:
        return text.rjust(width)
    return fit(text, width, more)
