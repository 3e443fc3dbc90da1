"""The commands over jobs that scripts run here."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cli_kit import ROOT, Cli
from shared.local_kit import ELSEWHERE, LAPSED, SLEEP, TAKES_UP, Run, begin, owner_of, process

from jobdash.operations.person import current_host
from jobdash.store.leases.lease import ItemWrite, LeaseRefused

Begin = Callable[..., Run]


@pytest.fixture
def run_script(cli: Cli) -> Begin:
    """Claims a job, as a script does, in the store that the commands use."""

    def started(*args: Any, **settings: Any) -> Run:
        return begin(cli.database, *args, **settings)

    return started


def jid(run: Run) -> str:
    return run.claimed.public_id


def test_a_cancel_says_how_many_results_there_are(cli: Cli, run_script: Begin) -> None:  # C-4 D-3
    run = run_script(total=100)
    run.did(*["ok"] * 24, "error")

    ran = cli("cancel", jid(run), "--yes")

    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == [
        "Using account(s): local",
        "Found 1 pending job(s)",
        f"cancelling  {jid(run)}  resize (local)  items under way finish; 25 of 100 done",
        "Cancelled: 0 · Cancelling: 1 · Failed to cancel: 0 · Skipped (not pending): 0",
    ]
    assert run.did("ok", first=25) == "cancelling"


def test_a_list_tells_on_which_host_each_script_ran(cli: Cli, run_script: Begin) -> None:
    run_script("here").ends("completed", "done")
    run_script("moved").ends("failed", "broken")
    fence = run_script("moved").claimed.fence
    with closing(sqlite3.connect(cli.database)) as other, other:
        other.execute("UPDATE attempt SET actor = 'bob@host-b' WHERE fence = ?", (fence,))
        assert other.total_changes == 1
    cli.add(name="batch")
    cli("sync")
    jobs = cli.json("list")["jobs"]
    assert {job["name"]: job["host"] for job in jobs} == {
        "here": current_host(),
        "moved": "host-b",
        "batch": None,
    }
    rows = list(csv.DictReader(cli("list", "--csv").out.splitlines()))
    assert [*rows[0]][-3:] == ["host", "percent", "fetch_error"], "new columns come last"
    assert {row["name"]: row["host"] for row in rows} == {
        "here": current_host(),
        "moved": "host-b",
        "batch": "",
    }


def test_the_age_of_a_sync_is_not_told_of_jobs_no_provider_is_asked_about(
    cli: Cli, run_script: Begin
) -> None:
    run = run_script(total=4)
    assert cli("list").err == "never asked yet: openai, gemini, work (jobdash sync does it)\n"
    cli("sync")

    for args in ((), ("-f", "account:local"), ("--csv",), ("--removed",)):
        assert cli("list", *args).err == "", args
    assert cli.json("list")["as_of"] is None
    assert cli("cancel", "--all-pending", "--no-sync", "--dry-run").err == "dry run: nothing was changed\n"

    cli.add()
    cli("sync")
    assert "as of" in cli("list").err
    assert cli("list", "-f", "account:local").err == ""
    assert cli.json("list")["as_of"] is not None
    assert "as of" in cli("cancel", "--all-pending", "--no-sync", "--dry-run").err
    assert jid(run) in cli("list").out


def test_the_force_fail_of_a_script_is_retried_and_not_undone(cli: Cli, run_script: Begin) -> None:
    run = run_script(total=4)
    cli("force-fail", jid(run), "--yes")
    ran = cli("undo", jid(run), "--yes")
    assert ran.code == 1
    assert ran.err == f"resize is a script's job, whose force-fail stays: jobdash retry {jid(run)}\n"
    assert "no force-fail of a provider's job" in cli("undo", "--yes").err


def test_an_undo_after_the_force_fail_of_a_script_takes_nothing_older_back(
    cli: Cli, run_script: Begin
) -> None:
    gone, run = run_script("old"), run_script("st", total=4)
    gone.ends("completed", "done")
    cli("remove", jid(gone), "--yes")
    cli("force-fail", jid(run), "--yes")

    for flag in ("--yes", "--dry-run"):
        ran = cli("undo", flag)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err == (
            "the last action was the force-fail of st (local), which cannot be taken back: retry it; "
            f"jobdash undo {jid(gone)} takes back the removal of old before it\n"
        )
    assert cli.json("list")["total"] == 1
    assert cli("undo", jid(gone), "--yes").code == 0
    cli("remove", jid(gone), "--yes")
    assert cli("undo", "--yes").code == 0, "the removal is the last action again"
    cli("remove", jid(gone), "--yes")
    cli("force-fail", jid(run), "--yes")
    cli("retry", jid(run), "--yes")
    assert cli("undo", "--yes").code == 0, "what was retried is failed no more"


def test_an_undo_names_the_cancel_and_the_force_fail_of_a_script_that_stay(
    cli: Cli, run_script: Begin
) -> None:
    batch = cli.add(name="nightly")
    cli("sync")
    run, other = run_script("st", total=4), run_script("other", total=4)
    cli("force-fail", batch, jid(run), "--yes")
    cli("cancel", jid(other), "--yes")

    ran = cli("undo", "--yes")

    assert (ran.code, ran.out.splitlines()[-1]) == (0, "Taken back: 1")
    assert ran.err == (
        "Not taken back, as they cannot be: the cancel of other (local) and the force-fail of st (local).\n"
    )
    assert cli.job(jid(run))["status"] == "failed"


def test_the_summary_as_json_tells_of_results(cli: Cli, run_script: Begin) -> None:  # D-3
    run, counting = run_script(total=4), run_script("counting", keyed=False, total=4)
    run.did("ok", "ok")
    counting.claimed.lease.write_counts(2, 0)
    told = cli.json("cancel", jid(run), jid(counting), "--yes")
    assert [(job["succeeded"], job["results_available"]) for job in told["jobs"]] == [(2, True), (2, False)]
    assert [job["status_after"] for job in told["jobs"]] == ["cancelling", "cancelling"]


def test_the_plan_is_shown_and_a_no_changes_nothing(cli: Cli, run_script: Begin) -> None:  # C-3
    run = run_script(total=4)
    ran = cli.at_terminal("n\n", "cancel", jid(run))
    assert ran.code == 4
    assert "1 asked to stop: items under way finish, no new ones start" in ran.err
    assert cli.job(jid(run))["status"] == "in_progress"
    ran = cli("cancel", jid(run), "--dry-run")
    assert "dry run: nothing was changed" in ran.err
    assert cli.job(jid(run))["status"] == "in_progress"


def test_cancel_all_pending_without_any_account(  # C-13 E-9
    cli: Cli, run_script: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.config.write_text("")
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name)
    run = run_script()
    ran = cli("cancel", "--all-pending", "--yes")
    assert ran.code == 0, ran.err
    assert "Using account(s): local" in ran.out
    assert cli.job(jid(run))["status"] == "cancelling"
    assert "No account" not in cli("list").err


def test_where_there_are_only_scripts_no_account_has_to_be_asked(
    cli: Cli, run_script: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.config.write_text("")
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name)
    assert cli("watch", "--once").code == 5, "there is nothing to watch"
    assert cli("list", "--sync").code == 5
    run = run_script()
    listed = cli("list", "--sync")
    assert (listed.code, jid(run) in listed.out) == (0, True), listed.err
    watched = cli("watch", "--once")
    assert (watched.code, watched.err) == (0, "")


def test_force_fail_and_retry(cli: Cli, run_script: Begin) -> None:  # E-1 E-3 E-4 E-8
    run = run_script(total=4)
    run.did("ok", "error")
    ran = cli("force-fail", jid(run), "--reason", "stuck", "--yes")
    assert ran.code == 0
    assert "Force-failed: 1" in ran.out
    with pytest.raises(LeaseRefused, match="was failed by"):
        run.did("ok", first=2)
    assert cli.job(jid(run))["status_reason"] == "stuck"
    assert cli("undo").err.startswith("nothing to take back")

    ran = cli("retry", jid(run), "--yes")

    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == [
        f"pending     {jid(run)}  resize (local)  3 of 4 left; waits for its script",
        "Retried: 1 · Failed: 0 · Skipped: 0",
    ]
    assert "pending · waits for its script" in cli("list").out
    assert cli.job(jid(run))["attempt"] == 2


def test_a_retry_with_nothing_to_do_is_no_error(cli: Cli, run_script: Begin) -> None:
    run = run_script(total=1)
    run.did("ok")
    run.ends()
    ran = cli("retry", jid(run), "--yes")
    assert ran.code == 0
    assert "nothing failed and nothing is missing" in ran.out


def test_a_retry_of_a_part_is_refused(cli: Cli, run_script: Begin) -> None:
    run = run_script(total=4)
    run.did("ok", "error")
    run.ends("failed")
    ran = cli("retry", jid(run), "--only", "failed", "--yes")
    assert ran.code == 1
    assert "its script also does the 2 that are missing" in ran.out
    assert cli("retry", jid(run), "--only", "all").code == 2
    ran = cli("retry", jid(run), "--only", "cut-off", "--yes")
    assert (ran.code, "only answers of a batch are cut off" in ran.out) == (1, True)


def test_a_script_is_started_again_and_can_be_waited_for(  # C-13
    cli: Cli, run_script: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run = run_script(argv=[sys.executable, "-c", TAKES_UP], cwd=tmp_path)
    run.ends("failed")

    ran = cli("retry", jid(run), "--start", "--yes")

    assert ran.code == 0, ran.err
    assert "started as pid" in ran.out
    assert cli("wait", jid(run), "--timeout", "30s").code == 0
    assert (cli.job(jid(run))["status"], cli.job(jid(run))["attempt"]) == ("completed", 2)
    shown = cli("show", jid(run)).out
    assert "Output" in shown
    assert str(tmp_path) in shown


def test_wait_ends_at_once_when_nobody_runs_what_is_left(cli: Cli, run_script: Begin) -> None:
    run, done = run_script(), run_script("done")
    run.ends("failed")
    done.ends()
    cli("retry", jid(run), "--yes")
    ran = cli("wait", jid(run), jid(done))
    assert ran.code == 1
    assert f"waits for its script; run it, or jobdash retry {jid(run)} --start" in ran.err


@pytest.mark.parametrize("flags", [["--cancel"], ["--force"]])
def test_cancel_and_delete_goes_at_once_and_can_be_taken_back(  # E-2 E-7
    cli: Cli, run_script: Begin, flags: list[str]
) -> None:
    run = run_script(total=2)
    run.did("ok")
    assert cli("remove", jid(run), "--yes").code == 1  # E-5
    ran = cli("remove", jid(run), *flags, "--yes")
    assert ran.code == 0, ran.err
    assert f"removed     {jid(run)}  resize (local)  record removed" in ran.out
    with pytest.raises(LeaseRefused, match="was removed"):
        run.did("ok", first=1)
    assert cli("show", jid(run), "--items").out.count("key 0") == 1
    ran = cli("undo", "--yes")
    assert ran.code == 0
    assert cli.job(jid(run))["status"] == "cancelled"


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux only")
def test_the_process_is_stopped_for_real_when_that_is_said(  # E-9
    cli: Cli, run_script: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    with process(SLEEP) as child:
        os.kill(child.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        run = run_script(owner=owner_of(child.pid))
        ran = cli("force-fail", jid(run), "--stop-process", "--yes")
        assert child.wait(20) == -signal.SIGKILL
    assert ran.code == 0
    assert f"process {child.pid} was stopped (SIGSTOP), so it was killed at once" in ran.out
    assert cli("remove", jid(run), "--stop-process", "--yes").code == 2


def test_fetch_writes_what_there_is_and_says_how_partial_it_is(  # D-4
    cli: Cli, run_script: Begin, tmp_path: Path
) -> None:
    run = run_script(total=100)
    run.did(*["ok"] * 41, "error")
    ran = cli("fetch", jid(run), "--out", str(tmp_path / "out"))
    assert ran.code == 1
    assert "not finished: 42 of 100 so far; --partial fetches what there is\n" in ran.out
    assert "Fetched: 0 · Skipped: 0 · Failed: 1" in ran.out
    run.ends("cancelled")

    told = cli.json("fetch", jid(run), "--out", str(tmp_path / "out"))

    (job,) = told["jobs"]
    assert (job["items"], job["partial"], job["status"]) == (42, True, "cancelled")
    lines = [json.loads(line) for line in Path(job["file"]).read_text().splitlines()]
    assert [line["key"] for line in lines] == [f"key {number}" for number in range(42)]
    assert lines[41]["error_type"] == "ValueError"
    assert "fetched" in cli("show", jid(run)).out
    ran = cli("remove", jid(run), "--files", "--yes")
    assert "deleted 1 file here" in ran.out
    assert not Path(job["file"]).exists()


def test_a_pipe_gets_the_results_and_the_job_is_not_marked_fetched(cli: Cli, run_script: Begin) -> None:
    run = run_script(total=2)
    run.did("ok", "error")
    run.ends("completed", "done")

    ran = cli("fetch", jid(run), "--out", "-")

    assert ran.code == 0, ran.err
    assert [json.loads(line)["key"] for line in ran.out.splitlines()] == ["key 0", "key 1"]
    assert "Fetched" not in cli("show", jid(run)).out
    assert cli.json("list", "-f", "fetched:yes")["total"] == 0
    assert "fetch" not in cli("log", jid(run)).out


def test_show_lists_the_items(cli: Cli, run_script: Begin) -> None:  # C-1 C-13
    run = run_script(total=5, unit="files")
    run.expects(5)
    run.did("ok", "error", "skipped")
    run.ends("cancelled")

    ran = cli("show", jid(run), "--items")

    assert "Items  2 waiting · 1 ok · 1 error · 1 skipped" in ran.out
    assert "1 × ValueError: no such colour" in ran.out
    assert "error    key 1  ValueError: no such colour" in ran.out
    unprocessed = cli("show", jid(run), "--items", "--outcome", "waiting").out.splitlines()
    assert [line for line in unprocessed if line.startswith("waiting")] == [
        "waiting  key 3",
        "waiting  key 4",
    ]
    told = cli.json("show", jid(run), "--items", "--limit", "2")
    assert [item["key"] for item in told["items"]] == ["key 0", "key 1"]
    assert told["item_counts"] == {"waiting": 2, "ok": 1, "error": 1, "skipped": 1}
    assert told["attempts"][0]["ended"] == "cancelled by the test"
    assert cli("show", jid(run), "--outcome", "ok").code == 2
    assert "2 of 5 items" in cli("show", jid(run), "--items", "--limit", "2").err


def test_show_says_once_that_a_job_has_no_items(cli: Cli, run_script: Begin) -> None:
    counting, batch = run_script("counting", keyed=False, total=4), cli.add()
    counting.claimed.lease.write_counts(2, 0)
    ran = cli("show", jid(counting), "--items")
    assert (ran.out + ran.err).lower().count("items") == 1
    assert "Items " in ran.out
    assert "counts only: they have no keys" in ran.out
    ran = cli("show", batch, "--items")
    assert (ran.out + ran.err).lower().count("items") == 1
    assert "Items  none are kept" in ran.out


def test_a_list_knows_local_jobs_by_account_and_by_what_the_clock_says(cli: Cli, run_script: Begin) -> None:
    stalled = run_script("stalled", owner=ELSEWHERE, lease_ms=LAPSED)
    run_script("moving")
    ran = cli("list", "-f", "provider:local")
    assert "  stalled  " in ran.out
    assert ran.out.count("local") == 2
    assert len(cli.json("list", "-f", "account:local")["jobs"]) == 2
    assert cli.job(jid(stalled))["stalled"] is True
    ran = cli("doctor")
    assert "account local: your own scripts, 1 running now" in ran.out
    assert "1 job has lost its script" in ran.out


def test_a_cancel_that_no_worker_answers_any_more_is_closed_by_the_next_action(
    cli: Cli, run_script: Begin
) -> None:
    with process(SLEEP) as child:
        run = run_script(owner=owner_of(child.pid))
        cli("cancel", jid(run), "--yes")
        assert cli.job(jid(run))["status"] == "cancelling"
    ran = cli("retry", jid(run), "--yes")
    assert ran.code == 0, ran.out
    assert cli.job(jid(run))["status"] == "pending"


def test_a_store_is_copied_once_no_process_writes_to_it(cli: Cli, run_script: Begin, tmp_path: Path) -> None:
    target = str(tmp_path / "copy.db")
    with process(SLEEP) as child:
        run_script(owner=owner_of(child.pid))
        refused = cli("store", "copy", str(cli.database), target)
        assert refused.code == 6
        assert f"1 running job writes to {cli.database}: copy it when it has ended or was" in refused.err
        assert "counts as running for 59m" in refused.err
    assert cli("store", "copy", str(cli.database), target).out == f"1 jobs are in {target} now\n"


def test_local_is_an_account_that_has_no_provider_to_ask(cli: Cli, run_script: Begin) -> None:
    run = run_script()
    ran = cli("sync", "--account", "local")
    assert (ran.code, ran.err.strip()) == (
        0,
        "local: scripts write to the store themselves, no provider has to be asked",
    )
    assert cli("cancel", "-f", "resize", "--account", "local", "--yes").code == 0
    assert cli("cancel", "-f", "resize", "--account", "nobody", "--yes").code == 2
    cli.config.write_text("[accounts.local]\nprovider='openai'\napi_key_env='X'\n")
    ran = cli("list")
    assert ran.code == 0  # the mistake concerns that account alone
    assert "that name is taken by your own scripts" in ran.err
    assert jid(run)


def test_what_a_script_says_cannot_play_tricks_on_the_terminal(cli: Cli, run_script: Begin) -> None:
    run = run_script("evil\x1b[2J")
    key = "a\x1b[31m\u202eb\n"
    run.claimed.lease.write_items([ItemWrite(key, "error", None, "E\x1b", "boom\r\x00")])
    run.ends("failed", "\x1b]0;title\x07")
    for args in (["show", jid(run), "--items"], ["list"], ["retry", jid(run), "--dry-run"]):
        told = cli(*args).out
        assert not set(told) & set("\x1b\u202e\x07\x00\r"), args
    (item,) = cli.json("show", jid(run), "--items")["items"]
    assert item["key"] == key


def test_errors_of_a_local_job_are_with_its_items(cli: Cli, run_script: Begin) -> None:
    run = run_script()
    run.did("error")
    run.ends("failed")
    ran = cli("refresh-errors", jid(run))
    assert ran.code == 0
    assert f"jobdash show {jid(run)} --items" in ran.out
    assert cli("show", jid(run), "--items", "--outcome", "ok").err == "no item has succeeded\n"


def test_the_log_says_running_as_everything_else_does(cli: Cli, run_script: Begin) -> None:
    run = run_script()
    assert "in_progress" not in cli("log", jid(run)).out
    assert "running" in cli("log", jid(run)).out
    assert cli.json("log", jid(run))["events"][0]["result"] == "in_progress"
