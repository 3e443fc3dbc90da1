"""Attention: the reason why a person should look at a job, and since when it is one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from domain_kit import HOUR, MINUTE, NOW, job
from hypothesis import given
from hypothesis import strategies as st

from jobdash.domain.attention import (
    ENDED_WITHIN_MS,
    AttentionReason,
    Review,
    account_attention,
    attention_of,
    usual_times,
)
from jobdash.domain.job import AccountHealth, JobRow
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.status import Status
from jobdash.domain.time import DAY

SLOW = {("openai", "slow"): 5 * HOUR}
WHOLE = {"succeeded": 10, "failed": 0, "total": 10}


@pytest.mark.parametrize(
    ("row", "reason", "words"),
    [
        (job(updated_at=NOW - MINUTE), None, ""),
        (job(updated_at=NOW - 2 * HOUR), AttentionReason.STALLED, "no progress for 2h"),
        (job(updated_at=NOW - 2 * HOUR, model="slow"), None, ""),
        (job(updated_at=NOW - 6 * HOUR, model="slow"), AttentionReason.STALLED, "no progress for 6h"),
        (
            job(provider=LOCAL, remote_id=None, lease_until=NOW - MINUTE),
            AttentionReason.STALLED,
            "its script was not heard of for 1m",
        ),
        (job(Status.PENDING, created_at=NOW - 3 * HOUR), AttentionReason.PENDING, "pending for 3h"),
        (job(Status.VALIDATING, created_at=NOW - MINUTE), None, ""),
        (job(cancel_requested_at=NOW - HOUR), AttentionReason.CANCELLING, "cancelling for 1h"),
        (job(cancel_requested_at=NOW - MINUTE), None, ""),
        (job(created_at=NOW - 23 * HOUR, expires_at=NOW + HOUR), AttentionReason.EXPIRES, "expires in 1h"),
        (job(created_at=NOW, expires_at=NOW + HOUR), None, ""),  # its whole window is an hour
        (
            job(created_at=NOW - 46 * MINUTE, expires_at=NOW + 14 * MINUTE),
            AttentionReason.EXPIRES,
            "expires in 14m",
        ),
        (
            job(Status.FAILED, finished_at=NOW - HOUR, failed=0, error="bad line"),
            AttentionReason.FAILED,
            "failed: bad line",
        ),
        (
            job(Status.COMPLETED, finished_at=NOW - HOUR, succeeded=7, failed=3, total=10),
            AttentionReason.FAILED,
            "partial, 3 failed",
        ),
        (
            job(Status.COMPLETED, finished_at=NOW - HOUR, succeeded=7, failed=3, total=10, superseded_by=2),
            None,  # its rest was sent again: that one counts
            "",
        ),
        (job(Status.EXPIRED, finished_at=NOW - HOUR, superseded_by=2), None, ""),
        (
            job(
                Status.EXPIRED,
                finished_at=NOW - DAY,
                results_expire_at=NOW + 3 * HOUR,
                superseded_by=2,
                **WHOLE,
            ),
            AttentionReason.RESULTS_GONE,
            "results gone in 3h",
        ),
        (job(Status.COMPLETED, finished_at=NOW - HOUR, **WHOLE), None, ""),
        (job(Status.FAILED, finished_at=NOW - ENDED_WITHIN_MS - DAY), None, ""),
        (
            job(Status.COMPLETED, finished_at=NOW - DAY, results_expire_at=NOW + 3 * HOUR, **WHOLE),
            AttentionReason.RESULTS_GONE,
            "results gone in 3h",
        ),
        (
            job(
                Status.COMPLETED, finished_at=NOW - DAY, results_expire_at=NOW + HOUR, fetched_at=NOW, **WHOLE
            ),
            None,
            "",
        ),
        (
            job(Status.COMPLETED, finished_at=NOW - DAY, left_behind="file-1 not deleted", **WHOLE),
            AttentionReason.LEFT_BEHIND,
            "file-1 not deleted",
        ),
        (
            job(Status.COMPLETED, finished_at=NOW - DAY, fetch_error="/mnt/nas cannot be written", **WHOLE),
            AttentionReason.NOT_FETCHED,
            "results not fetched: /mnt/nas cannot be written",
        ),
        (job(Status.COMPLETED, finished_at=NOW - DAY, fetch_error="full", fetched_at=NOW, **WHOLE), None, ""),
        (job(Status.FAILED, finished_at=NOW - HOUR, removed_at=NOW), None, ""),
    ],
)
def test_the_reason_and_its_words(row: JobRow, reason: AttentionReason | None, words: str) -> None:
    found = attention_of(row, NOW, lambda: SLOW)
    assert (found and found.reason, "" if found is None else found.words) == (reason, words)
    if found is not None:
        assert found.since <= NOW
        if row.unfinished:  # it is one from then on
            assert attention_of(row, found.since - 1, lambda: SLOW) is None


def test_a_job_has_all_its_reasons_the_gravest_first() -> None:
    row = job(
        Status.COMPLETED,
        finished_at=NOW - HOUR,
        succeeded=7,
        failed=3,
        results_expire_at=NOW + HOUR,
        left_behind="file-1 not deleted",
    )
    found = attention_of(row, NOW, dict)
    assert found is not None
    assert found.reasons == ("results_gone_soon", "failed", "left_behind")
    assert found.words == "results gone in 1h · partial, 3 failed · file-1 not deleted"


@pytest.mark.parametrize("facts", [{"left_behind": "file-1 not deleted", **WHOLE}, {"failed": 3}])
def test_what_was_dismissed_comes_back_when_it_changes_itself(facts: dict[str, Any]) -> None:
    row = job(Status.COMPLETED, finished_at=None, updated_at=NOW - MINUTE, **facts)
    seen = attention_of(row, NOW, dict)
    assert seen is not None
    review, later = Review(NOW, seen.marks), replace(row, updated_at=NOW + HOUR, fetched_at=NOW + HOUR)
    assert attention_of(later, NOW + HOUR, dict, review) is None
    for change in ({"failed": 4}, {"left_behind": "file-2 not deleted"}):
        assert attention_of(replace(later, **change), NOW + HOUR, dict, review) is not None


def health(error: str | None, kind: str, failing_ms: int, reviewed: str | None = None) -> AccountHealth:
    return AccountHealth(
        "work", "openai", NOW, NOW - DAY, error, kind, 0, None, 0, True, None, NOW - failing_ms, reviewed
    )


@pytest.mark.parametrize(
    ("account", "wanted"),
    [
        (health(None, "", 0), False),
        (health("key rejected (401): Incorrect key", "AuthRejected", 0), True),
        (health("no key: set WORK_KEY", "AuthRejected", MINUTE), True),
        (health("no connection", "Unavailable", MINUTE), False),
        (health("no connection", "Unavailable", HOUR), True),
        (health("no connection: reset by peer", "Unavailable", HOUR, "no connection"), False),
        (health("server error (500): a bug", "Unavailable", HOUR, "no connection"), True),
    ],
)
def test_an_account_needs_attention_when_it_does_not_get_well_by_itself(
    account: AccountHealth, wanted: bool
) -> None:
    found = account_attention(account, NOW)
    assert (found is not None) is wanted
    if found is not None:
        assert (found.since, found.words) == (account.failing_since, account.error)
        assert account_attention(account._replace(reviewed_error=found.error), NOW + DAY) is None


@given(st.lists(st.integers(1, 10**9), min_size=1))
def test_nine_of_ten_take_no_longer_than_usual(times: list[int]) -> None:
    usual = usual_times([("openai", "m", duration) for duration in times])[("openai", "m")]
    assert usual in times
    assert sum(duration <= usual for duration in times) >= 0.9 * (len(times) - 1)


def test_a_failure_that_was_learned_of_after_a_look_needs_attention() -> None:
    # It ended at its provider before the look, which was at a job that still ran.
    seen = attention_of(job(created_at=NOW - 23 * HOUR, expires_at=NOW + HOUR), NOW, lambda: SLOW)
    assert seen is not None
    failed = job(Status.FAILED, finished_at=NOW - MINUTE, error="bad line")
    found = attention_of(failed, NOW + MINUTE, lambda: SLOW, Review(NOW, seen.marks))
    assert found is not None
    assert found.reasons == (AttentionReason.FAILED,)
    assert attention_of(failed, NOW + 2 * MINUTE, lambda: SLOW, Review(NOW + MINUTE, found.marks)) is None
