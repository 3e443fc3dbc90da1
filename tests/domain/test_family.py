"""A family as one row: what its values are, whatever its members are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from domain_kit import NOW, job

from jobdash.domain.describe.job_text import ended_word
from jobdash.domain.family import JobFamily, job_family
from jobdash.domain.job import JobRow
from jobdash.domain.status import Status

DONE, RUNNING, PENDING, FAILED = Status.COMPLETED, Status.IN_PROGRESS, Status.PENDING, Status.FAILED


def parts(*rows: JobRow) -> JobFamily:
    return job_family(rows)


def part(number: int, status: Status = DONE, **more: Any) -> JobRow:
    return job(status, id=number, public_id=f"part{number}", name=f"big ({number}/3)", family="part1", **more)


def chain(*rows: JobRow) -> JobFamily:
    """Each is the retry of the one before."""
    ids = [row.id for row in rows]
    linked = zip(rows, [None, *ids], [*ids[1:], None], strict=False)
    return job_family([replace(row, parent_id=parent, superseded_by=child) for row, parent, child in linked])


def test_parts_are_summed_under_the_name_of_the_whole() -> None:
    found = parts(
        part(1, succeeded=98, failed=2, cost=5, input_tokens=7),
        part(2, RUNNING, succeeded=50, failed=1, input_tokens=None),
        part(3, PENDING, succeeded=None, failed=None, remote_id=None),
    )
    row = found.row
    assert (row.name, row.id, row.public_id) == ("big", 1, "part1")
    assert (row.total, row.succeeded, row.failed, row.done) == (300, 148, 3, 151)
    assert (row.status, row.cost, row.input_tokens) == (RUNNING, 5, 7)
    assert (found.size, found.unknown_costs) == (3, 1)
    assert found.statuses() == {RUNNING: 1, PENDING: 1, DONE: 1}


def test_a_batch_with_its_retries_keeps_its_name() -> None:
    assert chain(*(part(number) for number in (1, 2))).row.name == "big (1/3)"


def test_a_request_that_was_sent_again_counts_once() -> None:
    found = chain(
        job(DONE, id=1, succeeded=60, failed=40, cost=10),
        job(RUNNING, id=2, total=40, succeeded=38, failed=2, cost=4, name="again"),
    )
    row = found.row
    assert (row.name, row.status) == ("nightly", RUNNING)
    assert (row.total, row.succeeded, row.failed) == (100, 98, 2)
    assert row.cost == 14
    assert row.done_before == 60  # what the rate of the running one does not count


def test_a_batch_that_failed_before_it_was_counted_has_the_requests_of_its_retry() -> None:
    refused = job(FAILED, id=1, total=None, succeeded=None, failed=None)
    found = chain(refused, job(DONE, id=2, total=40, succeeded=40, failed=0, kept_succeeded=0, kept_failed=0))
    assert (found.row.total, found.row.succeeded, found.row.progress) == (40, 40, 10_000)
    uncounted = job(Status.CANCELLED, id=1, total=None, succeeded=None, failed=None)
    assert chain(uncounted, job(DONE, id=2, total=40, succeeded=40, failed=0)).row.total is None


def test_a_retry_that_mended_everything_makes_the_family_complete() -> None:
    found = chain(
        job(FAILED, id=1, succeeded=60, failed=40),
        job(DONE, id=2, total=40, succeeded=30, failed=10),
        job(DONE, id=3, total=10, succeeded=10, failed=0),
    )
    assert (found.row.status, found.row.succeeded, found.row.failed) == (DONE, 100, 0)


def test_of_a_removed_batch_its_retry_alone_counts() -> None:
    found = job_family(
        [job(DONE, id=2, total=40, succeeded=40, failed=0, parent_id=1, kept_succeeded=60, kept_failed=0)]
    )
    assert (found.row.total, found.row.succeeded) == (40, 40)


CUT = {"total": 312, "kept_succeeded": 9_657, "kept_failed": 31}
"""A retry of answers that were cut off: 9,969 of 10,000 had an answer, 312 of them were cut off."""


@pytest.mark.parametrize(
    ("rows", "counts", "word"),
    [
        (
            [
                job(DONE, id=1, total=10_000, succeeded=9_969, failed=31),
                job(DONE, id=2, succeeded=312, failed=0, **CUT),
            ],
            (9_969, 31),
            "partial",
        ),
        (
            [
                job(DONE, id=1, total=10_000, succeeded=9_969, failed=31),
                job(DONE, id=2, succeeded=300, failed=12, **CUT),
                job(RUNNING, id=3, total=43, succeeded=3, failed=1, kept_succeeded=9_957, kept_failed=0),
            ],
            (9_960, 1),
            "running",
        ),
        (
            [  # Gemini keeps nothing of a cancelled batch
                job(Status.CANCELLED, id=1, total=300, succeeded=146, failed=0),
                job(DONE, id=2, total=300, succeeded=300, failed=0, kept_succeeded=0, kept_failed=0),
            ],
            (300, 0),
            "completed",
        ),
        (
            [  # what expired was left out
                job(Status.EXPIRED, id=1, total=100, succeeded=50, failed=10),
                job(DONE, id=2, total=10, succeeded=10, failed=0, kept_succeeded=50, kept_failed=0),
            ],
            (60, 40),
            "partial",
        ),
        (
            [  # before a store knew what was left out
                job(Status.CANCELLED, id=1, total=300, succeeded=146, failed=0),
                job(DONE, id=2, total=300, succeeded=299, failed=1),
            ],
            (299, 1),
            "partial",
        ),
    ],
)
def test_no_request_counts_twice_and_none_is_forgotten(
    rows: list[JobRow], counts: tuple[int, int], word: str
) -> None:
    row = chain(*rows).row
    assert (row.succeeded, row.failed) == counts
    assert row.done is not None
    assert row.total is not None
    assert row.done <= row.total
    assert ended_word(row) == word


def test_a_retry_that_was_never_sent_changes_nothing() -> None:
    found = job_family(
        [
            job(DONE, id=1, succeeded=60, failed=40),
            job(
                FAILED, id=2, total=40, succeeded=None, failed=None, parent_id=1,
                kept_succeeded=60, kept_failed=0,
            ),
        ]
    )  # fmt: skip
    assert (found.row.status, found.row.succeeded, found.row.failed) == (DONE, 60, 40)


def test_each_part_of_a_file_has_its_own_retries() -> None:
    found = job_family(
        [
            part(1, succeeded=90, failed=10, superseded_by=4),
            part(2, succeeded=100, failed=0),
            part(4, RUNNING, total=8, succeeded=5, failed=1, parent_id=1, kept_succeeded=90, kept_failed=2),
        ]
    )
    row = found.row
    assert (row.total, row.succeeded, row.failed, row.status) == (200, 195, 3, RUNNING)
    assert row.done_before == 192


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((DONE, DONE), DONE),
        ((DONE, FAILED), FAILED),
        ((FAILED, PENDING), PENDING),
        ((PENDING, RUNNING, FAILED), RUNNING),
        ((Status.CANCELLED, DONE), Status.CANCELLED),
        ((Status.EXPIRED, Status.CANCELLED), Status.EXPIRED),
        ((Status.CANCELLING, PENDING), Status.CANCELLING),
    ],
)
def test_the_status_is_the_most_pressing_one(statuses: tuple[Status, ...], expected: Status) -> None:
    found = parts(*(part(number, status) for number, status in enumerate(statuses, 1)))
    assert found.row.status is expected


def test_what_its_provider_lost_presses_less_than_what_runs() -> None:
    assert parts(part(1, RUNNING, gone_at=NOW), part(2, PENDING)).row.status is PENDING


def test_what_is_not_known_of_one_is_not_known_of_all() -> None:
    row = parts(part(1, total=None, succeeded=None, failed=None), part(2, succeeded=None, failed=None)).row
    assert (row.total, row.done, row.cost, row.tokens) == (None, None, None, None)


@pytest.mark.parametrize(
    ("status", "succeeded", "failed", "expected"),
    [(DONE, 8, 2, (98, 2)), (RUNNING, 4, 0, (94, 0)), (RUNNING, None, None, (90, None))],
)
def test_an_answer_that_was_cut_off_and_sent_again_counts_once(
    status: Status, succeeded: int | None, failed: int | None, expected: tuple[int, int | None]
) -> None:
    # The provider counts a cut-off answer as a success: 5 of these 95 were sent again with the 5 that failed.
    row = chain(
        job(DONE, id=1, total=100, succeeded=95, failed=5),
        job(status, id=2, total=10, succeeded=succeeded, failed=failed),
    ).row
    assert (row.total, row.succeeded, row.failed) == (100, *expected)
    assert row.done_before == (90 if status is RUNNING else 100)
