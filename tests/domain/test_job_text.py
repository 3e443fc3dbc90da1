"""What the clock says of a job, and what its counts do."""

from __future__ import annotations

from typing import Any

import pytest
from domain_kit import DAY, HOUR, MINUTE, NOW, job

from jobdash.domain.describe.job_text import done_words, expires_in, left, window_words
from jobdash.domain.job import JobRow
from jobdash.domain.status import FORCE_FAILED, Status

LATER = NOW + DAY


def test_the_time_left_follows_from_the_pace_so_far() -> None:
    row = job(started_at=NOW - HOUR, succeeded=25, failed=0, total=100)
    assert row.left_ms(NOW) == 3 * HOUR
    assert left(row, NOW) == "~3h"


@pytest.mark.parametrize(
    "row",
    [
        job(succeeded=None, failed=None),
        job(succeeded=0, failed=0),
        job(total=None),
        job(Status.PENDING),
        job(Status.COMPLETED),
        job(cancel_requested_at=NOW),
        job(gone_at=NOW),
        job(started_at=NOW + HOUR),
    ],
)
def test_an_unknown_time_left_is_empty(row: JobRow) -> None:
    assert row.left_ms(NOW) is None
    assert left(row, NOW) == ""


def test_a_job_without_a_start_is_taken_to_have_started_when_it_was_made() -> None:
    row = job(started_at=None, created_at=NOW - HOUR, succeeded=50, failed=0, total=100)
    assert row.left_ms(NOW) == HOUR


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (job(expires_at=NOW + 21 * HOUR), "expires in 21h"),
        (job(expires_at=NOW - 5 * MINUTE), "past its deadline by 5m"),
        (job(expires_at=None), ""),
        (job(Status.EXPIRED, expires_at=NOW + HOUR), ""),
    ],
)
def test_expiry(row: JobRow, words: str) -> None:
    assert expires_in(row, NOW) == words


@pytest.mark.parametrize(
    ("facts", "silent"),
    [
        ({"lease_until": NOW - 1}, True),
        ({"lease_until": NOW}, False),
        ({"lease_until": None}, False),
        ({"lease_until": NOW - 1, "cancel_requested_at": NOW}, False),
    ],
)
def test_a_worker_that_did_not_renew_its_lease_is_stalled(facts: dict[str, Any], silent: bool) -> None:
    assert job(**facts).stalled(NOW) is silent


@pytest.mark.parametrize(
    ("counts", "done", "remaining"),
    [
        ({"total": 100, "succeeded": 40, "failed": 2}, 42, 58),
        ({"total": 100, "succeeded": None, "failed": None}, None, None),
        ({"total": 100, "succeeded": None, "failed": 3}, 3, 97),
        ({"total": None, "succeeded": 40, "failed": 2}, 42, None),
        ({"total": 100, "succeeded": 40, "failed": 2, "cancelled": 50, "expired": 8}, 42, 0),
        ({"total": 10, "succeeded": 40, "failed": 2}, 42, 0),
    ],
)
def test_a_missing_count_is_unknown_and_never_zero(
    counts: dict[str, Any], done: int | None, remaining: int | None
) -> None:  # C-1 C-4
    row = job(**counts)
    assert (row.done, row.remaining) == (done, remaining)


def test_a_cancel_is_stuck_after_a_quarter_of_an_hour() -> None:
    asked = job(cancel_requested_at=NOW - 15 * MINUTE)
    assert not asked.stuck_cancelling(NOW)
    assert asked.stuck_cancelling(NOW + 1)
    assert not job(Status.CANCELLED, cancel_requested_at=NOW - DAY).stuck_cancelling(NOW)
    assert not job(Status.CANCELLING).stuck_cancelling(LATER)


def test_only_an_unfinished_job_can_be_gone() -> None:
    assert job(gone_at=NOW).gone
    assert not job(Status.COMPLETED, gone_at=NOW).gone
    assert not job(gone_at=NOW, verdict=FORCE_FAILED).gone
    assert job(verdict=FORCE_FAILED).force_failed


def test_where_nothing_is_counted_its_window_is_what_is_known() -> None:
    asked = {"succeeded": None, "failed": None, "created_at": NOW - 6 * HOUR, "expires_at": NOW + 18 * HOUR}
    silent = job(**asked)
    assert (silent.window_part(NOW), window_words(silent, NOW)) == (0.25, "6h of 24h gone")
    assert done_words(silent) == f"how many of {silent.total:,} is not known"
    assert silent.window_part(NOW + 30 * HOUR) == 1.0
    percent = job(**asked, percent=40)
    assert (percent.window_part(NOW), done_words(percent)) == (None, f"40% of {percent.total:,} done")
    for other in (job(), job(Status.COMPLETED, **asked), job(**asked | {"expires_at": None})):
        assert (other.window_part(NOW), window_words(other, NOW)) == (None, "")
