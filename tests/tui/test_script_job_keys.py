"""What keys do to jobs that scripts run: retry and start again, fetch, stop for real, remove, undo, leave."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from scripts_kit import script
from shared.local_kit import DEAF, ELSEWHERE, LAPSED, SLEEP, Run, begin, owner_of, process
from shared.slices import rest_slow
from textual.widgets import Static
from tui_kit import Dash, account, add, change, dashboard, job, make_store

from jobdash.domain.plan import Action, Choices
from jobdash.operations.planning import plan_again, plan_jobs
from jobdash.tui.action_runs import ActionRun, single_toast
from jobdash.tui.quit_flow import last_words
from jobdash.tui.screens.confirm import ConfirmScreen
from jobdash.tui.screens.dialog import AskScreen


@pytest.fixture(autouse=True)
def _nobodys_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, timeout=5)) as connection:
        return connection.execute(sql).fetchall()


def status(path: Path) -> str:
    return str(ask(path, "SELECT status FROM job ORDER BY id DESC LIMIT 1")[0][0])


def half_done(path: Path, end: str = "failed", **more: Any) -> Run:
    run = begin(make_store(path), total=10, **more)
    run.expects(10)
    run.did("ok", "ok", "error", "ok", "error", "error")
    run.ends(end)
    return run


async def ready(dash: Dash) -> None:
    await dash.until(lambda: dash.app.runs._ready)


async def dialog(dash: Dash, key: str) -> Any:
    await dash.press(key)
    return await dash.until_dialog()


# ── retry ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_retry_shows_what_is_left_and_makes_it_wait(path: Path) -> None:
    """E-3, E-4"""
    half_done(path)
    async with dashboard(path) as dash:
        await ready(dash)
        assert "r Retry" in dash.line("keys")
        await dialog(dash, "r")
        assert "7 of 10: 4 not processed, 3 failed" in dash.screen
        assert not dash.app.screen.query("#choice-restart")
        await dash.press("y")
        await dash.until(lambda: "○ pending" in dash.screen)
        await dash.until(lambda: "waits for its script" in dash.toast)
        assert "waits for its script" in dash.line("summary")
        await dash.press("enter")
        await dash.until(lambda: "○ pending · waits for its script" in dash.line("job-head"))
        await dash.press("r")
        await dash.until(lambda: "already pending" in dash.toast)
    assert ask(path, "SELECT outcome, count(*) FROM item GROUP BY outcome") == [("ok", 3), ("waiting", 7)]


_SCRIPT = """
import sys, jobdash
print("hello from the script", flush=True)
with jobdash.track([f"key {n}" for n in range(10)], "resize", key=str, unit="files") as job:
    for item in job:
        with item:
            item.detail = "again"
