"""Attention: which jobs a person should look at, why, and since when. Never stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from jobdash.domain.describe.job_text import EXPIRES_SOON_MS, ended_word, stalled
from jobdash.domain.job import CANCEL_STUCK_MS, JobRow
from jobdash.domain.status import Completeness, Status
from jobdash.domain.text import clean
from jobdash.domain.time import DAY, HOUR, short_span

ENDED_WITHIN_MS = 7 * DAY
"""What ended longer ago than this needs no attention any more."""
RESULTS_GONE_SOON_MS = DAY
LEAST_PATIENCE_MS = HOUR
"""The least time without progress that is unusual, however fast others were."""
_WAITING = frozenset({Status.PENDING, Status.VALIDATING})
_RUNNING = frozenset({Status.IN_PROGRESS, Status.FINALIZING, Status.UNKNOWN})


class AttentionReason(StrEnum):
    """Why a job needs attention."""

    FAILED = "failed"
    """It failed, expired, or requests of it failed."""
    STALLED = "stalled"
    PENDING = "pending long"
    CANCELLING = "cancelling long"
    EXPIRES = "expires soon"
    RESULTS_GONE = "results gone soon"
    LEFT_BEHIND = "left behind"


@dataclass(frozen=True, slots=True)
class Attention:
    """A job that needs attention."""

    row: JobRow
    reason: AttentionReason
    since: int
    """When the reason arose, milliseconds UTC: a job that was looked at since needs no attention."""
    words: str


UsualTimes = Mapping[tuple[str, str | None], int]
"""By provider and model, in which time nine of ten of its batches ended, milliseconds."""


def attention_of(row: JobRow, now: int, usual: UsualTimes) -> Attention | None:
    """Return the gravest reason why a person should look at a job; mostly None."""
    if row.removed_at is not None:
        return None
    found = _of_unfinished(row, now, usual) if row.unfinished else _of_ended(row, now)
    if found is not None or not row.left_behind:
        return found
    return Attention(row, AttentionReason.LEFT_BEHIND, row.updated_at, clean(row.left_behind, 200))


def _of_unfinished(row: JobRow, now: int, usual: UsualTimes) -> Attention | None:
    asked = row.cancel_requested_at
    if row.stuck_cancelling(now) and asked is not None:
        words = f"cancelling for {short_span(now - asked)}"
        return Attention(row, AttentionReason.CANCELLING, asked + CANCEL_STUCK_MS, words)
    if row.expires_at is not None and 0 < row.expires_at - now < EXPIRES_SOON_MS:
        words = f"expires in {short_span(row.expires_at - now)}"
        return Attention(row, AttentionReason.EXPIRES, row.expires_at - EXPIRES_SOON_MS, words)
    if stalled(row, now) and row.lease_until is not None:
        words = f"its script was not heard of for {short_span(now - row.lease_until)}"
        return Attention(row, AttentionReason.STALLED, row.lease_until, words)
    if row.remote_id is None or row.gone:
        return None
    patience = max(LEAST_PATIENCE_MS, usual.get((row.provider, row.model), 0))
    if row.status in _WAITING and now - row.created_at > patience:
        words = f"pending for {short_span(now - row.created_at)}"
        return Attention(row, AttentionReason.PENDING, row.created_at + patience, words)
    if row.status in _RUNNING and now - row.updated_at > patience:
        words = f"no progress for {short_span(now - row.updated_at)}"
        return Attention(row, AttentionReason.STALLED, row.updated_at + patience, words)
    return None


def _of_ended(row: JobRow, now: int) -> Attention | None:
    gone_at = row.results_expire_at
    if gone_at is not None and row.fetched_at is None and 0 < gone_at - now < RESULTS_GONE_SOON_MS:
        words = f"results gone in {short_span(gone_at - now)}"
        return Attention(row, AttentionReason.RESULTS_GONE, gone_at - RESULTS_GONE_SOON_MS, words)
    ended = row.finished_at or row.updated_at
    incomplete = row.outcome in {Completeness.PARTIAL, Completeness.ALL_FAILED}
    if now - ended > ENDED_WITHIN_MS or not (incomplete or row.status in {Status.FAILED, Status.EXPIRED}):
        return None
    why = f": {clean(row.error, 200)}" if row.error else ""
    failed = f", {row.failed:,} failed" if row.failed else ""
    return Attention(row, AttentionReason.FAILED, ended, f"{ended_word(row)}{failed}{why}")


def usual_times(ended: Sequence[tuple[str, str | None, int]]) -> UsualTimes:
    """Return, of ended batches as provider, model and duration, the time in which nine of ten ended."""
    by_model: dict[tuple[str, str | None], list[int]] = {}
    for provider, model, duration in ended:
        by_model.setdefault((provider, model), []).append(duration)
    return {key: sorted(times)[(len(times) - 1) * 9 // 10] for key, times in by_model.items()}
