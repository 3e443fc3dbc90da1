"""A job in words: its status, how far it is, its line in a table."""

from __future__ import annotations

from collections.abc import Callable

from jobdash.cli.clock import store_time
from jobdash.cli.output import Style
from jobdash.cli.tables import TableCell, TableColumn
from jobdash.domain.describe.job_text import done_words, left, status_words
from jobdash.domain.field_values import cell_text
from jobdash.domain.fields import JOB_FIELDS, Kind
from jobdash.domain.job import JobRow
from jobdash.domain.status import Completeness, Status
from jobdash.domain.text import clean

NAME_WIDTH = 60
NONE_PASSES = "no job passes the filter"
_TONES = {
    Status.COMPLETED: Style.QUIET,
    Status.CANCELLED: Style.QUIET,
    Status.EXPIRED: Style.WARN,
    Status.FAILED: Style.BAD,
    Status.CANCELLING: Style.WARN,
}


def status_word(row: JobRow) -> str:
    """Return the status in words, as of now."""
    return status_words(row, store_time())


def status_style(row: JobRow) -> Style:
    """Return what the status means at a glance; what ended well is quiet."""
    if row.outcome in {Completeness.PARTIAL, Completeness.ALL_FAILED} or row.stalled(store_time()):
        return Style.WARN
    return _TONES.get(row.status, Style.STRONG)


def progress(row: JobRow) -> str:
    """Return ``6,214/10,000``, or ``62%``; what is not known is a dash, never a zero."""
    if row.done is None and row.percent is not None:
        return f"{row.percent}%"
    done = "—" if row.done is None else f"{row.done:,}"
    return done if row.total is None else f"{done}/{row.total:,}"


def known_done(row: JobRow) -> str:
    """Return ``120 of 1,000 done``, or ``12% of 1,000 done``; empty where that is unknown."""
    known = row.percent is not None if row.done is None else row.total is not None
    return done_words(row) if known else ""


def short_name(row: JobRow) -> str:
    """Return the name as it stands in a line."""
    return clean(row.name, NAME_WIDTH) or "(no name)"


def _failed(row: JobRow, _now: int) -> str:
    return "—" if row.failed is None else f"{row.failed:,}"


_SPECIAL: dict[str, Callable[[JobRow, int], str]] = {
    "name": lambda row, _now: short_name(row),
    "status": status_words,
    "progress": lambda row, _now: progress(row),
    "failed": _failed,
    "left": left,
}
_LISTED = [field for field in JOB_FIELDS if field.listed]
_CELLS = [(field.name, _SPECIAL.get(field.name) or cell_text(field)) for field in _LISTED]
COLUMNS = tuple(
    TableColumn(field.listed, right=field.kind in {Kind.NUMBER, Kind.TIME}, gives=field.name == "name")
    for field in _LISTED
)

WHY = TableColumn("WHY", gives=True)
"""Why a job needs attention, in a list of those that do."""


def line(row: JobRow, now: int) -> list[TableCell]:
    """Return a job's cells, one for each of `COLUMNS`."""
    tone = status_style(row)
    quiet = Style.QUIET if tone is Style.QUIET else Style.PLAIN
    own = {"status": tone, "failed": Style.WARN if row.failed else Style.QUIET}
    return [TableCell(write(row, now), own.get(name, quiet)) for name, write in _CELLS]