"""


async def test_retry_can_start_the_script_again(path: Path, tmp_path: Path) -> None:
    (tmp_path / "resize.py").write_text(_SCRIPT)
    half_done(path, argv=[sys.executable, "resize.py"], cwd=tmp_path)
    async with dashboard(path) as dash:
        await ready(dash)
        screen = await dialog(dash, "r")
        assert not screen.plan.choices.restart
        screen.query_one("#choice-restart").value = True
        await dash.until(lambda: "output in a log file" in " ".join(dash.screen.split()))
        await dash.press("y")
        await dash.until(lambda: "✔ completed" in dash.screen, 20)
        await dash.press("enter", "5")
        await dash.until(lambda: "hello from the script" in dash.screen)
        await dash.press("1")
        assert "10 / 10 files" in dash.line("job-progress")
    assert ask(path, "SELECT count(*) FROM item WHERE attempt = 1 AND outcome = 'ok'") == [(3,)]


@pytest.mark.slow
async def test_what_waits_for_its_script_can_be_started(path: Path, tmp_path: Path) -> None:
    (tmp_path / "resize.py").write_text(_SCRIPT)
    half_done(path, argv=[sys.executable, "resize.py"], cwd=tmp_path)
    async with dashboard(path) as dash:
        await ready(dash)
        await dialog(dash, "r")
        await dash.press("y")
        await dash.until(lambda: "○ pending" in dash.screen)
        screen = await dialog(dash, "r")
        assert screen.plan.choices.restart
        await dash.press("y")
        await dash.until(lambda: "✔ completed" in dash.screen, 20)


@pytest.mark.slow
async def test_without_keys_a_retry_begins_from_the_start(path: Path) -> None:
    run = begin(make_store(path), total=9, keyed=False)
    run.claimed.lease.write_counts(4, 0)
    run.ends("cancelled")
    async with dashboard(path, working=False) as dash:
        await dialog(dash, "r")
        assert "everything is done again" in " ".join(dash.screen.split())


# ── fetch ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_fetch_writes_the_results_of_a_finished_job(path: Path, tmp_path: Path) -> None:
    """D-4: also of a cancelled one, marked as partial."""
    half_done(path, "cancelled")
    async with dashboard(path) as dash:
        await ready(dash)
        await dash.press("d")
        await dash.until(lambda: "6 results, partial" in dash.toast)
    (file,) = (tmp_path / "here").glob("*.jsonl")
    assert str(file) in dash.toast
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["outcome"] for line in lines] == ["ok", "ok", "error", "ok", "error", "error"]


async def test_fetching_from_an_unfinished_job_asks(path: Path, tmp_path: Path) -> None:
    """D-4"""
    run = begin(make_store(path), total=10)
    run.did("ok", "ok")
    async with dashboard(path) as dash:
        await ready(dash)
        screen = await dialog(dash, "d")
        assert isinstance(screen, AskScreen)
        assert "resize is not finished: 2 of 10 so far. Fetch what there is?" in dash.screen
        await dash.press("escape")
        await dash.until_table()
        assert not list((tmp_path / "here").iterdir())
        await dialog(dash, "d")
        await dash.press("y")
        await dash.until(lambda: "2 results, partial" in dash.toast)
    assert len(list((tmp_path / "here").glob("*.jsonl"))) == 1


async def test_fetching_several_shows_how_many(path: Path, tmp_path: Path) -> None:
    half_done(path)
    other = begin(path, "other", total=1)
    other.did("ok")
    other.ends()
    add(path, job(1, "completed", account="closed"))
    async with dashboard(path) as dash:
        await ready(dash)
        await dash.press("a", "d")
        await dash.until(lambda: "Fetched: 2 · Failed: 1 · Skipped: 0" in dash.toast)
        assert "account closed is not configured" in dash.toast
    assert len(list((tmp_path / "here").glob("*.jsonl"))) == 2


async def test_a_folder_that_cannot_be_written_is_reported(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C-8"""
    half_done(path)
    (tmp_path / "file").touch()
    monkeypatch.setattr("jobdash.tui.action_flows.Path.cwd", lambda: tmp_path / "file" / "below")
    async with dashboard(path) as dash:
        await ready(dash)
        await dash.press("d")
        await dash.until(lambda: "cannot be written" in dash.toast)


# ── the process ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", ["f", "X"])
@pytest.mark.slow
async def test_the_process_is_stopped_for_real_by_default(path: Path, key: str) -> None:
    """E-2, E-9"""
    with process(SLEEP) as child:
        begin(make_store(path), total=10, owner=owner_of(child.pid)).did("ok")
        async with dashboard(path) as dash:
            await ready(dash)
            screen = await dialog(dash, key)
            assert screen.query_one("#choice-stop_process").value
            assert f"stopping pid {child.pid}" in dash.screen
            await dash.press("y")
            await dash.until(lambda: child.poll() is not None, 30)
            await dash.until(lambda: "SIGTERM" in dash.toast, 30)


async def test_the_process_can_be_left_alone(path: Path) -> None:
    with process(SLEEP) as child:
        begin(make_store(path), total=10, owner=owner_of(child.pid)).did("ok")
        async with dashboard(path) as dash:
            await ready(dash)
            screen = await dialog(dash, "f")
            screen.query_one("#choice-stop_process").value = False
            await dash.until(lambda: "goes on" in dash.screen)
            await dash.press("y")
            await dash.until(lambda: "failed here" in dash.toast)
            assert child.poll() is None
    assert status(path) == "failed"


