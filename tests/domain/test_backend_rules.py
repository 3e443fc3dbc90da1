"""Sentences about a job: the one that is worth saying now, and the one about its end."""

from __future__ import annotations

import pytest
from domain_kit import HOUR, MINUTE, NOW, job

from jobdash.domain.backends.base import Remark
from jobdash.domain.backends.registry import rules_of
from jobdash.domain.job import JobRow
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.status import FORCE_FAILED, Status, ended_text


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (job(), None),
        (job(gone_at=NOW), "gone: its provider does not know it any more; force-fail or remove it"),
        (job(verdict=FORCE_FAILED), "failed here; the provider says in_progress, it may still be billed"),
        (job(removing=NOW + HOUR), "removed as soon as the provider confirms the cancel"),
        (job(cancel_requested_at=NOW - MINUTE), "cancel asked 1m ago, not confirmed yet"),
        (job(cancel_requested_at=NOW - HOUR), "cancelling for 1h: c asks again, f fails it here"),
        (job(Status.COMPLETED, cancel_requested_at=NOW - HOUR), "finished before the cancel took effect"),
    ],
)
def test_the_summary_of_a_batch(row: JobRow, text: str | None) -> None:
    remark = rules_of(row).summary(row, NOW)
    assert (remark and remark.text) == text


@pytest.mark.parametrize(
    ("row", "remark"),
    [
        (job(provider=LOCAL, lease_until=NOW + MINUTE), None),
        (
            job(Status.PENDING, provider=LOCAL),
            Remark("waits for its script: run it again, or r starts it here", "text"),
        ),
        (
            job(provider=LOCAL, cancel_requested_at=NOW - HOUR),
            Remark("its worker is gone: closed as cancelled", "muted"),
        ),
        (
            job(provider=LOCAL, lease_until=NOW - MINUTE),
            Remark(
                "its script has not been heard of for 1m; f fails it, r lets it start again, c cancels it",
                "warning",
            ),
        ),
        (
            job(Status.FAILED, provider=LOCAL, succeeded=25, failed=0, total=100),
            Remark("Job failed: 25 of 100 done, 75 not processed", "warning"),
        ),
    ],
)
def test_the_summary_of_a_script(row: JobRow, remark: Remark | None) -> None:
    assert rules_of(row).summary(row, NOW) == remark


def ended_sentence(row: JobRow) -> str:
    return rules_of(row).ended_sentence(row)


def remarks(row: JobRow) -> list[str]:
    return rules_of(row).remarks(row, NOW)


def test_the_end_of_a_job_has_one_wording() -> None:
    counts = {"succeeded": 20, "failed": 5, "total": 100}
    text = "Job was cancelled: 25 of 100 done, 75 not processed"
    assert ended_text(Status.CANCELLED, 25, 100) == text
    for provider in ("openai", LOCAL):
        assert ended_sentence(job(Status.CANCELLED, provider=provider, **counts)) == text
        assert ended_sentence(job(provider=provider, **counts)) == ""
    assert ended_text(Status.CANCELLED, 1_200, None) == "Job was cancelled: 1,200 done"
    assert ended_sentence(job(Status.EXPIRED, succeeded=100, failed=0, total=100)) == ""


def test_remarks_of_a_command() -> None:
    assert remarks(job()) == []
    assert remarks(job(verdict=FORCE_FAILED)) == [
        "failed here; the provider says running",
        "it may still be billed",
    ]
    assert remarks(job(cancel_requested_at=NOW - HOUR)) == [
        "asked long ago; cancel it again, or force-fail it"
    ]
