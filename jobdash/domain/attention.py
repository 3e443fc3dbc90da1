"""Attention: which jobs and accounts a person should look at, why, and since when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from jobdash.domain.describe.job_text import adopt_words, ended_word, soon_ms
from jobdash.domain.job import CANCEL_STUCK_MS, AccountHealth, JobRow
from jobdash.domain.status import Completeness, Status
from jobdash.domain.text import clean
from jobdash.domain.time import DAY, HOUR, MINUTE, short_span
from jobdash.errors import AuthRejected, ConfigError, InvalidRequest, QuotaExhausted, SeesNone

ENDED_WITHIN_MS = 7 * DAY
"""What ended longer ago than this needs no attention any more."""
RESULTS_GONE_SOON_MS = DAY
LEAST_PATIENCE_MS = HOUR
"""The least time without progress that is unusual, however fast others were."""
ACCOUNT_PATIENCE_MS = 15 * MINUTE
"""How long an account may fail for a reason that goes by itself."""
_LASTING = frozenset(
    kind.__name__ for kind in (AuthRejected, SeesNone, QuotaExhausted, InvalidRequest, ConfigError)
)
_WAITING = frozenset({Status.PENDING, Status.VALIDATING})
_RUNNING = frozenset({Status.IN_PROGRESS, Status.FINALIZING, Status.UNKNOWN})


class AttentionReason(StrEnum):
    """Why a job needs attention."""

    FAILED = "failed"
    """It failed, expired, or requests of it failed."""
    STALLED = "stalled"
    PENDING = "pending_long"
    CANCELLING = "cancelling_long"
    EXPIRES = "expires_soon"
    RESULTS_GONE = "results_gone_soon"
    LEFT_BEHIND = "left_behind"
    UNCONFIRMED = "unconfirmed"
    """Its submit got no answer, and a person has to name its batch."""
    NOT_FETCHED = "not_fetched"
    """Its account's ``auto_fetch`` could not fetch its results."""


class Cause(NamedTuple):
    """One reason, with its words."""

    reason: AttentionReason
    since: int
    """When it arose, milliseconds UTC: a person who has looked at the job since has seen it."""
    words: str
    mark: str = ""
    """What has happened, where `since` does not say when that was learned of: it is new when this is."""


class Review(NamedTuple):
    """When a person last looked at a job, and the marks of what there was to see."""

    at: int
    marks: frozenset[str] | None = None
    """None for a review that kept none."""


NEVER_REVIEWED = Review(-1)


class Attention(NamedTuple):
    """A job that needs attention."""

    row: JobRow
    causes: tuple[Cause, ...]
    """Those that arose since a person looked at it, the gravest first; never empty."""
    marks: frozenset[str]
    """Of all causes, those seen before too."""

    @property
    def reason(self) -> AttentionReason:
        """The gravest reason."""
        return self.causes[0].reason

    @property
    def reasons(self) -> tuple[AttentionReason, ...]:
        """All reasons, the gravest first."""
        return tuple(cause.reason for cause in self.causes)

    @property
    def since(self) -> int:
        """When the latest reason arose, milliseconds UTC."""
        return max(cause.since for cause in self.causes)

    @property
    def words(self) -> str:
        """All reasons in words."""
        return " · ".join(cause.words for cause in self.causes)


class AccountAttention(NamedTuple):
    """An account that fails, or a table of the settings that is not used; its name is in brackets then."""

    health: AccountHealth
    since: int
    words: str
    error: str
    """What fails, without details: while it is the same, a dismissed one needs attention no more."""

    @property
    def is_account(self) -> bool:
        """Whether it is no table of the settings."""
        return not self.health.name.startswith("[")


def account_attention(health: AccountHealth, now: int) -> AccountAttention | None:
    """Return why a person should look at an account; None while it is well, or may be again by itself."""
    if health.error is None:
        return None
    since = health.failing_since or health.ok_at or health.asked_at or now
    patience = 0 if health.error_kind in _LASTING else ACCOUNT_PATIENCE_MS
    error = health.error.partition(": ")[0]
    if now - since < patience or error == health.reviewed_error:
        return None
    return AccountAttention(health, since, clean(health.error, 200), error)


UsualTimes = Mapping[tuple[str, str | None], int]
"""By provider and model, in which time nine of ten of its batches ended, milliseconds."""