async def test_elsewhere_it_is_fenced_only(path: Path) -> None:
    begin(make_store(path), total=10, owner=ELSEWHERE).did("ok")
    async with dashboard(path, working=False) as dash:
        screen = await dialog(dash, "f")
        assert not screen.query("#choice-stop_process")
        assert "fenced only: it runs on another machine" in dash.screen


async def test_quitting_while_a_process_is_being_stopped_asks(path: Path) -> None:
    """C-5"""
    with process(DEAF) as child:
        begin(make_store(path), total=10, owner=owner_of(child.pid)).did("ok")
        async with dashboard(path) as dash:
            await ready(dash)
            await dialog(dash, "f")
            await dash.press("y")
            await dash.until(lambda: "✖ failed" in dash.screen)
            await dash.press("q")
            await dash.until_dialog()
            assert "resize: its process is being stopped" in dash.screen
            await dash.press("escape")
            await dash.until_table()
            assert dash.app.is_running
            await dialog(dash, "q")
            await dash.press("y")
            await dash.until_exit()
        assert child.poll() is None


# ── removal ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_cancel_and_delete_goes_at_once_and_a_late_write_brings_nothing_back(path: Path) -> None:
    """E-1, E-2, E-7, E-8"""
    make_store(path)
    with script(path, [f"key {number}" for number in range(5)]) as resize:
        async with dashboard(path) as dash:
            await ready(dash)
            await dash.until(lambda: "resize" in dash.names)
            resize.go("ok")
            await dash.until(lambda: "1/5" in dash.screen)
            await dialog(dash, "X")
            await dash.press("y")
            await dash.until(lambda: not dash.names)
            resize.go("ok")
            await dash.until(resize.ended)
            assert type(resize.end).__name__ == "LeaseLost"
            await dash.settle()
            assert not dash.names
            await dialog(dash, "u")
            words = str(dash.app.screen.query_one("#words", Static).content)
            assert "Take back: the removal of resize" in words
            await dash.press("y")
            await dash.until(lambda: "⊘ cancelled" in dash.screen)
    assert ask(path, "SELECT count(*) FROM item WHERE outcome = 'ok'") == [(1,)]


async def test_removal_of_local_jobs_offers_local_files_and_nothing_at_a_provider(path: Path) -> None:
    half_done(path)
    async with dashboard(path, [account("openai")], working=False) as dash:
        screen = await dialog(dash, "x")
        fields = {box.id for box in screen.query("ChoiceBox")}
        assert fields == {"choice-record", "choice-local_files"}
        await dash.press("escape")
        await dash.until_table()
        add(path, job(1, "completed"))
        await dash.until(lambda: "job-001" in dash.names)
        await dash.press("a")
        screen = await dialog(dash, "x")
        assert "choice-remote" in {box.id for box in screen.query("ChoiceBox")}


@pytest.mark.parametrize("size", rest_slow([(120, 36), (80, 24), (60, 20)], [(60, 20)]))
async def test_all_choices_can_be_read_at_any_size(path: Path, size: tuple[int, int]) -> None:
    with process(SLEEP) as child:
        begin(make_store(path), total=10, owner=owner_of(child.pid)).did("ok")
        add(path, job(1, "in_progress"))
        async with dashboard(path, [account("openai")], working=False, size=size) as dash:
            await dash.until(lambda: len(dash.names) == 2)
            await dash.press("a")
            await dialog(dash, "X")
            for words in ("cancel first", "the record", "local files", "at the provider", "stop the process"):
                assert f"] {words}" in dash.screen, words


async def test_bulk_takes_local_jobs_along(path: Path) -> None:
    """E-9: bulk cancel & delete of everything running, and only of what was marked."""
    for number in range(3):
        begin(make_store(path) if not number else path, f"run {number}", owner=ELSEWHERE).did("ok")
    half_done_id = begin(path, "done")
    half_done_id.ends("cancelled")
    async with dashboard(path) as dash:
        await ready(dash)
        await dash.press("1", "a")
        screen = await dialog(dash, "X")
        assert isinstance(screen, ConfirmScreen)
        assert len(screen.plan.acting) == 3
        await dash.press("y")
        await dash.until(lambda: "Removed: 3" in dash.screen)
        await dash.press("escape", "0")
        await dash.until(lambda: dash.names == ["done"])


