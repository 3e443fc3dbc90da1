"""The values of a job's fields, converted as JSON and CSV have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from jobdash.domain.describe.job_text import shown_status
from jobdash.domain.fields import JobField, Kind
from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.money import MICROS
from jobdash.domain.time import rfc3339, short_span


def _word(row: JobRow, now: int) -> str:
    return "removed" if row.removed_at is not None else shown_status(row, now)


_TIMED: dict[str, Callable[[JobRow, int], Any]] = {"stalled": JobRow.stalled, "shown_status": _word}
"""What follows from a row and the time, milliseconds UTC."""


def values_of_details(fields: Sequence[JobField]) -> Callable[[JobDetails, int], dict[str, Any]]:
    """Return the function that makes the values of a job, by field; times are RFC 3339."""
    values = _values_of(fields, [field.path for field in fields])
    return lambda job, now: values(job, job.row, now)


def values_of_row(fields: Sequence[JobField]) -> Callable[[JobRow, int], dict[str, Any]]:
    """Return `values_of_details` for rows alone; none of the fields may be one of the details."""
    values = _values_of(fields, [field.source for field in fields])
    return lambda row, now: values(row, row, now)


def _values_of(
    fields: Sequence[JobField], paths: Sequence[str]
) -> Callable[[JobDetails | JobRow, JobRow, int], dict[str, Any]]:
    """Prepare all that is alike for every job: a listing may have a million."""
    blank = dict.fromkeys(field.name for field in fields)
    kept = {field.name: path for field, path in zip(fields, paths, strict=True) if not field.timed}
    read = attrgetter(*kept.values())
    times = [field.name for field in fields if field.kind is Kind.TIME]
    amounts = [field.name for field in fields if field.kind is Kind.MONEY]
    timed = [(field.name, _TIMED[field.name]) for field in fields if field.timed]

    def values(holder: JobDetails | JobRow, row: JobRow, now: int) -> dict[str, Any]:
        found = blank.copy()
        found.update(zip(kept, read(holder), strict=True))
        for name in times:
            found[name] = rfc3339(found[name])
        for name in amounts:
            micros = found[name]
            found[name] = None if micros is None else micros / MICROS
        for name, compute in timed:
            found[name] = compute(row, now)
        return found

    return values


def cell_text(field: JobField) -> Callable[[JobRow, int], str]:
    """Return the function that makes a field's text in a column; a time is how long it is past.

    The text is empty where nothing is known, and not sanitized.
    """
    read: Callable[[JobRow], Any] = attrgetter(field.source)

    def text(row: JobRow, now: int) -> str:
        value = read(row)
        return short_span(now - value) if value is not None and field.kind is Kind.TIME else plain_text(value)

    return text


def plain_text(value: Any) -> str:
    """Return any value but a time as text, not sanitized; empty for None and for nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain_text(part)}" for name, part in value.items())
    return value if isinstance(value, str) else ", ".join(map(plain_text, value))
