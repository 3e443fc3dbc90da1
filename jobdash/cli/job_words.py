"""A job in words: its status, how far it is, its line in a table."""

from __future__ import annotations

from jobdash.cli.out import Tone
from jobdash.cli.tables import Cell, Column
from jobdash.domain.clock import system_clock
from jobdash.domain.describe.job_text import age, left, local_status, shown_status, stalled
from jobdash.domain.job import JobRow
from jobdash.domain.status import Completeness, Status
from jobdash.domain.text import clean

NAME_WIDTH = 60
NONE_PASSES = "no job passes the filter"
COLUMNS = (
    Column("ID"),
    Column("NAME", gives=True),
    Column("ACCOUNT"),
    Column("STATUS"),
    Column("DONE", right=True),
    Column("FAILED", right=True),
    Column("AGE", right=True),
    Column("LEFT", right=True),
)
_TONES = {
    Status.COMPLETED: Tone.QUIET,
    Status.CANCELLED: Tone.QUIET,
    Status.EXPIRED: Tone.WARN,
    Status.FAILED: Tone.BAD,
    Status.CANCELLING: Tone.WARN,
}


def status_word(row: JobRow) -> str:
    """Return the status as every face shows it; a word nobody knows as its provider wrote it, with ``?``.

    With what else the clock says of a local job: ``pending · waits for its script``.
    """
    now = system_clock()
    if row.removed_at is not None:
        return "removed"
    word = shown_status(row, now)
    if row.gone:
        return f"? {word}"
    if row.status is Status.UNKNOWN and row.removing is None:
        return f"{word.removesuffix('?')}?"
    return local_status(row, now) if row.local else word


def status_tone(row: JobRow) -> Tone:
    """Return what the status means at a glance; what ended well is quiet."""
    if row.outcome in {Completeness.PARTIAL, Completeness.ALL_FAILED} or stalled(row, system_clock()):
        return Tone.WARN
    return _TONES.get(row.status, Tone.STRONG)


def progress(row: JobRow) -> str:
    """Return ``6,214/10,000``, ``—`` when nobody told us anything."""
    if row.total is None:
        return "—" if row.done is None else f"{row.done:,}"
    return f"{row.done or 0:,}/{row.total:,}"


def done_words(row: JobRow) -> str:
    """Return ``120 of 1,000 done``; empty when nobody told us."""
    return "" if row.total is None or row.done is None else f"{row.done:,} of {row.total:,} done"


def short_name(row: JobRow) -> str:
    """Return the name as it stands in a line."""
    return clean(row.name, NAME_WIDTH) or "(no name)"


def line(row: JobRow, now: int) -> list[Cell]:
    """Return a job's cells, one for each of `COLUMNS`."""
    tone = status_tone(row)
    quiet = Tone.QUIET if tone is Tone.QUIET else Tone.PLAIN
    failed = "—" if row.failed is None else f"{row.failed:,}"
    return [
        Cell(row.public_id, quiet),
        Cell(short_name(row), quiet),
        Cell(row.account, quiet),
        Cell(status_word(row), tone),
        Cell(progress(row), quiet),
        Cell(failed, Tone.WARN if row.failed else Tone.QUIET),
        Cell(age(row, now), quiet),
        Cell(left(row, now), quiet),
    ]