async def test_cancel_all_pending_reaches_scripts(path: Path) -> None:
    """C-13"""
    begin(make_store(path), total=4, owner=ELSEWHERE).did("ok")
    async with dashboard(path) as dash:
        await ready(dash)
        await dialog(dash, "C")
        await dash.press("y")
        await dash.until(
            lambda: "cancelling" in dash.line("summary").lower() or "◐ cancelling" in dash.screen
        )


# ── text ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_local_account_is_always_there(path: Path) -> None:
    async with dashboard(path, rows=(), working=False) as dash:
        assert "local ✓" in dash.line("accounts")
        dash.app.stop_writing("the disk is full")
        assert "local ✗ read-only" in dash.line("accounts")


async def test_quitting_shows_which_scripts_go_on(path: Path) -> None:
    """C-5: quitting never stops a job, and shows what goes on."""
    begin(make_store(path), total=4).did("ok")
    begin(path, "stuck", lease_ms=LAPSED, owner=ELSEWHERE)
    add(path, job(1), job(2, "pending"))
    async with dashboard(path, [account("openai")], working=False) as dash:
        await dash.send("q")
        await dash.until_exit()
        words = "2 jobs go on at their providers; 1 script goes on here; see them with: jobdash list"
        assert dash.app.last_words == words
    assert last_words(0, 0, 3) == ["3 scripts go on here; see them with: jobdash list"]


async def test_a_store_that_fails_shows_what_and_that_one_may_try_again(path: Path) -> None:
    """C-8, C-10"""
    begin(make_store(path), total=4).did("ok")
    async with dashboard(path, working=False) as dash:
        (row,) = dash.table.visible_rows
        situation = dash.app.context.situation()
        plan = plan_again(plan_jobs(Action.CANCEL, [row], situation), situation, Choices())
        run = ActionRun(plan)
        run.end("the store is busy")
        words, severity = single_toast(run)
        assert words.startswith("Failed to cancel resize: the store is busy")
        assert "try again" in words
        assert severity == "error"


async def test_a_job_that_ended_meanwhile_is_reported(path: Path) -> None:
    """C-9"""
    run = begin(make_store(path), total=4)
    run.did("ok")
    async with dashboard(path) as dash:
        await ready(dash)
        await dialog(dash, "c")
        run.ends()
        await dash.press("y")
        await dash.until(lambda: any("already completed" in toast for toast in dash.toasts))


async def test_keys_that_do_not_fit_are_greyed(path: Path) -> None:
    """E-6"""
    begin(make_store(path), total=4)
    change(path, "UPDATE job SET succeeded = 0, failed = 0")
    async with dashboard(path, working=False) as dash:
        off = {hint.label for hint in dash.app.main.current_job.hints() if not hint.enabled}
        assert {"Retry", "Remove", "Fetch"} <= off
        assert not {"Cancel", "Force-fail"} & off
        await dash.press("x")
        await dash.until(lambda: "still running" in dash.toast)
        await dash.press("r")
        await dash.until(lambda: "still running" in dash.toast)


@pytest.mark.slow
async def test_a_killed_script_counts_as_lost_at_once(path: Path) -> None:
    """A lease that still runs proves nothing of a process that is provably dead."""
    with process(SLEEP) as child:
        owner = owner_of(child.pid)
    run = begin(make_store(path), total=10, owner=owner)
    run.expects(10)
    run.did("ok")
    async with dashboard(path, working=False) as dash:
        await dialog(dash, "c")
        assert "1 stalled" in dash.screen
        assert "1 whose script is not heard of any more: cancelled at once" in dash.screen
        await dash.press("escape")
        await dialog(dash, "r")
        assert "9 of 10" in dash.screen
        await dash.press("escape")
        await dash.until_table()
    async with dashboard(path) as dash:
        await dash.until(lambda: "⚠ stalled" in dash.screen)
        await dialog(dash, "r")
        await dash.press("y")
        await dash.until(lambda: "○ pending" in dash.screen)