def attention_of(
    row: JobRow, now: int, usual: Callable[[], UsualTimes], review: Review = NEVER_REVIEWED
) -> Attention | None:
    """Return the reasons why a person should look at a job again; mostly None.

    ``usual`` is called only for a job that has stood still for long.
    """
    causes = tuple(causes_of(row, now, usual))
    new = tuple(cause for cause in causes if _is_new(cause, review))
    return Attention(row, new, frozenset(cause.mark for cause in causes if cause.mark)) if new else None


def _is_new(cause: Cause, review: Review) -> bool:
    if cause.mark and review.marks is not None:
        return cause.mark not in review.marks
    return cause.since > review.at


def causes_of(row: JobRow, now: int, usual: Callable[[], UsualTimes]) -> Iterator[Cause]:
    """Yield the reasons to look at a job, those seen before too, the gravest first."""
    if row.removed_at is not None:
        return
    if row.terminal:
        yield from _of_ended(row, now)
    elif not row.gone:
        yield from _of_unfinished(row, now, usual)
    if row.left_behind and now - row.updated_at < ENDED_WITHIN_MS:
        words = clean(row.left_behind, 200)
        yield Cause(AttentionReason.LEFT_BEHIND, row.updated_at, words, f"left behind: {words}")


def _of_unfinished(row: JobRow, now: int, usual: Callable[[], UsualTimes]) -> Iterator[Cause]:
    if row.unconfirmed:
        words = f"its submit is not confirmed, it may exist at its provider; {adopt_words(row)}"
        yield Cause(AttentionReason.UNCONFIRMED, row.updated_at, words)
        return
    asked = row.cancel_requested_at
    if row.stuck_cancelling(now) and asked is not None:
        words = f"cancelling for {short_span(now - asked)}"
        yield Cause(AttentionReason.CANCELLING, asked + CANCEL_STUCK_MS, words)
    ends = row.expires_at
    if ends is not None and 0 < ends - now < (soon := soon_ms(row, ends)):
        yield Cause(AttentionReason.EXPIRES, ends - soon, f"expires in {short_span(ends - now)}")
    if row.stalled(now) and row.lease_until is not None:
        silent = "its workers were" if row.function else "its script was"
        words = f"{silent} not heard of for {short_span(now - row.lease_until)}"
        yield Cause(AttentionReason.STALLED, row.lease_until, words)
        return
    waits, runs = row.status in _WAITING, row.status in _RUNNING
    still = row.created_at if waits else row.updated_at
    if row.remote_id is None or not (waits or runs) or now - still <= LEAST_PATIENCE_MS:
        return
    patience = max(LEAST_PATIENCE_MS, usual().get((row.provider, row.model), 0))
    if now - still <= patience:
        return
    reason = AttentionReason.PENDING if waits else AttentionReason.STALLED
    words = f"{'pending' if waits else 'no progress'} for {short_span(now - still)}"
    yield Cause(reason, still + patience, words)


def _of_ended(row: JobRow, now: int) -> Iterator[Cause]:
    gone_at = row.results_expire_at
    if gone_at is not None and row.fetched_at is None and 0 < gone_at - now < RESULTS_GONE_SOON_MS:
        words = f"results gone in {short_span(gone_at - now)}"
        yield Cause(AttentionReason.RESULTS_GONE, gone_at - RESULTS_GONE_SOON_MS, words)
    if row.fetch_error and row.fetched_at is None and now - row.updated_at < ENDED_WITHIN_MS:
        words = f"results not fetched: {clean(row.fetch_error, 200)}"
        yield Cause(AttentionReason.NOT_FETCHED, row.updated_at, words, words)
    incomplete = row.outcome in {Completeness.PARTIAL, Completeness.ALL_FAILED}
    if row.superseded_by is not None or not (incomplete or row.status in {Status.FAILED, Status.EXPIRED}):
        return  # what was sent again needs attention itself, if it fails
    ended = row.finished_at or row.updated_at
    if now - min(ended, row.updated_at) >= ENDED_WITHIN_MS:
        return
    why = f": {clean(row.error, 200)}" if row.error else ""
    how = f"{ended_word(row)}{f', {row.failed:,} failed' if row.failed else ''}"
    mark = f"{how}, {row.finished_at}" if row.finished_at else how
    yield Cause(AttentionReason.FAILED, ended, f"{how}{why}", mark)


def usual_times(ended: Iterable[tuple[str, str | None, int]]) -> UsualTimes:
    """Return, of ended batches as provider, model and duration, the time in which nine of ten ended."""
    by_model: dict[tuple[str, str | None], list[int]] = {}
    for provider, model, duration in ended:
        by_model.setdefault((provider, model), []).append(duration)
    return {key: sorted(times)[(len(times) - 1) * 9 // 10] for key, times in by_model.items()}
