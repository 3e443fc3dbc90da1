"""The words for a job: its status, and what follows from the time: age, time left, stalled. Never stored."""

from __future__ import annotations

from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.status import LABELS, QUEUED_HERE, Completeness, Status
from jobdash.domain.text import clean
from jobdash.domain.time import HOUR, short_span

_RUNNING = frozenset({Status.IN_PROGRESS, Status.FINALIZING, Status.UNKNOWN})
EXPIRES_SOON_MS = 2 * HOUR
"""How long before its deadline an unfinished job is said to expire soon; less where its window is short."""
SHORT_WINDOW_SHARE = 4
WAITS = "waits for its script"
"""Shown after the status of a retried local job that has no worker yet."""
WAITS_FOR_WORKER = "waits for a worker"
"""Shown after the status of a function's job that no worker runs."""
STARTING = "its script is starting"


def left_ms(row: JobRow, now: int) -> int | None:
    """Return the milliseconds a running job needs at its present rate; None when that is unknown."""
    if row.status not in _RUNNING or row.gone or row.done is None or row.remaining is None:
        return None
    if stalled(row, now):
        return None
    done = row.done - (row.done_before or 0)
    elapsed = now - (row.started_at or row.created_at)
    return int(elapsed / done * row.remaining) if elapsed > 0 and done > 0 else None


def left(row: JobRow, now: int) -> str:
    """Return ``~41m``, or an empty text when that is unknown."""
    ms = left_ms(row, now)
    return "" if ms is None else f"~{short_span(ms)}"


def window_part(row: JobRow, now: int) -> float | None:
    """Return how much of its window an unfinished batch has used, of 1, where its provider counts nothing.

    None where requests are counted, where it says a part itself, or where the window is not known.
    """
    if row.terminal or row.gone or row.expires_at is None or (row.done, row.percent) != (None, None):
        return None
    window = row.expires_at - row.created_at
    return min(1.0, max(0.0, (now - row.created_at) / window)) if window > 0 else None


def window_words(row: JobRow, now: int) -> str:
    """Return ``3h of 24h gone`` where `window_part` knows a part; else an empty text."""
    if row.expires_at is None or window_part(row, now) is None:
        return ""
    return f"{short_span(now - row.created_at)} of {short_span(row.expires_at - row.created_at)} gone"


def expires_in(row: JobRow, now: int) -> str:
    """Return ``expires in 21h`` for an unfinished job with a deadline, else an empty text."""
    if row.terminal or row.expires_at is None:
        return ""
    ms = row.expires_at - now
    return f"expires in {short_span(ms)}" if ms > 0 else f"past its deadline by {short_span(-ms)}"


def soon_ms(row: JobRow, expires_at: int) -> int:
    """Return how long before its deadline a job expires soon: two hours, or the last quarter of less."""
    window = max(0, expires_at - row.created_at)
    return min(EXPIRES_SOON_MS, window // SHORT_WINDOW_SHARE)


def done_words(row: JobRow, word: str = "done") -> str:
    """Return how many requests or items are done: ``25 of 100 done``; no 0 where none are counted."""
    if row.done is None and row.percent is not None:
        return f"{row.percent}%{'' if row.total is None else f' of {row.total:,}'} {word}"
    if row.done is None and row.total is not None:
        return f"how many of {row.total:,} is not known"
    return f"{row.done or 0:,} {word}" if row.total is None else f"{row.done or 0:,} of {row.total:,} {word}"


def adopt_words(row: JobRow) -> str:
    """Return how a person says which batch an unconfirmed job is."""
    return f"jobdash adopt {row.public_id} says which batch it is, or none"


def stalled(row: JobRow, now: int) -> bool:
    """Whether a local job's worker did not renew its lease."""
    return row.status is Status.IN_PROGRESS and row.lease_until is not None and row.lease_until < now


def worker_gone(row: JobRow, now: int) -> bool:
    """Whether a local job is asked to stop, and its worker did not renew its lease."""
    if not row.local or row.status is not Status.CANCELLING:
        return False
    return row.lease_until is None or row.lease_until < now


def waits_for_script(row: JobRow) -> bool:
    """Whether a script's job was retried, and has no worker yet."""
    return row.local and row.function is None and row.status is Status.PENDING


def waits_for_worker(row: JobRow) -> bool:
    """Whether no worker runs a function's job, which has not ended."""
    return row.function is not None and row.status is Status.PENDING


def parts_text(job: JobDetails) -> str:
    """Return how many parts of a function's job are done, and what the others do: ``done 2, left 6``."""
    states = dict(job.parts or {})
    if job.row.terminal and states:  # what has no worker then waits for none
        states = {"done": states["done"], "left": states["waiting"]}
    return ", ".join(f"{state} {number:,}" for state, number in states.items())


def runner(row: JobRow) -> str:
    """Return what runs a local job: ``its script`` or ``its workers``."""
    return "its script" if row.function is None else "its workers"


def starting(row: JobRow, now: int) -> bool:
    """Whether the script of a job that waits for it was started a moment ago, and has not begun yet."""
    return waits_for_script(row) and row.lease_until is not None and row.lease_until >= now


def remark(row: JobRow, now: int) -> str:
    """Return the words after the status of a local job: ``stalled``; mostly empty."""
    if waits_for_script(row):
        return STARTING if starting(row, now) else WAITS
    if waits_for_worker(row):
        return WAITS_FOR_WORKER
    if worker_gone(row, now):
        return "worker gone"
    return "stalled" if stalled(row, now) else ""


def status_suffix(row: JobRow, now: int, dot: str = "·") -> str:
    """Return the words after the status in a line: `` · waits for its script``, `` (worker gone)``."""
    if worker_gone(row, now):
        return f" ({remark(row, now)})"
    if row.queued_here and not row.terminal:
        return f" {dot} {QUEUED_HERE}"
    return f" {dot} {remark(row, now)}" if waits_for_script(row) or waits_for_worker(row) else ""


OUTCOME_WORDS = {Completeness.PARTIAL: "partial", Completeness.ALL_FAILED: "all failed"}
"""What a completed job is called in which requests failed."""


def ended_word(row: JobRow) -> str:
    """Return the word for a job's status, whatever the time: ``partial`` where requests failed."""
    outcome = row.outcome
    return LABELS[row.status] if outcome is None else OUTCOME_WORDS.get(outcome, LABELS[row.status])


def shown_status(row: JobRow, now: int) -> str:
    """Return the one word for a job in commands, JSON and dashboard.

    It is the status in words, else ``partial``, ``all failed``, ``stalled``, ``gone``, ``removing``, or an
    unknown word as its provider wrote it. A cancel without a worker is shown as ``cancelled``, which it is
    about to be.
    """
    if row.gone:
        return "gone"
    if row.removing is not None:
        return "removing"
    if stalled(row, now):
        return "stalled"
    if worker_gone(row, now):
        return LABELS[Status.CANCELLED]
    if row.status is Status.UNKNOWN:
        return clean(row.raw_status or "unknown", 24)
    return ended_word(row)


def status_words(row: JobRow, now: int) -> str:
    """Return the status as a command prints it: `shown_status` with what follows from the time.

    ``pending · waits for its script``; an unknown word as its provider wrote it, with ``?``.
    """
    if row.removed_at is not None:
        return "removed"
    word = shown_status(row, now)
    if row.gone:
        return f"? {word}"
    if row.status is Status.UNKNOWN and row.removing is None:
        return f"{word.removesuffix('?')}?"
    return f"{word}{status_suffix(row, now)}"
