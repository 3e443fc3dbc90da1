"""Results as files, and waiting for jobs that scripts run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from local_world import LocalWorld
from operations_kit import World
from shared.local_kit import ELSEWHERE, LAPSED, begin
from shared.other_program import other_program

from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, ActionResult
from jobdash.domain.status import Status
from jobdash.operations.fetch import fetch
from jobdash.operations.job_lookup import Browser
from jobdash.operations.polling.wait import WaitProgress, wait_until
from jobdash.operations.results.fetch_request import FetchedResults, FetchRequest

FOR_EVER = 10**13
"""Milliseconds, by whichever clock."""


async def fetched(local: LocalWorld, job_id: int, folder: Path, *, partial: bool = False) -> FetchedResults:
    rows = [local.row(job_id)]
    (one,) = await fetch(rows, FetchRequest(folder, lambda: Browser(local.path), local.work, partial=partial))
    return one


def lines(file: Path | None) -> list[dict[str, object]]:
    assert file is not None
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_results_of_a_finished_job_are_all_there(local: LocalWorld, tmp_path: Path) -> None:
    # D-4 D-8
    run = begin(local.path, "résize me/..", total=3)
    run.did("ok", "error", "skipped")
    run.ends()

    done = await fetched(local, run.id, tmp_path / "out")

    assert (done.result, done.reason, done.items, done.partial) == (ActionResult.DONE, "3 results", 3, False)
    assert done.file == tmp_path / "out" / f"résize-me-{run.claimed.public_id}.jsonl"
    assert [line["outcome"] for line in lines(done.file)] == ["ok", "error", "skipped"]
    assert done.file.stat().st_mode & 0o777 == 0o600
    assert list((tmp_path / "out").iterdir()) == [done.file]
    job = local.browser.job(run.id)
    assert job is not None
    assert job.files == {"fetched": str(done.file)}


@pytest.mark.parametrize("end", ["cancelled", "failed"])
async def test_partial_results_are_marked_as_such(local: LocalWorld, tmp_path: Path, end: str) -> None:
    # D-4
    run = begin(local.path, total=5)
    run.expects(5)
    run.did("ok", "ok")
    run.ends(end)
    done = await fetched(local, run.id, tmp_path)
    assert (done.reason, done.partial) == (f"2 results, partial ({end}), 2 of 5 done", True)
    assert [line["key"] for line in lines(done.file)] == ["key 0", "key 1"]


async def test_an_unfinished_job_says_how_far_it_is(local: LocalWorld, tmp_path: Path) -> None:
    # D-3 D-4
    run = begin(local.path, total=100)
    run.did(*["ok"] * 42)
    done = await fetched(local, run.id, tmp_path)
    assert (done.result, done.reason) == (ActionResult.FAILED, "not finished: 42 of 100 so far")
    assert done.file is None
    done = await fetched(local, run.id, tmp_path, partial=True)
    assert (done.result, done.items, done.partial) == (ActionResult.DONE, 42, True)


async def test_counts_alone_are_no_results(local: LocalWorld, tmp_path: Path) -> None:
    run = begin(local.path, keyed=False, total=3)
    run.claimed.lease.write_counts(3, 0)
    run.ends()
    done = await fetched(local, run.id, tmp_path)
    assert (done.result, done.refused) == (ActionResult.SKIPPED, True)
    assert done.reason.startswith("it has counts only")
    nothing = begin(local.path, "nothing")
    nothing.ends("cancelled")
    assert (await fetched(local, nothing.id, tmp_path)).reason == "no item of it is done"


async def test_a_folder_that_cannot_be_written_is_said(local: LocalWorld, tmp_path: Path) -> None:
    run = begin(local.path)
    run.did("ok")
    run.ends()
    blocked = tmp_path / "file"
    blocked.write_text("x")
    done = await fetched(local, run.id, blocked / "out")
    assert done.result is ActionResult.FAILED
    assert "cannot be written" in done.reason


async def test_a_failure_leaves_neither_half_a_file_nor_the_old_one_broken(
    local: LocalWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(local.path)
    run.did("ok")
    run.ends()
    before = await fetched(local, run.id, tmp_path / "out")
    assert before.file is not None
    kept = before.file.read_text()

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    done = await fetched(local, run.id, tmp_path / "out")
    assert done.result is ActionResult.FAILED
    assert list((tmp_path / "out").iterdir()) == [before.file]
    assert before.file.read_text() == kept


# Waiting


def _over(row: JobRow) -> bool:
    return row.terminal


async def test_waiting_ends_when_the_script_does(world: World) -> None:
    run = begin(world.config.database, lease_ms=FOR_EVER)
    looked = 0

    def goes_on() -> None:
        nonlocal looked
        looked += 1
        if looked == 3:
            run.ends()

    world.while_waiting = goes_on
    waited = await wait_until(WaitProgress((run.id,), _over, None, sleep=world.sleep), world.syncs)
    assert waited.rows[run.id].terminal
    assert (looked, waited.nobody_runs, world.calls()) == (3, False, 0)


async def test_waiting_for_a_script_that_is_not_heard_of_any_more_ends_at_once(world: World) -> None:
    run = begin(world.config.database, lease_ms=LAPSED)
    waited = await wait_until(WaitProgress((run.id,), _over, None, sleep=world.sleep), world.syncs)
    assert waited.nobody_runs
    assert waited.rows[run.id].status is Status.IN_PROGRESS


async def test_waiting_for_a_job_that_nobody_runs_ends_at_once(world: World) -> None:
    run = begin(world.config.database)
    run.ends("failed")
    row = world.browser.rows([run.id])[run.id]
    from jobdash.operations.execution import execute

    await execute(world.plan(Action.RETRY, [row]), world.work, lambda _one: None)
    waited = await wait_until(WaitProgress((run.id,), _over, None, sleep=world.sleep), world.syncs)
    assert waited.nobody_runs
    assert not waited.timed_out


async def test_waiting_closes_a_cancel_that_no_worker_lives_to_answer(world: World) -> None:
    # D-7
    run = begin(world.config.database, owner=ELSEWHERE)
    with other_program(world.config.database) as program:
        program.execute("UPDATE job SET cancel_requested_at = 1, lease_until = 1")
    waited = await wait_until(WaitProgress((run.id,), _over, None, sleep=world.sleep), world.syncs)
    assert waited.rows[run.id].status == "cancelled"


async def test_a_sync_leaves_local_jobs_alone(world: World) -> None:
    run = begin(world.config.database)
    world.add()
    await world.sync()
    row = world.browser.rows([run.id])[run.id]
    assert (row.status, row.account, row.gone_at) == ("in_progress", "local", None)
