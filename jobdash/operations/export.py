"""Export of jobs to a CSV file: every text sanitized, none a formula to a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from jobdash.domain.job import JobRow
from jobdash.domain.text import clean, redact
from jobdash.domain.time import Clock, system_clock, utc_date
from jobdash.operations.job_lookup import Browser, Scope, Sort

FIELDS = (
    "id", "name", "account", "provider", "remote_id", "status", "raw_status", "outcome", "model", "endpoint",
    "total", "succeeded", "failed", "remaining", "created_at", "started_at", "finished_at", "expires_at",
    "error",
)  # fmt: skip
"""The columns, in order; times are RFC 3339 in UTC, unknown values are empty."""
_TIMES = frozenset({"created_at", "started_at", "finished_at", "expires_at"})
_FORMULA_STARTS = ("=", "+", "-", "@")
_PAGE = 500


def export_csv(
    browser: Browser, scope: Scope, sort: Sort, folder: Path, clock: Clock = system_clock
) -> tuple[Path, int]:
    """Write the jobs of a scope into a new file in ``folder``; returns the file and how many they are.

    Raises OSError when it cannot be written. A file that is there already is never touched.
    """
    stamp = datetime.fromtimestamp(clock() / 1000, UTC).strftime("%Y%m%d-%H%M%S")
    path = folder / f"jobdash-{stamp}.csv"
    number = 0
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        for row in _rows(browser, scope, sort):
            writer.writerow([_cell(row, field) for field in FIELDS])
            number += 1
    return path, number


def _rows(browser: Browser, scope: Scope, sort: Sort) -> Iterator[JobRow]:
    behind = None
    while page := browser.page(scope, sort, behind, _PAGE):
        yield from page
        behind = browser.key_of(page[-1], sort)


def _cell(row: JobRow, field: str) -> str | int:
    value: str | int | None = row.public_id if field == "id" else getattr(row, field)
    if value is None:
        return ""
    if isinstance(value, str):
        return safe_text(value)
    if field in _TIMES:
        date = utc_date(value)
        return "" if date is None else date.isoformat(timespec="seconds")
    return value


def safe_text(text: str) -> str:
    """Return a text as a cell that no spreadsheet takes for a formula."""
    gated = clean(redact(text))
    return f"'{gated}" if gated.startswith(_FORMULA_STARTS) else gated