async def test_a_suspended_script_is_shown_as_what_it_is(path: Path) -> None:
    with process(SLEEP) as child:
        os.kill(child.pid, signal.SIGSTOP)
        await asyncio.to_thread(os.waitid, os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        run = begin(make_store(path), total=40, owner=owner_of(child.pid), lease_ms=LAPSED)
        run.expects(40)
        run.did("ok")
        change(path, "UPDATE job SET lease_until = 5")
        async with dashboard(path) as dash:
            await ready(dash)
            await dialog(dash, "c")
            text = " ".join(dash.screen.split())
            assert f"1 not heard of, though still there as pid {child.pid} (suspended)" in text
            assert "never runs" not in text
            await dash.press("escape")
            await dash.until_table()
            await dialog(dash, "f")
            text = " ".join(dash.screen.split())
            assert "1 stalled" in text
            assert "1 running" not in text
            assert f"killing pid {child.pid} (suspended) at once" in text
            await dash.press("y")
            await dash.until(lambda: "killed at once" in dash.toast)
    kept = ask(path, "SELECT action, detail FROM event WHERE action = 'stop process'")
    assert kept == [("stop process", f"process {child.pid} was stopped (SIGSTOP), so it was killed at once")]


async def test_stopping_several_shows_what_is_done_and_what_is_waited_for(path: Path) -> None:
    """C-5, E-9"""
    with process(DEAF) as one, process(DEAF) as two:
        begin(make_store(path), "one", total=10, owner=owner_of(one.pid)).did("ok")
        begin(path, "two", total=10, owner=owner_of(two.pid)).did("ok")
        async with dashboard(path, working=True) as dash:
            await ready(dash)
            await dash.press("a")
            await dialog(dash, "f")
            await dash.press("y")
            await dash.until(lambda: "failed here already: 2 of 2" in dash.screen)
            text = " ".join(dash.screen.split())
            assert str(one.pid) in text
            await dash.press("q")
            await dash.until(lambda: "Leave them and quit" in dash.screen)
            text = " ".join(dash.screen.split())
            assert "0 of 2 force-fails ended; being stopped: pid" in text
            await dash.press("y")
            await dash.until_exit()
        assert one.poll() is None


async def test_the_progress_list_has_room_for_what_became_of_a_process(path: Path) -> None:
    """E-9"""
    with process(SLEEP) as one, process(SLEEP) as two:
        begin(make_store(path), "one", total=30, owner=owner_of(one.pid)).did("ok")
        begin(path, "two", total=30, owner=owner_of(two.pid)).did("ok")
        async with dashboard(path) as dash:
            await ready(dash)
            await dash.press("a")
            await dialog(dash, "f")
            await dash.press("y")
            await dash.until(lambda: "failed here already: 2 of 2" in dash.screen)
            one.kill()
            two.kill()
            await dash.until(lambda: "Force-failed: 2" in dash.screen)
            ended = f"failed here; 1 of 30 done; process {one.pid} ended by itself"
            await dash.until(lambda: ended in dash.screen, 2)
    assert len(ask(path, "SELECT 1 FROM event WHERE action = 'stop process'")) == 2


# ── what a reviewer found ──────────────────────────────────────────────────────────────────────────────────


async def test_cancel_and_delete_of_what_has_ended_shows_which_key_removes_it(path: Path) -> None:
    """C-12, E-6"""
    half_done(path, "completed")
    other = begin(path, "other")
    other.ends("cancelled")
    async with dashboard(path, working=False) as dash:
        off = {hint.label for hint in dash.app.main.current_job.hints() if not hint.enabled}
        assert "Cancel & delete" in off
        await dash.press("X")
        await dash.until(lambda: dash.toast == "other: already cancelled; x removes it")
        await dash.press("a", "X")
        await dash.until(lambda: dash.toast == "Nothing to cancel: 2 jobs have ended; x removes them")
        assert not dash.app.screen.is_modal


async def test_fetch_of_an_unkeyed_job_shows_at_once_why_not(path: Path) -> None:
    run = begin(make_store(path), total=9, keyed=False)
    run.claimed.lease.write_counts(4, 0)
    async with dashboard(path) as dash:
        await ready(dash)
        await dash.press("d")
        await dash.until(lambda: "it has counts only" in dash.toast)
        assert not dash.app.screen.is_modal


@pytest.mark.slow
async def test_a_script_that_dies_at_once_leaves_a_trace(path: Path, tmp_path: Path) -> None:
    """E-4"""
    (tmp_path / "resize.py").write_text("import sys; print('no module named pillow'); sys.exit(3)")
    half_done(path, argv=[sys.executable, "resize.py"], cwd=tmp_path)
    async with dashboard(path) as dash:
        await ready(dash)
        screen = await dialog(dash, "r")
        screen.query_one("#choice-restart").value = True
        await dash.until(lambda: "output in a log file" in " ".join(dash.screen.split()))
        await dash.press("y")
        await dash.until(lambda: "ended with exit code 3 before it began" in dash.line("summary"), 20)
        await dash.press("enter")
        await dash.until(lambda: "ended with exit code 3" in dash.line("job-summary"))
        await dash.press("5")
        await dash.until(lambda: "no module named pillow" in dash.screen)


@pytest.mark.slow
async def test_the_undo_of_a_mixed_removal_speaks_of_both_kinds(path: Path) -> None:
    run = begin(make_store(path), total=3, owner=ELSEWHERE)
    run.did("ok")
    add(path, job(1, "completed"))
    async with dashboard(path, [account("openai")]) as dash:
        await ready(dash)
        await dash.until(lambda: len(dash.names) == 2)
        await dash.press("a")
        await dialog(dash, "X")
        await dash.press("y")
        await dash.until(lambda: "Removed: 2" in dash.screen)
        await dash.press("escape")
        await dash.until_table()
        screen = await dialog(dash, "u")
        words = str(screen.query_one("#words", Static).content)
        assert "what was deleted at the provider, if anything, does not." in words
        assert "Items come back with their job" in words
        assert "1 of them, not finished then, will be cancelled." in words


@pytest.mark.slow
async def test_an_undo_after_the_force_fail_of_a_script_is_refused(path: Path) -> None:
    begin(make_store(path), "st", total=3, owner=ELSEWHERE)
    add(path, job(1, "completed", name="old"))
    async with dashboard(path, [account("openai")]) as dash:
        await ready(dash)
        await dash.until(lambda: len(dash.names) == 2)
        dash.select("old")
        await dialog(dash, "x")
        await dash.press("y")
        await dash.until(lambda: dash.names == ["st"])
        await dialog(dash, "f")
        await dash.press("y")
        await dash.until(lambda: dash.statuses()["st"] == "failed")
        await dash.until_table()
        told = "the last action was the force-fail of st (local), which cannot be taken back: retry it"
        await dash.press("u")
        await dash.until(lambda: any(told in toast for toast in dash.toasts))
        assert not dash.app.screen.is_modal
        assert dash.names == ["st"]


async def test_own_cancels_are_reported_once(path: Path) -> None:
    """While the dialog lists them, no toast lies over it."""
    for number in range(3):
        run = begin(make_store(path) if not number else path, f"run {number}", owner=ELSEWHERE, total=2)
        run.ends("failed")
        change(path, "UPDATE job SET remote_status = 'pending', raw_status = 'pending', finished_at = NULL")
    async with dashboard(path) as dash:
        await ready(dash)
        await dash.press("a")
        await dialog(dash, "c")
        await dash.press("y")
        await dash.until(lambda: "Cancelled: 3" in dash.screen)
        await asyncio.sleep(0.6)
        await dash.settle()
        assert not [toast for toast in dash.toasts if "run " in toast]


async def test_a_local_job_has_no_providers_id(path: Path) -> None:
    begin(make_store(path))
    async with dashboard(path, working=False) as dash:
        await dash.press("y")
        assert dash.toast == "No provider knows a script's job; Y copies its id here"
