"""Stopping a script's process for real, and starting a script again."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from local_world import LocalWorld
from shared.local_kit import DEAF, ELSEWHERE, ROOT, SLEEP, TAKES_UP, begin, owner_of, process
from shared.other_program import other_program

from jobdash.domain.describe import job_text
from jobdash.domain.describe.plan_text import notes
from jobdash.domain.plan import Action, ActionResult
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.scripts import jobs as script_jobs
from jobdash.operations.scripts.control import stop_process
from jobdash.store.location import beside
from jobdash.store.owner import current_owner

needs_pidfd = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux only")
SHORT = 0.05
ENOUGH = 1.0
"""Seconds in which a process ends that gets SIGTERM, on a busy computer too."""
LONG = 30.0


@needs_pidfd
async def test_a_process_that_ends_by_itself_is_sent_nothing() -> None:
    # E-9
    with process(SLEEP) as child:
        asyncio.get_running_loop().call_later(SHORT, child.kill)
        told = await stop_process(owner_of(child.pid), grace_s=LONG)
    assert told == f"process {child.pid} ended by itself"


@needs_pidfd
async def test_patience_is_followed_by_sigterm() -> None:
    # E-9
    with process(SLEEP) as child:
        told = await stop_process(owner_of(child.pid), grace_s=ENOUGH)
        assert child.wait(LONG) == -signal.SIGTERM
    assert told == f"process {child.pid} ended after SIGTERM"


@needs_pidfd
async def test_one_that_does_not_listen_is_killed() -> None:
    # E-9
    with process(DEAF) as child:
        told = await stop_process(owner_of(child.pid), grace_s=SHORT)
        assert child.wait(LONG) == -signal.SIGKILL
    assert told == f"process {child.pid} was killed"


@needs_pidfd
async def test_a_suspended_one_is_killed_at_once() -> None:
    with process(SLEEP) as child:
        os.kill(child.pid, signal.SIGSTOP)
        await asyncio.to_thread(os.waitid, os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        told = await stop_process(owner_of(child.pid), grace_s=LONG)
        assert child.wait(LONG) == -signal.SIGKILL
    assert told == f"process {child.pid} was stopped (SIGSTOP), so it was killed at once"


@needs_pidfd
@pytest.mark.parametrize("other", [{"machine": "x"}, {"boot": "x"}, {"pid_namespace": 1}])
async def test_a_process_of_another_place_is_only_fenced(other: dict[str, object]) -> None:
    # E-1
    with process(SLEEP) as child:
        told = await stop_process(replace(owner_of(child.pid), **other), grace_s=SHORT)
        assert child.poll() is None
    assert told == "fenced only: it runs on another machine"


@needs_pidfd
async def test_another_process_with_the_same_id_is_never_touched() -> None:
    with process(SLEEP) as child:
        owner = owner_of(child.pid)
        told = await stop_process(replace(owner, started=owner.started - 1), grace_s=SHORT)
        assert child.poll() is None
    assert told == "its process has ended already"


@needs_pidfd
async def test_one_whose_id_is_given_again_while_we_look_is_never_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with process(SLEEP) as child:
        owner = owner_of(child.pid)
        monkeypatch.setattr("jobdash.operations.scripts.processes.cannot_stop", lambda *_: None)
        told = await stop_process(replace(owner, started=owner.started - 1), grace_s=SHORT)
        assert child.poll() is None
    assert told == "its process has ended already"


async def test_we_do_not_stop_ourselves_nor_what_nobody_knows() -> None:
    assert await stop_process(current_owner(), grace_s=SHORT) == "fenced only: it is jobdash itself"
    assert await stop_process(None) == "fenced only: its process is not known"


@needs_pidfd
async def test_who_waits_no_longer_sends_nothing_more() -> None:
    stop = CancelToken()
    with process(SLEEP) as child:
        asyncio.get_running_loop().call_later(SHORT, stop.set)
        told = await stop_process(owner_of(child.pid), grace_s=LONG, stop=stop)
        assert child.poll() is None
    assert told == f"process {child.pid} was not stopped: it sees at its next item that it is over"


@needs_pidfd
@pytest.mark.parametrize("action", [Action.FORCE_FAIL, Action.REMOVE])
async def test_force_fail_and_cancel_and_delete_stop_the_process_when_that_is_chosen(
    local: LocalWorld, action: Action
) -> None:
    # E-1 E-2 E-9
    local.grace_s = ENOUGH
    with process(SLEEP) as child:
        run = begin(local.path, owner=owner_of(child.pid), total=2)
        plan = local.plan(action, [local.row(run.id)], cancel_first=True, stop_process=True)
        assert plan.can_stop
        (said,) = [note.text for note in notes(plan) if note.topic == "Process"]
        assert said.startswith(f"stopping pid {child.pid}: SIGTERM if still there in 5 s")
        outcome = await local.one(action, run.id, cancel_first=True, stop_process=True)
        assert child.wait(LONG) == -signal.SIGTERM
    assert outcome.reason.endswith(f"process {child.pid} ended after SIGTERM")


@needs_pidfd
async def test_a_process_that_gave_its_job_back_is_not_stopped_for_it(local: LocalWorld) -> None:
    """It may be at another job by now."""
    local.grace_s = SHORT
    with process(SLEEP) as child:
        run = begin(local.path, owner=owner_of(child.pid), total=2)
        run.ends("failed")
        await local.one(Action.RETRY, run.id)
        plan = local.plan(Action.FORCE_FAIL, [local.row(run.id)], stop_process=True)
        assert not plan.can_stop
        outcome = await local.one(Action.FORCE_FAIL, run.id, stop_process=True)
        assert child.poll() is None
    assert outcome.reason.endswith("fenced only: its process is not known")


@needs_pidfd
async def test_what_else_a_process_runs_is_said_before_it_is_stopped(local: LocalWorld) -> None:
    with process(SLEEP) as child:
        owner = owner_of(child.pid)
        run = begin(local.path, owner=owner)
        begin(local.path, "other", owner=owner)
        begin(local.path, "ended", owner=owner).ends()
        plan = local.plan(Action.FORCE_FAIL, [local.row(run.id)], stop_process=True)
    assert [note.text for note in notes(plan) if note.topic == "With it"] == [
        "what else it runs ends too: other"
    ]


async def test_an_owner_that_another_version_wrote_stops_nothing_else(local: LocalWorld) -> None:
    newer, other = begin(local.path), begin(local.path, "other")
    with other_program(local.path) as connection:
        connection.execute("UPDATE job SET owner = '[1, 2, 3, 4, 5, 6]' WHERE id = ?", (newer.id,))
        connection.execute("UPDATE attempt SET argv = '{', owner = '[' WHERE job_id = ?", (newer.id,))
    plan = local.plan(Action.FORCE_FAIL, [local.row(newer.id), local.row(other.id)])
    assert [worker.pid is None for worker in plan.workers.values()] == [True, False]
    newer.ends("failed")
    plan = local.plan(Action.RETRY, [local.row(newer.id)])
    assert plan.workers[newer.id].cannot_start == "its command line is not known"


async def test_a_dialog_says_that_a_process_elsewhere_is_fenced_only(local: LocalWorld) -> None:
    run = begin(local.path, owner=ELSEWHERE)
    plan = local.plan(Action.FORCE_FAIL, [local.row(run.id)], stop_process=True)
    assert not plan.can_stop
    assert "fenced only: it runs on another machine" in [note.text for note in notes(plan)]
    outcome = await local.one(Action.FORCE_FAIL, run.id, stop_process=True)
    assert outcome.reason == "failed here; 0 done; fenced only: it runs on another machine"


# Starting again


async def test_a_script_that_ends_before_it_begins_is_said_to_have_failed(
    local: LocalWorld, tmp_path: Path
) -> None:
    run = begin(local.path, argv=[sys.executable, "-c", "raise SystemExit(3)"], cwd=tmp_path)
    run.ends("failed")
    outcome = await local.one(Action.RETRY, run.id, restart=True)
    log = beside(local.path).parent / "logs" / f"{run.claimed.public_id}-2.log"
    assert outcome.result is ActionResult.FAILED
    assert outcome.reason == f"0 done stay; its script ended with exit code 3 before it began; see {log}"
    again = local.plan(Action.RETRY, [local.row(run.id)], restart=True)
    assert again.acting


@needs_pidfd
async def test_a_script_that_is_coming_up_is_not_started_again(
    local: LocalWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script_jobs, "_START_POLLS", 2)
    run = begin(local.path, argv=[sys.executable, "-c", SLEEP], cwd=tmp_path)
    run.ends("failed")
    first = await local.one(Action.RETRY, run.id, restart=True)
    row = local.row(run.id)
    assert first.result is ActionResult.DONE
    assert job_text.remark(row, local.work.clock()) == "its script is starting"
    again = await local.one(Action.RETRY, run.id, restart=True)
    assert (again.result, again.reason) == (
        ActionResult.SKIPPED,
        "its script was started a moment ago and has not begun yet",
    )
    plan = local.plan(Action.CANCEL, [row])
    (worker,) = plan.workers.values()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    await _gone(worker.pid)
    assert (await local.one(Action.RETRY, run.id, restart=True)).result is ActionResult.DONE
    (worker,) = local.plan(Action.CANCEL, [row]).workers.values()
    assert worker.pid is not None
    local.grace_s = SHORT
    gone = await local.one(Action.FORCE_FAIL, run.id, stop_process=True)
    assert f"process {worker.pid} ended after SIGTERM" in gone.reason, "what was started can be stopped"


async def test_a_retried_script_is_started_again_detached_with_its_output_in_a_log_file(
    local: LocalWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # C-13 E-4
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run = begin(local.path, argv=[sys.executable, "-c", TAKES_UP], cwd=tmp_path)
    run.ends("failed")
    row = local.row(run.id)
    plan = local.plan(Action.RETRY, [row], restart=True)
    assert plan.can_restart
    (said,) = [note.text for note in notes(plan) if note.topic == "Started"]
    assert said.endswith(f" in {tmp_path}; output in a log file")

    outcome = await local.one(Action.RETRY, run.id, restart=True)

    log = beside(local.path).parent / "logs" / f"{row.public_id}-2.log"
    assert outcome.result is ActionResult.DONE
    assert outcome.reason.endswith(f"its output is in {log}")
    pid = int(re.findall(r"pid (\d+)", outcome.reason)[0])  # which may have ended since, and be said to
    if hasattr(os, "pidfd_open"):
        await _gone(pid)
    rest, first = log.read_text().splitlines()
    assert first == f"jobdash: resize ({row.public_id}) goes on: 0 of 1 done"
    assert rest.split() == [f"{row.public_id}:{row.fence + 1}", str(tmp_path)]
    assert log.stat().st_mode & 0o777 == 0o600


async def _gone(pid: int) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop.add_reader(pidfd, over.set)
    try:
        await asyncio.wait_for(over.wait(), LONG)
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"argv": None}, "its command line is not known"),
        ({"cwd": Path("/nowhere")}, "its folder /nowhere is not there any more"),
        ({"argv": ["/nowhere/python", "x.py"]}, "/nowhere/python is not there any more"),
        ({"argv": ["no-such-program-at-all"]}, "no-such-program-at-all is not there any more"),
        ({"owner": ELSEWHERE}, "it ran on another machine"),
    ],
)
async def test_what_cannot_be_started_again_says_why(
    local: LocalWorld, tmp_path: Path, changed: dict[str, object], reason: str
) -> None:
    run = begin(local.path, **{"argv": [sys.executable, "x.py"], "cwd": tmp_path, **changed})  # type: ignore[arg-type]
    run.ends("failed")
    plan = local.plan(Action.RETRY, [local.row(run.id)])
    assert not plan.can_restart
    assert plan.workers[run.id].cannot_start == reason

    outcome = await local.one(Action.RETRY, run.id, restart=True)

    assert outcome.result is ActionResult.FAILED
    assert outcome.reason == f"0 done stay; not started: {reason}; it waits for its script"


async def test_another_persons_script_is_not_started(
    local: LocalWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # E-9: more than one user
    run = begin(local.path, argv=[sys.executable, "x.py"], cwd=tmp_path)
    run.ends("failed")
    monkeypatch.setattr("getpass.getuser", lambda: "somebody")
    plan = local.plan(Action.RETRY, [local.row(run.id)])
    told = plan.workers[run.id].cannot_start
    assert told is not None
    assert told.startswith("it was run by ")
