"""The errors of a batch and of its failed requests, grouped by code and message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jobdash.domain.job import JobDetails
from jobdash.domain.status import Status

KEYS_OF_A_GROUP = 12
"""Keys of failed requests that are shown of one group."""


@dataclass(frozen=True, slots=True)
class FailedRequests:
    """The failed requests of a batch that are known one by one."""

    kept: int = 0
    keys: Mapping[tuple[str | None, str], tuple[str, ...]] = field(default_factory=dict)
    """By code and message, the keys of the first of them."""


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Errors of one code and message."""

    code: str | None
    message: str
    count: int
    lines: tuple[int, ...] = ()
    """Their places in the input file, for those of a file that was refused."""
    keys: tuple[str, ...] = ()
    """Keys of failed requests, the first of them."""


def failure_groups(job: JobDetails, failed: FailedRequests) -> list[FailureGroup]:
    """Return a batch's errors by code and message, the most frequent first."""
    counts: dict[tuple[str | None, str], int] = {}
    lines: dict[tuple[str | None, str], list[int]] = {}
    for error in job.errors:
        code, line = error.get("code"), error.get("line")
        group = (None if code is None else str(code), str(error.get("message") or ""))
        counts[group] = counts.get(group, 0) + _count(error)
        if isinstance(line, int):
            lines.setdefault(group, []).append(line)
    found = [
        FailureGroup(*group, count, tuple(lines.get(group, ())), failed.keys.get(group, ()))
        for group, count in counts.items()
    ]
    return sorted(found, key=lambda group: group.count, reverse=True)


def error_count(job: JobDetails) -> int:
    """Return how many errors are known: those of the batch, and its failed requests."""
    return sum(map(_count, job.errors))


def _count(error: Mapping[str, object]) -> int:
    """Return how many errors an entry stands for; those of the batch itself stand for one."""
    count = error.get("count")
    return count if isinstance(count, int) else 1


def truncated(job: JobDetails, failed: FailedRequests) -> bool:
    """Whether not every failed request of a batch is known.

    More failed than are kept here, or none was asked for yet.
    """
    return failed.kept < (job.row.failed or 0) or any(error.get("incomplete") for error in job.errors)


def worth_asking(job: JobDetails) -> bool:
    """Whether the provider may have more of a batch's errors than is known here."""
    row = job.row
    if row.remote_id is None or row.unfinished or row.collected is not None:
        return False  # fetched results have all of them
    if any(error.get("incomplete") for error in job.errors):
        return False  # more than are kept
    known = sum(_count(error) for error in job.errors if "count" in error)
    unknown = row.remote_status is Status.FAILED or "error" in job.files
    return known < (row.failed or 0) or (unknown and not job.errors)
