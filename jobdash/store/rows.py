"""Rows of the table ``job`` as frozen values: one list of columns, whichever door they come through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from jobdash.domain.job import JobRow
from jobdash.domain.status import TERMINAL, Status
from jobdash.domain.time import MINUTE

ROW_COLUMNS = tuple(field.name for field in fields(JobRow))
"""The columns of a `JobRow`, in the order of its fields, under their own names."""

_STATUS = ROW_COLUMNS.index("status")
_REMOTE_STATUS = ROW_COLUMNS.index("remote_status")
_CANCEL_DOUBT = ROW_COLUMNS.index("cancel_doubt")
_BY_WORD = {str(status): status for status in Status}


_TERMINAL_WORDS = ", ".join(f"'{word}'" for word in sorted(TERMINAL))
UNFINISHED_REMOTELY = f"remote_status NOT IN ({_TERMINAL_WORDS})"
"""True for jobs whose provider may still have news: exactly the text of a partial index."""


SET_BACK_MS = MINUTE
"""A time of our own that lies further ahead than this was written by a clock that has been set back since,
and counts for nothing: waiting for it could take years."""


def job_row(values: Sequence[Any]) -> JobRow:
    """Make a `JobRow` of the values of `ROW_COLUMNS`."""
    cells = list(values)
    cells[_STATUS] = _BY_WORD.get(cells[_STATUS], Status.UNKNOWN)
    cells[_REMOTE_STATUS] = _BY_WORD.get(cells[_REMOTE_STATUS], Status.UNKNOWN)
    cells[_CANCEL_DOUBT] = bool(cells[_CANCEL_DOUBT])
    return JobRow(*cells)
