"""The words for a job: its status, and what follows from the time: age, time left, stalled. Never stored."""

from __future__ import annotations

from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.status import LABELS, QUEUED_HERE, Completeness, Status
from jobdash.domain.text import clean
from jobdash.domain.time import HOUR, short_span

EXPIRES_SOON_MS = 2 * HOUR
"""How long before its deadline an unfinished job is said to expire soon; less where its window is short."""
SHORT_WINDOW_SHARE = 4
WAITS = "waits for its script"
"""Shown after the status of a retried local job that has no worker yet."""
WAITS_FOR_WORKER = "waits for a worker"
"""Shown after the status of a function's job that no worker runs."""
STARTING = "its script is starting"


def left(row: JobRow, now: int) -> str:
    """Return ``~41m``, or an empty text when that is unknown."""
    ms = row.left_ms(now)
    return "" if ms is None else f"~{short_span(ms)}"


def window_words(row: JobRow, now: int) -> str:
    """Return ``3h of 24h gone`` where `window_part` knows a part; else an empty text."""
    if row.expires_at is None or row.window_part(now) is None:
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


def parts_text(job: JobDetails) -> str:
    """Return how many parts of a function's job are done, and what the others do: ``done 2, left 6``."""
    states = dict(job.parts or {})
    if job.row.terminal and states:  # what has no worker then waits for none
        states = {"done": states["done"], "left": states["waiting"]}
    return ", ".join(f"{state} {number:,}" for state, number in states.items())


def runner(row: JobRow) -> str:
    """Return what runs a local job: ``its script`` or ``its workers``."""
    return "its script" if row.function is None else "its workers"


def worker_command(row: JobRow) -> str:
    """Return the command that starts a worker for a function's job."""
    return clean(f"jobdash worker {(row.function or '').partition(':')[0]}", 120)


def nobody_runs(row: JobRow) -> str:
    """Return that nothing runs a local job, and how it goes on."""
    if row.function is not None:
        return f"stalled: no worker of it is heard of any more; start a worker: {worker_command(row)}"
    left = WAITS if row.waits_for_script else "stalled: its script is not heard of any more"
    return f"{left}; run it, or jobdash retry {row.public_id} --start"


def remark(row: JobRow, now: int) -> str:
    """Return the words after the status of a local job: ``stalled``; mostly empty."""
    if row.waits_for_script:
        return STARTING if row.starting(now) else WAITS
    if row.waits_for_worker:
        return WAITS_FOR_WORKER
    if row.worker_gone(now):
        return "worker gone"
    return "stalled" if row.stalled(now) else ""


def status_suffix(row: JobRow, now: int, dot: str = "·") -> str:
    """Return the words after the status in a line: `` · waits for its script``, `` (worker gone)``."""
    if row.worker_gone(now):
        return f" ({remark(row, now)})"
    if row.queued_here and not row.terminal:
        return f" {dot} {QUEUED_HERE}"
    if row.unrecorded:
        return f" {dot} {row.unrecorded:,} not recorded"
    return f" {dot} {remark(row, now)}" if row.waits_for_script or row.waits_for_worker else ""


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
    if row.stalled(now):
        return "stalled"
    if row.worker_gone(now):
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
