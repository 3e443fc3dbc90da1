"""Poll intervals: how often a job's state is asked for, and so how often its account is polled."""

from __future__ import annotations

import random
from collections.abc import Iterable

from jobdash.config.settings import SyncSettings
from jobdash.domain.job import AccountHealth, JobRow
from jobdash.domain.status import Status
from jobdash.domain.time import DAY, HOUR, MINUTE

_BY_AGE = (
    (10 * MINUTE, 15_000),
    (HOUR, 30_000),
    (6 * HOUR, MINUTE),
    (DAY, 2 * MINUTE),
    (2 * DAY, 5 * MINUTE),
)
"""Age and interval, in milliseconds: a job younger than the first number is polled at the second."""
SLOW_MS = 15 * MINUTE
"""For jobs that are old, force-failed, or in an unknown state for two days."""
GONE_MS = DAY
CANCELLING_MS = 15_000
_SHORTEST_REST_MS = 2_000
_REST_FACTOR = 5


def poll_interval(row: JobRow, now: int) -> int:
    """Return the milliseconds between two polls of a job whose remote status is unfinished."""
    if row.gone_at is not None:
        return GONE_MS
    if row.force_failed:
        return SLOW_MS
    if row.status is Status.CANCELLING and not row.stuck_cancelling(now):
        return CANCELLING_MS
    age = now - row.created_at
    return next((wait for limit, wait in _BY_AGE if age < limit), SLOW_MS)


def rest_ms(took_ms: int, settings: SyncSettings) -> int:
    """Return the least milliseconds between two polls, after one that took ``took_ms``, however due it is.

    A bulk action makes the account due with every job; a longer list is read less often.
    """
    return max(_SHORTEST_REST_MS, min(_REST_FACTOR * took_ms, settings.fastest_ms))


def overdue_at(health: AccountHealth, rows: Iterable[JobRow], now: int, settings: SyncSettings) -> int:
    """Return when an account has to be polled for these jobs, whatever its planned time.

    Later only where its provider has asked for a pause.
    """
    asked_at = health.asked_at if health.asked_at is not None and health.asked_at <= now else 0
    wait = min((poll_interval(row, now) for row in rows), default=settings.slowest_ms)
    wait = max(settings.fastest_ms, min(wait, settings.slowest_ms))
    return max(asked_at + wait, health.retry_after_until or 0)


def next_poll_ms(rows: Iterable[JobRow], now: int, settings: SyncSettings) -> int:
    """Return the milliseconds until an account with these unfinished jobs is polled again, jittered."""
    wait = min((poll_interval(row, now) for row in rows), default=settings.slowest_ms)
    wait = max(settings.fastest_ms, min(wait, settings.slowest_ms))
    # Jitter only shortens the interval: commands that wait rely on it.
    return int(wait * random.uniform(0.85, 1.0))  # noqa: S311 - to spread load, nothing secret
