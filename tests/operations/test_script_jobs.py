"""Cancel, force-fail, retry and remove of jobs that scripts run here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from local_world import LocalWorld
from shared.local_kit import ELSEWHERE, LAPSED, SLEEP, begin, owner_of, process

from jobdash.domain.plan import Action, ActionResult
from jobdash.domain.status import Status
from jobdash.domain.time import system_clock
from jobdash.errors import StoreError
from jobdash.operations.actions.undo import find_undoable, undo
from jobdash.operations.execution import execute
from jobdash.operations.job_lookup import Scope
from jobdash.operations.person import current_actor
from jobdash.operations.planning import plan_cancel_all
from jobdash.operations.scripts.jobs import close_abandoned
from jobdash.store.leases.lease import LeaseRefused
from jobdash.store.location import beside
from jobdash.store.writer import Writer

T = TypeVar("T")

# Cancel


async def test_a_running_script_is_told_and_what_is_done_stays(local: LocalWorld) -> None:
    # C-4 C-6 C-13 D-3
    run = begin(local.path, total=4)
    run.did("ok", "error")

    outcome = await local.one(Action.CANCEL, run.id)

    assert outcome.result is ActionResult.DONE
    assert outcome.reason == "items under way finish; 2 of 4 done"
    assert outcome.status_after is Status.CANCELLING
    assert run.did("ok", first=2) == "cancelling"  # the item under way is taken
    run.ends("cancelled")
    row = local.row(run.id)
    assert (row.status, row.succeeded, row.failed, row.remaining) == (Status.CANCELLED, 2, 1, 1)


async def test_a_retried_job_that_nobody_runs_is_cancelled_at_once(local: LocalWorld) -> None:
    # D-5
    run = begin(local.path, total=2)
    run.ends("failed")
    await local.one(Action.RETRY, run.id)

    outcome = await local.one(Action.CANCEL, run.id)

    assert (outcome.reason, outcome.status_after) == ("no process ran it; 0 of 2 done", Status.CANCELLED)


@pytest.mark.parametrize("lapse", ["lease", "death"])
async def test_a_job_whose_worker_is_gone_is_cancelled_at_once(local: LocalWorld, lapse: str) -> None:
    # D-5
    if lapse == "lease":
        run = begin(local.path, lease_ms=LAPSED, owner=ELSEWHERE)
    else:
        with process(SLEEP) as child:
            owner = owner_of(child.pid)
        run = begin(local.path, owner=owner)
    assert (await local.one(Action.CANCEL, run.id)).status_after is Status.CANCELLED
    with pytest.raises(LeaseRefused, match="was cancelled"):  # D-2
        run.did("ok")


async def test_the_lease_of_a_dead_worker_ends_at_once_and_no_other(local: LocalWorld) -> None:
    # D-5
    with process(SLEEP) as child:
        owner = owner_of(child.pid)
        alive = begin(local.path, "alive", owner=owner_of(child.pid))
        away = begin(local.path, "away", owner=ELSEWHERE)
    dead = begin(local.path, "dead", owner=owner)
    mine = begin(local.path, "mine")
    with Writer(local.path, system_clock, current_actor("tui")) as writer:
        assert writer.end_leases_of_dead() == 2
        assert writer.end_leases_of_dead() == 0
    now = system_clock()
    stalled = {run.id for run in (alive, away, dead, mine) if local.row(run.id).stalled(now)}
    assert stalled == {alive.id, dead.id}  # both were run by the process that has ended since


async def test_a_second_cancel_says_that_it_was_asked(local: LocalWorld) -> None:
    # C-11
    run = begin(local.path)
    await local.one(Action.CANCEL, run.id)
    outcome = await local.one(Action.CANCEL, run.id)
    assert outcome.result is ActionResult.SKIPPED
    assert outcome.reason == "already asked 0s ago; force-fail it to wait no longer"


async def test_a_job_that_finished_under_the_open_dialog_is_left_alone(local: LocalWorld) -> None:
    # C-9 C-12
    run = begin(local.path)
    plan = local.plan(Action.CANCEL, [local.row(run.id)])
    run.ends()
    (outcome,) = (await execute(plan, local.work, lambda _one: None)).outcomes
    assert (outcome.result, outcome.reason) == (ActionResult.SKIPPED, "already completed")


async def test_cancel_all_pending_takes_local_jobs_along(local: LocalWorld) -> None:
    # C-13 E-9
    running, waiting, ended = (begin(local.path, name) for name in ("a", "b", "c"))
    for run in (waiting, ended):
        run.ends("failed")
    await local.one(Action.RETRY, waiting.id)

    plan = plan_cancel_all(local.browser, Scope(), local.work.situation(named=False))
    await execute(plan, local.work, lambda _one: None)

    statuses = [local.row(run.id).status for run in (running, waiting, ended)]
    assert statuses == [Status.CANCELLING, Status.CANCELLED, Status.FAILED]


async def test_a_cancel_that_no_worker_lives_to_answer_is_closed(local: LocalWorld) -> None:
    run = begin(local.path, owner=ELSEWHERE, lease_ms=200_000)
    await local.one(Action.CANCEL, run.id)
    assert close_abandoned(local.path, local.browser, "cli") == []
    later = local.work.clock() + 300_000

    (row,) = await local.store.write(lambda writer: _at(later, writer).close_abandoned_cancels())

    assert (row.status, row.fence) == (Status.CANCELLED, 2)
    (event, *_) = local.browser.events(run.id)
    assert (event.action, event.result, event.detail) == ("end", "cancelled", "its worker was gone")
    (attempt,) = local.browser.attempts(run.id)
    assert attempt.ended == "its worker was gone"


def _at(now: int, writer):  # type: ignore[no-untyped-def]
    writer._clock = lambda: now
    return writer


async def test_a_command_closes_what_a_dead_worker_left(local: LocalWorld) -> None:
    with process(SLEEP) as child:
        run = begin(local.path, owner=owner_of(child.pid))
        await local.one(Action.CANCEL, run.id)
        assert close_abandoned(local.path, local.browser, "cli") == []
    (row,) = close_abandoned(local.path, local.browser, "cli")
    assert (row.id, row.status) == (run.id, Status.CANCELLED)
    assert close_abandoned(local.path, local.browser, "cli") == []


# Force-fail


async def test_a_force_failed_jobs_worker_can_write_no_more(local: LocalWorld) -> None:
    # E-1 E-3 E-8
    run = begin(local.path, total=4)
    run.did("ok")

    outcome = await local.one(Action.FORCE_FAIL, run.id, reason="stuck")

    assert outcome.reason == "failed here; 1 of 4 done; its script ends at its next item"
    with pytest.raises(LeaseRefused, match=f"was failed by {current_actor('cli').name}"):
        run.did("ok", first=1)
    job = local.browser.job(run.id)
    assert job is not None
    assert (job.row.status, job.verdict_reason, job.row.succeeded) == (Status.FAILED, "stuck", 1)
    assert job.row.lease_until is None


async def test_a_local_force_fail_is_not_undone_but_retried(local: LocalWorld) -> None:
    # E-3 E-4
    run = begin(local.path)
    await local.one(Action.FORCE_FAIL, run.id)
    assert find_undoable(local.browser, current_actor("test").name) is None
    outcome = await local.one(Action.RETRY, run.id)
    assert outcome.status_after is Status.PENDING


# Retry


async def test_a_retry_keeps_what_is_done_and_the_next_run_takes_the_rest(local: LocalWorld) -> None:
    # C-13 E-4
    run = begin(local.path, total=4)
    run.did("ok", "error", "skipped")
    run.ends("failed", "ValueError: no such colour")

    outcome = await local.one(Action.RETRY, run.id)

    assert outcome.reason == "2 of 4 left; waits for its script"
    job = local.browser.job(run.id)
    assert job is not None
    row = job.row
    assert (row.status, row.succeeded, row.failed, job.attempt) == (Status.PENDING, 2, 0, 2)
    assert (row.error, row.finished_at) == (None, None)
    again = begin(local.path, total=4)
    assert (again.id, again.claimed.attempt, again.claimed.succeeded) == (run.id, 2, 2)
    standing = again.claimed.lease.item_states(["key 0", "key 1", "key 2"])
    assert [standing[f"key {number}"].outcome for number in range(3)] == ["ok", "waiting", "skipped"]


async def test_a_completed_job_with_failures_is_retried_and_a_whole_one_is_not(local: LocalWorld) -> None:
    some, whole = begin(local.path, "some", total=2), begin(local.path, "whole", total=1)
    some.did("ok", "error")
    whole.did("ok")
    some.ends()
    whole.ends()
    assert (await local.one(Action.RETRY, some.id)).status_after is Status.PENDING
    outcome = await local.one(Action.RETRY, whole.id)
    assert (outcome.result, outcome.reason) == (ActionResult.SKIPPED, "nothing failed and nothing is missing")
    outcome = await local.one(Action.RETRY, some.id)
    assert outcome.reason == "already pending: it waits for its script"


async def test_a_stalled_job_is_retried_and_its_zombie_refused(local: LocalWorld) -> None:
    # E-8
    run = begin(local.path, owner=ELSEWHERE, lease_ms=LAPSED, total=2)

    outcome = await local.one(Action.RETRY, run.id)

    assert outcome.result is ActionResult.DONE
    assert local.row(run.id).status is Status.PENDING
    with pytest.raises(LeaseRefused, match="was set back to pending by"):
        run.did("ok")
    job = local.browser.job(run.id)
    assert job is not None
    assert job.attempt == 2


async def test_a_running_job_is_not_retried(local: LocalWorld) -> None:
    run = begin(local.path)
    outcome = await local.one(Action.RETRY, run.id)
    assert (outcome.result, outcome.reason) == (ActionResult.SKIPPED, "still running; cancel it first")


async def test_a_job_without_keys_begins_again_from_nothing(local: LocalWorld) -> None:
    run = begin(local.path, keyed=False, total=10)
    run.claimed.lease.write_counts(4, 1)
    run.ends("cancelled")
    await local.one(Action.RETRY, run.id)
    row = local.row(run.id)
    assert (row.status, row.succeeded, row.failed) == (Status.PENDING, 0, 0)


async def test_more_failed_items_than_one_transaction_takes_are_all_retried(local: LocalWorld) -> None:
    run = begin(local.path, total=12_001)
    for start in range(0, 12_001, 4_000):
        run.did(*["error"] * min(4_000, 12_001 - start), first=start)
    run.ends("failed")
    outcome = await local.one(Action.RETRY, run.id)
    assert outcome.result is ActionResult.DONE
    assert local.row(run.id).failed == 0
    assert local.browser.item_errors(run.id).groups == ()


@pytest.mark.parametrize(("only", "reason"), [
    (("failed",), "its script also does the one that is missing; retry it without --only"),
    (("missing",), "its script also does the 2 that are failed; retry it without --only"),
])  # fmt: skip
async def test_a_part_cannot_be_retried_alone(local: LocalWorld, only: tuple[str, ...], reason: str) -> None:
    run = begin(local.path, total=4)
    run.did("ok", "error", "error")
    run.ends("failed")
    (outcome,) = (await local.do(Action.RETRY, run.id, only=only)).outcomes
    assert (outcome.reason, outcome.refused) == (reason, True)


# Remove


async def test_a_finished_job_is_removed_and_an_undo_brings_it_back_with_its_items(local: LocalWorld) -> None:
    # E-5 E-7
    run = begin(local.path, total=1)
    run.did("ok")
    run.ends()
    assert (await local.one(Action.REMOVE, run.id)).reason == "record removed"
    assert local.row(run.id).removed_at is not None
    action = find_undoable(local.browser, current_actor("test").name)
    assert action is not None
    await undo(action, local.store)
    assert local.row(run.id).removed_at is None
    assert [item.key for item in local.browser.items(run.id)] == ["key 0"]


async def test_a_running_job_is_not_removed_without_a_word(local: LocalWorld) -> None:
    # E-5 E-6
    run = begin(local.path)
    outcome = await local.one(Action.REMOVE, run.id)
    assert outcome.refused
    assert outcome.reason == "still running; cancel & delete it with --cancel, or --force"


@pytest.mark.parametrize("choice", ["cancel_first", "force"])
async def test_cancel_and_delete_goes_at_once_and_no_late_write_brings_it_back(
    local: LocalWorld, choice: str
) -> None:
    # E-2 E-7 E-8
    run = begin(local.path, total=2)
    run.did("ok")

    outcome = await local.one(Action.REMOVE, run.id, **{choice: True})

    assert (outcome.result, outcome.status_after) == (ActionResult.DONE, Status.CANCELLED)
    with pytest.raises(LeaseRefused, match="was removed"):
        run.did("ok", first=1)
    with pytest.raises(LeaseRefused, match="was removed"):
        run.ends()
    row = local.row(run.id)
    assert row.removed_at is not None
    assert row.succeeded == 1
    action = find_undoable(local.browser, current_actor("test").name)
    assert action is not None
    await undo(action, local.store)
    assert local.row(run.id).status is Status.CANCELLED


async def test_start_cancel_and_delete_start_again_is_a_clean_slate(local: LocalWorld) -> None:
    # E-10
    first = begin(local.path, total=2)
    first.did("ok")
    await local.one(Action.REMOVE, first.id, cancel_first=True)
    second = begin(local.path, total=2)
    assert second.id != first.id
    assert second.claimed.succeeded == 0
    assert local.browser.items(second.id) == []


async def test_only_what_was_marked_is_cancelled_and_deleted(local: LocalWorld) -> None:
    # E-9
    marked, other = begin(local.path, "marked"), begin(local.path, "other")
    old = begin(local.path, "old")
    old.ends("cancelled")
    await local.do(Action.REMOVE, marked.id, cancel_first=True)
    assert local.row(marked.id).removed_at is not None
    assert local.row(other.id).status is Status.IN_PROGRESS
    assert local.row(old.id).removed_at is None


async def test_files_that_were_fetched_and_logs_of_ours_are_deleted_and_no_others(
    local: LocalWorld, tmp_path: Path
) -> None:
    logs = beside(local.path).parent / "logs"
    logs.mkdir(parents=True)
    theirs, fetched = tmp_path / "mine.log", tmp_path / "resize.jsonl"
    others = logs / "aaaaaaaa-1.log"  # of another job: its script runs this one as well
    run = begin(local.path, log_file=str(others))
    ours = logs / f"{run.claimed.public_id}-1.log"
    for file in (ours, theirs, fetched, others):
        file.write_text("x")
    run.ends("failed")
    begin(local.path, log_file=str(theirs)).ends()
    await local.store.write(lambda writer: writer.add_fetched_file(run.id, fetched))

    outcome = await local.one(Action.REMOVE, run.id, local_files=True)

    assert outcome.reason == "record removed; deleted 2 files here"
    assert [file.exists() for file in (ours, theirs, fetched, others)] == [False, True, False, True]


async def test_a_file_that_cannot_be_deleted_keeps_the_record(local: LocalWorld, tmp_path: Path) -> None:
    # B-13 B-14
    run = begin(local.path)
    run.ends()
    folder = tmp_path / "results.jsonl"
    folder.mkdir()
    await local.store.write(lambda writer: writer.add_fetched_file(run.id, folder))

    outcome = await local.one(Action.REMOVE, run.id, local_files=True)

    assert outcome.result is ActionResult.FAILED
    assert outcome.reason.startswith("record kept; not deleted: ")
    row = local.row(run.id)
    assert row.removed_at is None
    assert row.left_behind is not None
    forced = await local.one(Action.REMOVE, run.id, local_files=True, force=True)
    assert forced.reason.startswith("record removed; not deleted: ")
    assert local.row(run.id).removed_at is not None


async def test_files_of_a_job_that_began_again_under_the_open_dialog_stay(
    local: LocalWorld, tmp_path: Path
) -> None:
    run = begin(local.path)
    run.ends("failed")
    file = tmp_path / "results.jsonl"
    file.write_text("{}")
    await local.store.write(lambda writer: writer.add_fetched_file(run.id, file))
    plan = local.plan(Action.REMOVE, [local.row(run.id)], local_files=True)
    begin(local.path)
    (outcome,) = (await execute(plan, local.work, lambda _one: None)).outcomes
    assert outcome.reason == "still running; cancel & delete it with --cancel, or --force"
    assert file.exists()


async def test_clean_up_keeps_the_record(local: LocalWorld, tmp_path: Path) -> None:
    run = begin(local.path)
    run.ends()
    file = tmp_path / "results.jsonl"
    file.write_text("{}")
    await local.store.write(lambda writer: writer.add_fetched_file(run.id, file))
    outcome = await local.one(Action.REMOVE, run.id, local_files=True, record=False)
    assert outcome.reason == "record kept; deleted 1 file here"
    job = local.browser.job(run.id)
    assert job is not None
    assert (job.files, job.row.removed_at) == ({}, None)


async def test_stop_leaves_what_waits_alone(local: LocalWorld) -> None:
    runs = [begin(local.path, name) for name in ("a", "b")]
    local.stop.set()
    for action in (Action.CANCEL, Action.FORCE_FAIL, Action.REMOVE):
        summary = await local.do(action, *(run.id for run in runs), force=True)
        assert summary.stopped == 2
    assert all(local.row(run.id).status is Status.IN_PROGRESS for run in runs)


async def test_a_store_that_cannot_be_written_is_said_and_the_job_goes_on(local: LocalWorld) -> None:
    # C-8
    run = begin(local.path)
    plan = local.plan(Action.CANCEL, [local.row(run.id)])

    class Busy:
        async def write(self, *_: object, **__: object) -> None:
            raise StoreError("The store is busy: another program has been writing for 5 s.")

    work = replace(local.work, store=Busy())
    (outcome,) = (await execute(plan, work, lambda _one: None)).outcomes
    assert outcome.result is ActionResult.FAILED
    assert outcome.reason == "The store is busy: another program has been writing for 5 s."
    assert run.did("ok") == "in_progress"
    assert (await local.one(Action.CANCEL, run.id)).result is ActionResult.DONE


async def test_the_log_says_who_did_what(local: LocalWorld) -> None:
    run = begin(local.path)
    await local.one(Action.CANCEL, run.id)
    await local.one(Action.FORCE_FAIL, run.id)
    await local.one(Action.RETRY, run.id)
    await local.one(Action.REMOVE, run.id, force=True)
    events = [(event.face, event.action, event.result) for event in local.browser.events(run.id)][::-1]
    assert events == [
        ("script", "start", "in_progress"),
        ("test", "cancel", "done"),
        ("test", "force-fail", "done"),
        ("test", "retry", "done"),
        ("test", "remove", "done"),
    ]


def test_items_are_json_of_their_own(local: LocalWorld) -> None:
    from jobdash.operations.scripts.results import item_json

    run = begin(local.path)
    run.did("error")
    (item,) = local.browser.items(run.id)
    shape = json.loads(json.dumps(item_json(item._replace(at=0))))
    assert shape == {
        "key": "key 0",
        "outcome": "error",
        "detail": "12 KB",
        "error_type": "ValueError",
        "error": "no such colour",
        "attempt": 1,
        "at": "1970-01-01T00:00:00.000Z",
    }
