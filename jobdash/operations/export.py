"""Write tables as CSV, with sanitized texts and no cell that is a spreadsheet's formula; export jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from jobdash.domain.field_values import values_of_row
from jobdash.domain.fields import Face, fields_of
from jobdash.domain.job import JobRow
from jobdash.domain.text import clean, redact
from jobdash.domain.time import Clock, system_clock
from jobdash.operations.job_lookup import Browser, Scope, Sort

_FIRST = ("id", "name", "account", "provider", "remote_id", "status", "raw_status")
FIELDS = tuple(field for field in fields_of(Face.EXPORT, _FIRST) if not field.heavy)
"""The columns, in order; times are RFC 3339 in UTC, unknown values are empty."""
_values = values_of_row(FIELDS)
_FORMULA_STARTS = ("=", "+", "-", "@")
_PAGE = 500
_TEXT_LIMIT = 64 * 1024
"""Characters of a cell."""


def export_csv(
    browser: Browser, scope: Scope, sort: Sort, folder: Path, clock: Clock = system_clock
) -> tuple[Path, int]:
    """Write the jobs of a scope into a new file in ``folder``; returns the file and how many they are.

    Raises OSError when it cannot be written. A file that is there already is never touched.
    """
    now = clock()
    stamp = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y%m%d-%H%M%S")
    path = folder / f"jobdash-{stamp}.csv"
    with path.open("x", encoding="utf-8", newline="") as file:
        cells = (list(_values(row, now).values()) for row in _rows(browser, scope, sort))
        number = write_csv(file, [field.name for field in FIELDS], cells)
    return path, number


def _rows(browser: Browser, scope: Scope, sort: Sort) -> Iterator[JobRow]:
    behind = None
    while page := browser.page(scope, sort, behind, _PAGE):
        yield from page
        behind = browser.key_of(page[-1], sort)


def write_csv(file: TextIO, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Write a table as CSV; return the number of rows below its heads.

    No text can become a spreadsheet's formula, and None is an empty cell.
    """
    import csv  # a listing as JSON needs none

    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(heads)
    written = 0
    for row in rows:
        writer.writerow([_cell(value) for value in row])
        written += 1
    return written


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        value = ", ".join(value)
    if not isinstance(value, str):
        return "" if value is None else value
    text = clean(redact(value), _TEXT_LIMIT)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
