"""What the clock says of a job when it is drawn: age, time left, stuck, expires soon. Never stored."""

from __future__ import annotations

from jobdash.domain.duration import HOUR, short_span
from jobdash.domain.job import JobRow
from jobdash.domain.status import LABELS, Status

_RUNNING = frozenset({Status.IN_PROGRESS, Status.FINALIZING, Status.UNKNOWN})
EXPIRES_SOON_MS = 2 * HOUR
WAITS = "waits for its script"
"""What a retried local job does that nobody runs yet."""
STARTING = "its script is starting"


def age(row: JobRow, now: int) -> str:
    """Return the time since it was created: ``2h``."""
    return short_span(now - row.created_at)


def left_ms(row: JobRow, now: int) -> int | None:
    """Return the milliseconds a running job needs at the pace it had so far; None when nobody can tell."""
    if row.status not in _RUNNING or row.gone or row.done is None or row.remaining is None:
        return None
    if stalled(row, now):
        return None
    done = row.done - (row.done_before or 0)
    elapsed = now - (row.started_at or row.created_at)
    return int(elapsed / done * row.remaining) if elapsed > 0 and done > 0 else None


def left(row: JobRow, now: int) -> str:
    """Return ``~41m``, or an empty text when nobody can tell."""
    ms = left_ms(row, now)
    return "" if ms is None else f"~{short_span(ms)}"


def expires_in(row: JobRow, now: int) -> str:
    """Return ``expires in 21h`` for an unfinished job with a deadline, else an empty text."""
    if row.terminal or row.expires_at is None:
        return ""
    ms = row.expires_at - now
    return f"expires in {short_span(ms)}" if ms > 0 else f"past its deadline by {short_span(-ms)}"


def stalled(row: JobRow, now: int) -> bool:
    """Whether a local job's worker has not been heard of within its lease."""
    return row.status is Status.IN_PROGRESS and row.lease_until is not None and row.lease_until < now


def worker_gone(row: JobRow, now: int) -> bool:
    """Whether a local job is asked to stop, and its worker has not been heard of within its lease."""
    if not row.local or row.status is not Status.CANCELLING:
        return False
    return row.lease_until is None or row.lease_until < now


def waits_for_script(row: JobRow) -> bool:
    """Whether a local job was retried, and nobody runs it yet."""
    return row.local and row.status is Status.PENDING


def starting(row: JobRow, now: int) -> bool:
    """Whether the script of a job that waits for it was started a moment ago, and has not begun yet."""
    return waits_for_script(row) and row.lease_until is not None and row.lease_until >= now


def remark(row: JobRow, now: int) -> str:
    """Return what stands behind the status of a local job: ``stalled``; mostly empty."""
    if waits_for_script(row):
        return STARTING if starting(row, now) else WAITS
    if worker_gone(row, now):
        return "worker gone"
    return "stalled" if stalled(row, now) else ""


def local_status(row: JobRow, now: int) -> str:
    """Return the status of a local job with what the clock says of it: ``running · stalled``.

    A cancel that no worker lives to answer is drawn as what it is about to become.
    """
    told = remark(row, now)
    if worker_gone(row, now):
        return f"{LABELS[Status.CANCELLED]} ({told})"
    return f"{LABELS[row.status]} · {told}" if told else LABELS[row.status]
