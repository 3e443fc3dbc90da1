"""What is done to local jobs from outside: the fence, the lease, and one event each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shared.local_kit import ELSEWHERE, LAPSED, SLEEP, begin, owner_of, process
from store_kit import actor, raw

from jobdash.domain.job import JobRow
from jobdash.domain.status import FORCE_FAILED, Status
from jobdash.domain.time import system_clock
from jobdash.store.leases.lease import LeaseRefused
from jobdash.store.location import beside
from jobdash.store.reader import Reader
from jobdash.store.records import ActionRequest, EndedLocally, Refusal, Retried
from jobdash.store.writer import Writer

FACTS = "SELECT remote_status, raw_status, fence, owner IS NULL, lease_until IS NULL FROM job WHERE id = ?"


@pytest.fixture
def looks(path: Path) -> Iterator[Reader]:
    with Reader(path) as made:
        yield made


@pytest.fixture
def acts(path: Path) -> Iterator[Writer]:
    with Writer(path, system_clock, actor()) as made:
        yield made


def fence(looks: Reader, job_id: int) -> int:
    return looks.rows([job_id])[job_id].fence


def test_a_cancel_of_a_held_job_leaves_it_to_its_worker(path: Path, acts: Writer) -> None:  # C-6 D-7
    run = begin(path)
    row = acts.cancel_local(ActionRequest(run.id, 1, reason="enough"))
    assert isinstance(row, JobRow)
    assert (row.status, row.fence) == (Status.CANCELLING, 1)
    assert raw(path, FACTS, [run.id]) == [("in_progress", "in_progress", 1, 0, 0)]
    assert run.did("ok") == "cancelling"


@pytest.mark.parametrize("gone", ["lease", "process"])
def test_a_cancel_of_a_job_without_a_worker_is_its_end(path: Path, acts: Writer, gone: str) -> None:  # D-5
    if gone == "lease":
        run = begin(path, owner=ELSEWHERE, lease_ms=LAPSED)
    else:
        with process(SLEEP) as child:
            owner = owner_of(child.pid)
        run = begin(path, owner=owner)
    row = acts.cancel_local(ActionRequest(run.id, 1))
    assert isinstance(row, JobRow)
    assert row.status is Status.CANCELLED
    assert row.cancel_requested_at is not None
    assert row.finished_at is not None
    assert raw(path, FACTS, [run.id]) == [("cancelled", "cancelled", 2, 1, 1)]


def test_force_fail_ends_the_workers_right_to_write(path: Path, acts: Writer) -> None:  # E-1
    run = begin(path)
    ended = acts.force_fail_local(ActionRequest(run.id, 1, reason="stuck", bulk="b"))
    assert isinstance(ended, EndedLocally)
    assert (ended.row.verdict, ended.row.status) == (FORCE_FAILED, Status.FAILED)
    assert ended.owner is not None
    assert raw(path, FACTS, [run.id]) == [("failed", "failed", 2, 1, 1)]
    with pytest.raises(LeaseRefused):
        run.claimed.lease.renew()


def test_a_removal_cancels_first_and_hides_the_items(path: Path, acts: Writer, looks: Reader) -> None:  # E-2
    run = begin(path)
    run.did("ok")
    ended = acts.remove_local(ActionRequest(run.id, 1), detail="record removed")
    assert isinstance(ended, EndedLocally)
    assert ended.row.status is Status.CANCELLED
    assert ended.row.removed_at is not None
    assert ended.row.fence > 1
    assert len(looks.items(run.id)) == 1
    (attempt,) = looks.attempts(run.id)
    assert attempt.ended == "removed by ann@desk"


def test_a_plan_that_saw_another_attempt_is_refused(path: Path, acts: Writer) -> None:
    run = begin(path)
    run.ends("failed")
    begin(path)
    for act in (acts.cancel_local, acts.force_fail_local, acts.remove_local, acts.retry_local):
        refused = act(ActionRequest(run.id, 1))
        assert isinstance(refused, Refusal)
        assert refused.reason == "was changed meanwhile; look again"


def test_what_is_removed_is_left_alone(path: Path, acts: Writer, looks: Reader) -> None:  # E-7
    run = begin(path)
    acts.remove_local(ActionRequest(run.id, 1))
    refused = acts.retry_local(ActionRequest(run.id, fence(looks, run.id)))
    assert isinstance(refused, Refusal)
    assert refused.reason == "was removed meanwhile"


def test_a_retry_clears_what_the_last_attempt_left(path: Path, acts: Writer, looks: Reader) -> None:  # E-4
    run = begin(path, total=3)
    run.did("ok", "error")
    acts.cancel_local(ActionRequest(run.id, 1))
    acts.force_fail_local(ActionRequest(run.id, 1, reason="stuck"))
    retried = acts.retry_local(ActionRequest(run.id, 2))
    assert isinstance(retried, Retried)
    row = retried.row
    assert (row.status, row.succeeded, row.failed, row.remaining) == (Status.PENDING, 1, 0, 2)
    assert (row.cancel_requested_at, row.verdict, row.error, row.finished_at) == (None, None, None, None)
    assert (row.fence, retried.number, retried.more) == (3, 2, False)
    assert retried.last is not None
    assert retried.last.number == 1
    job = looks.job(run.id)
    assert job is not None
    assert (job.cancel_reason, job.verdict_reason) == (None, None)


def test_a_job_that_waits_has_no_process_to_end(path: Path, acts: Writer) -> None:
    """Who held it gave it up, and may be at something else by now."""
    run = begin(path)
    taken = acts.force_fail_local(ActionRequest(run.id, 1, reason=None))
    assert isinstance(taken, EndedLocally)
    assert taken.owner is not None
    acts.retry_local(ActionRequest(run.id, 2))
    again = acts.force_fail_local(ActionRequest(run.id, 3, reason=None))
    assert isinstance(again, EndedLocally)
    assert again.owner is None


def test_a_job_with_a_living_worker_is_not_retried_whatever_the_plan_thought(
    path: Path, acts: Writer
) -> None:
    run = begin(path)
    refused = acts.retry_local(ActionRequest(run.id, 1))
    assert isinstance(refused, Refusal)
    assert refused.reason == "still running"
    assert run.did("ok") == "in_progress"


def test_many_failed_items_take_more_than_one_transaction(path: Path, acts: Writer, looks: Reader) -> None:
    run = begin(path)
    run.did(*["error"] * 5_001)
    run.ends("failed")
    first = acts.retry_local(ActionRequest(run.id, 1))
    assert isinstance(first, Retried)
    assert first.more
    assert (first.row.status, first.row.failed) == (Status.FAILED, 1)
    assert sum(looks.item_counts(run.id).values()) == 5_001
    second = acts.retry_local(ActionRequest(run.id, first.row.fence))
    assert isinstance(second, Retried)
    assert (second.more, second.row.status, second.row.failed) == (False, Status.PENDING, 0)


def test_writes_that_share_a_transaction_keep_to_its_size_together(path: Path, acts: Writer) -> None:
    runs = [begin(path, name) for name in ("a", "b")]
    for run in runs:
        run.did(*["error"] * 60)
        run.ends("failed")
    done = acts.batch(
        [
            lambda writer, job_id=run.id: writer.retry_local(ActionRequest(job_id, 1))  # type: ignore[misc]
            for run in runs
        ]
    )
    assert [one.value.row.failed for one in done] == [10, 10]
    assert all(one.value.more for one in done)


@pytest.mark.sqlite_only
def test_nothing_is_locked_when_no_cancel_is_abandoned(path: Path, acts: Writer) -> None:
    begin(path)
    with process(SLEEP) as child:
        run = begin(path, "other", owner=owner_of(child.pid))
        acts.cancel_local(ActionRequest(run.id, 1))
        before = raw(path, "PRAGMA data_version")
        assert acts.close_abandoned_cancels() == []
        assert raw(path, "PRAGMA data_version") == before
    (row,) = acts.close_abandoned_cancels()
    assert (row.id, row.status) == (run.id, Status.CANCELLED)


def test_fetched_files_are_remembered_once_each(path: Path, acts: Writer, looks: Reader) -> None:
    run = begin(path)
    for name in ("a", "b", "a"):
        acts.add_fetched_file(run.id, beside(path).parent / name)
    files = acts.local_files(run.id)
    assert files == {"fetched": str(beside(path).parent / "a"), "fetched 2": str(beside(path).parent / "b")}
    acts.set_local_files(run.id, {})
    job = looks.job(run.id)
    assert job is not None
    assert job.files == {}
