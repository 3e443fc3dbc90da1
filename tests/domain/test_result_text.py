"""The words for results: counts, odd keys, what is left to fetch, and until when."""

from __future__ import annotations

import pytest
from domain_kit import HOUR, NOW, job

from jobdash.domain.backends.registry import rules_of
from jobdash.domain.describe.result_text import ended_early, odd_keys, outcome_counts, results_gone, to_fetch
from jobdash.domain.job import JobRow
from jobdash.domain.results import ResultCounts
from jobdash.domain.status import Status

DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (ResultCounts(9_612, 40, 312, 36), "9,612 ok · 312 cut off · 40 errors · 36 missing"),
        (ResultCounts(ok=3), "3 ok"),
        (ResultCounts(error=1, missing=0), "0 ok · 1 error"),
    ],
)
def test_counts_by_outcome(counts: ResultCounts, words: str) -> None:
    assert outcome_counts(counts) == words
    assert odd_keys(counts) == ""


def expired(**facts: object) -> JobRow:
    known = {"total": 10, "succeeded": 1, "failed": 0} | facts
    return job(Status.EXPIRED, **known)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (expired(), "1 of 10 done, 9 expired"),
        (expired(failed=2), "1 of 10 done, 2 failed, 7 expired"),
        (expired(succeeded=0), ""),
        (expired(total=None), ""),
        (expired(fetched_at=NOW), ""),
        (job(Status.CANCELLED, total=10, succeeded=4, failed=0), "4 of 10 done, 6 cancelled"),
        (job(Status.COMPLETED, total=10, succeeded=10, failed=0), ""),
    ],
)
def test_what_a_batch_that_ended_early_has_to_fetch(row: JobRow, words: str) -> None:
    # D-3
    assert ended_early(row) == words
    assert bool(to_fetch(row)) is bool(words)
    assert (getattr(rules_of(row).summary(row, NOW), "text", "") or "") == words


def test_results_that_go_soon_are_said_to_as_long_as_they_were_not_fetched() -> None:
    row = job(Status.COMPLETED, results_expire_at=NOW + 3 * DAY)
    assert results_gone(row, NOW) == "results gone in 3d"
    assert results_gone(row, NOW + 4 * DAY) == "results gone at the provider"
    assert results_gone(job(Status.COMPLETED, results_expire_at=NOW + 30 * DAY), NOW) == ""
    fetched = job(Status.COMPLETED, results_expire_at=NOW + DAY, fetched_at=NOW, results_ok=7)
    assert results_gone(fetched, NOW) == ""
    remark = rules_of(fetched).summary(fetched, NOW)
    assert remark is not None
    assert remark.text == "fetched: 7 ok"
