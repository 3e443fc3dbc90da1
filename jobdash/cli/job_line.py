"""A job in words: its status, how far it is, its line in a table."""

from __future__ import annotations

from jobdash.cli.output import Style
from jobdash.cli.tables import TableCell, TableColumn
from jobdash.domain.describe.job_text import age, done_words, left, stalled, status_words
from jobdash.domain.job import JobRow
from jobdash.domain.status import Completeness, Status
from jobdash.domain.text import clean
from jobdash.domain.time import system_clock

NAME_WIDTH = 60
NONE_PASSES = "no job passes the filter"
COLUMNS = (
    TableColumn("ID"),
    TableColumn("NAME", gives=True),
    TableColumn("ACCOUNT"),
    TableColumn("STATUS"),
    TableColumn("DONE", right=True),
    TableColumn("FAILED", right=True),
    TableColumn("AGE", right=True),
    TableColumn("LEFT", right=True),
)
_TONES = {
    Status.COMPLETED: Style.QUIET,
    Status.CANCELLED: Style.QUIET,
    Status.EXPIRED: Style.WARN,
    Status.FAILED: Style.BAD,
    Status.CANCELLING: Style.WARN,
}


def status_word(row: JobRow) -> str:
    """Return the status in words, as of now."""
    return status_words(row, system_clock())


def status_tone(row: JobRow) -> Style:
    """Return what the status means at a glance; what ended well is quiet."""
    if row.outcome in {Completeness.PARTIAL, Completeness.ALL_FAILED} or stalled(row, system_clock()):
        return Style.WARN
    return _TONES.get(row.status, Style.STRONG)


def progress(row: JobRow) -> str:
    """Return ``6,214/10,000``, ``—`` when the counts are unknown."""
    if row.total is None:
        return "—" if row.done is None else f"{row.done:,}"
    return f"{row.done or 0:,}/{row.total:,}"


def known_done(row: JobRow) -> str:
    """Return ``120 of 1,000 done``; empty where that is unknown."""
    return "" if row.total is None or row.done is None else done_words(row)


def short_name(row: JobRow) -> str:
    """Return the name as it stands in a line."""
    return clean(row.name, NAME_WIDTH) or "(no name)"


def line(row: JobRow, now: int) -> list[TableCell]:
    """Return a job's cells, one for each of `COLUMNS`."""
    tone = status_tone(row)
    quiet = Style.QUIET if tone is Style.QUIET else Style.PLAIN
    failed = "—" if row.failed is None else f"{row.failed:,}"
    return [
        TableCell(row.public_id, quiet),
        TableCell(short_name(row), quiet),
        TableCell(row.account, quiet),
        TableCell(status_word(row), tone),
        TableCell(progress(row), quiet),
        TableCell(failed, Style.WARN if row.failed else Style.QUIET),
        TableCell(age(row, now), quiet),
        TableCell(left(row, now), quiet),
    ]
