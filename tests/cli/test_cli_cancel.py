"""``jobdash cancel``: what it prints, what it asks, and every way in which it ends."""

from __future__ import annotations

import signal
from itertools import pairwise
from pathlib import Path

import pytest
from cli_kit import HOUR, KEYS, Cli
from shared.deadlines import within

from jobdash.demo.emulator import (
    BatchPlan,
    BatchScript,
    CancelBehaviour,
    ErrorAnswer,
    Reset,
    Switches,
    Timing,
)


def test_it_says_what_it_uses_finds_and_does(cli: Cli) -> None:
    # A-4 A-5 A-6
    running, ended = cli.add(name="nightly"), cli.add_finished("gemini", name="poems")
    cli("sync")

    ran = cli("cancel", running, ended, "--yes")

    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[:2] == ["Using account(s): openai", "Found 1 pending job(s)"]
    assert "nightly (openai)" in next(line for line in lines if line.startswith("cancelling"))
    assert "already completed" in next(line for line in lines if line.startswith("skipped"))
    assert lines[-1] == "Cancelled: 0 · Cancelling: 1 · Failed to cancel: 0 · Skipped (not pending): 1"
    assert cli.job(running)["status"] == "cancelling"


def test_the_summary_as_json(cli: Cli) -> None:
    # D-3
    batch = cli.add(name="nightly", age=30 * 60.0)
    cli("sync")

    summary = cli.json("cancel", batch, "--yes")

    assert summary["action"] == "cancel"
    assert summary["dry_run"] is False
    assert summary["counts"] == {"done": 1, "skipped": 0, "failed": 0, "not_sent": 0}
    (job,) = summary["jobs"]
    assert set(job) == {
        "id", "remote_id", "account", "name", "status_before", "status_after", "result", "reason",
        "succeeded", "results_available",
    }  # fmt: skip
    assert (job["remote_id"], job["account"], job["name"]) == (batch, "openai", "nightly")
    assert (job["status_before"], job["status_after"]) == ("in_progress", "cancelling")
    assert (job["result"], job["reason"], job["results_available"]) == ("done", None, False)
    assert job["succeeded"] > 0


def test_results_are_there_once_the_cancel_is_confirmed(cli: Cli) -> None:
    # C-4 D-3 D-4
    batch = cli.add(age=30 * 60.0, cancelling=0.0)

    (job,) = cli.json("cancel", batch, "--yes")["jobs"]

    assert (job["status_after"], job["results_available"]) == ("cancelled", True)
    assert cli.job(batch)["status_reason"] == "Cancelled by user"


def test_a_job_is_named_by_its_id_a_prefix_or_its_providers_id(cli: Cli) -> None:
    batches = [cli.add() for _ in range(3)]
    cli("sync")
    ids = [cli.id_of(batch) for batch in batches]

    ran = cli("cancel", ids[0], ids[1][:7], batches[2], "--yes")

    assert (ran.code, cli.calls("POST", "*/cancel")) == (0, 3)


def test_all_pending_asks_the_accounts_first(cli: Cli) -> None:
    # A-3 A-4 C-13
    cli.add("openai"), cli.add("gemini"), cli.add("work"), cli.add_finished()

    ran = cli("cancel", "--all-pending", "--yes")

    assert ran.code == 0
    assert "Found 3 pending job(s)" in ran.out
    assert ran.out.endswith("Cancelled: 0 · Cancelling: 3 · Failed to cancel: 0 · Skipped (not pending): 0\n")


def test_all_pending_with_a_filter_and_an_account(cli: Cli) -> None:
    #
    wanted = cli.add("work", "nightly")
    cli.add("work", "daily"), cli.add("openai", "nightly")

    ran = cli("cancel", "--all-pending", "-f", "name:nightly", "--account", "work", "--yes", "--json")

    assert [job["remote_id"] for job in ran.json["jobs"]] == [wanted]


def test_all_pending_without_a_sync_knows_what_the_store_knows(cli: Cli) -> None:
    cli.add()

    ran = cli("cancel", "--all-pending", "--no-sync", "--yes")

    assert (ran.code, cli.calls()) == (0, 0)
    assert "Found 0 pending job(s)" in ran.out
    assert "never asked yet" in ran.err


def test_an_account_that_fails_to_sync_does_not_keep_the_known_jobs_from_it(cli: Cli) -> None:
    cli.add("openai"), cli.add("work")
    cli("sync")
    cli.fault(ErrorAnswer(401), "/v1/batches", "GET", key=KEYS["work"])

    ran = cli("cancel", "--all-pending", "--yes")

    assert ran.code == 1
    assert "Cancelling: 2" in ran.out
    assert "work: key rejected (401). Set WORK_KEY." in ran.err
    assert "as of" in ran.err


def test_a_filter_chooses_jobs_too_and_one_that_matches_nothing_is_no_error(cli: Cli) -> None:
    #
    cli.add(name="nightly"), cli.add_finished(name="nightly")
    cli("sync")

    assert cli("cancel", "-f", "name:weekly", "--yes").code == 0
    ran = cli("cancel", "-f", "name:nightly", "--yes")

    assert "Cancelling: 1" in ran.out
    assert "Skipped (not pending): 1" in ran.out


def test_a_pending_job_that_its_provider_cannot_cancel_counts_as_pending(cli: Cli) -> None:
    side = cli.emulator.side("openrouter")
    cli.patch.setenv("ROUTER_KEY", side.key)
    with cli.config.open("a") as file:
        file.write(
            "[accounts.router]\nprovider='openai'\nprofile='openrouter'\napi_key_env='ROUTER_KEY'\n"
            f"base_url='{cli.server.profile_base_url('openrouter')}'\n"
        )
    made = BatchScript(
        name="X", total=10, created_at=cli.clock.now(), plan=BatchPlan(timing=Timing(running=HOUR))
    )
    lone = side.add_batch(made, key=side.key)
    cli("sync")

    ran = cli("cancel", "-f", f"id:{lone}", "--yes")

    never = "OpenRouter has no call that cancels a batch"
    assert f"no cancel is tried: {never}; it may still run" in cli("force-fail", lone, "--dry-run").out
    removed = cli("remove", lone, "--cancel", "--dry-run")
    assert f"{never}; force-fail it first" in removed.out
    assert ran.code == 1
    assert "Found 1 pending job(s)" in ran.out
    assert "has no call that cancels a batch" in ran.out
    counts = "Failed to cancel: 0 · Skipped (not pending): 0 · Skipped (refused): 1\n"
    assert ran.out.endswith(counts)

    cli.add(name="nightly"), cli.add_finished(name="done")
    both = cli("cancel", "--all-pending", "--yes")

    assert "Found 2 pending job(s)" in both.out
    assert "Cancelling: 1 · " in both.out
    assert both.out.endswith(counts)


def test_a_dry_run_changes_nothing(cli: Cli) -> None:
    #
    batch = cli.add(name="nightly")
    cli("sync")

    ran = cli("cancel", batch, "--dry-run")

    assert ran.code == 0
    assert "Cancel 1 unfinished job?" in ran.out
    assert "this cannot be undone" in ran.out
    document = cli.json("cancel", batch, "--dry-run")
    assert (document["dry_run"], document["counts"]["done"]) == (True, 1)
    assert cli.calls("POST") == 0
    assert cli.job(batch)["status"] == "in_progress"


def test_a_dry_run_records_a_job_it_had_to_look_for(cli: Cli) -> None:
    batch = cli.add("work")

    assert cli("cancel", batch, "--dry-run").code == 0

    assert cli.json("list")["jobs"][0]["remote_id"] == batch


def test_nobody_to_ask_is_not_confirmed(cli: Cli) -> None:
    # A-12 C-3
    batch = cli.add()
    cli("sync")

    ran = cli("cancel", batch)

    assert ran.code == 4
    assert "--yes" in ran.err
    assert cli.calls("POST") == 0


@pytest.mark.parametrize(
    ("answer", "code", "sent"), [("y\n", 0, 1), ("n\n", 4, 0), ("\n", 4, 0), ("\x04", 4, 0)]
)
def test_at_a_terminal_it_shows_the_plan_and_asks(cli: Cli, answer: str, code: int, sent: int) -> None:
    # C-3
    batch = cli.add(name="nightly")
    cli("sync")

    ran = cli.at_terminal(answer, "cancel", batch)

    assert ran.code == code
    assert "Cancel 1 unfinished job?" in ran.err
    assert "nightly" in ran.err
    assert "At the provider" in ran.err
    assert cli.calls("POST", "*/cancel") == sent


@pytest.mark.parametrize(("answer", "code"), [("y\n", 4), ("22\n", 4), ("21\n", 0)])
def test_for_more_than_twenty_the_number_has_to_be_typed(cli: Cli, answer: str, code: int) -> None:
    for _ in range(21):
        cli.add()
    cli("sync")

    ran = cli.at_terminal(answer, "cancel", "-f", "status:running")

    assert ran.code == code
    assert "Type 21 to go on" in ran.err
    assert "in filter status:running" in ran.err


def test_one_failure_is_said_and_stops_no_other(cli: Cli) -> None:
    # A-7 B-7 C-8 C-10
    good, bad = cli.add(name="good"), cli.add(name="bad")
    cli("sync")
    cli.fault(ErrorAnswer(400, '{"error": {"message": "not today"}}'), f"/v1/batches/{bad}/cancel")

    ran = cli("cancel", good, bad, "--yes")

    assert ran.code == 1
    failed = next(line for line in ran.out.splitlines() if line.startswith("failed"))
    assert "bad (openai)  refused (400): not today" in failed
    assert "Failed to cancel: 1" in ran.out


def test_a_rejected_key_is_named(cli: Cli) -> None:
    batch = cli.add()
    cli("sync")
    cli.fault(ErrorAnswer(401), "*/cancel")

    ran = cli("cancel", batch, "--yes")

    assert ran.code == 1
    assert "key rejected (401)" in ran.out


def test_what_is_over_already_is_a_friendly_word(cli: Cli) -> None:
    # B-3 B-4
    batch = cli.add_finished(name="nightly")
    cli("sync")

    ran = cli("cancel", batch, "--yes")

    assert ran.code == 0
    assert "already completed" in ran.out


def test_a_job_its_provider_lost_is_said(cli: Cli) -> None:
    # C-9
    batch = cli.add()
    cli("sync")
    cli.emulator.openai.remove_batch(batch, key=KEYS["openai"])

    ran = cli("cancel", batch, "--yes")

    assert ran.code == 1
    assert "404" in ran.out


def test_bad_names(cli: Cli) -> None:
    # B-6 B-11
    batch = cli.add()
    cli("sync")

    assert cli("cancel", "nope", "--yes").code == 3
    assert cli("cancel", "batch_nobody", "--yes").code == 3
    mixed = cli("cancel", "nope", batch, "--yes")
    assert mixed.code == 1
    assert "no job 'nope'" in mixed.err
    assert "Cancelling: 1" in mixed.out


def test_an_ambiguous_prefix_names_the_jobs(cli: Cli, tmp_path: Path) -> None:
    database = f"{tmp_path}/samples.db"
    cli("demo", "--jobs", "1500", "--db", database)
    ids = sorted(job["id"] for job in cli.json("list", "--limit", "0", "--db", database)["jobs"])
    prefix = next(a[:3] for a, b in pairwise(ids) if a[:3] == b[:3])

    ran = cli("cancel", prefix, "--db", database, "--dry-run")

    assert ran.code == 3
    assert f"{prefix} is ambiguous: " in ran.err


def test_a_removed_job_says_how_to_get_it_back(cli: Cli) -> None:
    batch = cli.add_finished()
    cli("sync")
    job = cli.id_of(batch)
    cli("remove", batch, "--yes")

    ran = cli("cancel", batch, "--yes")

    assert ran.code == 3
    assert f"jobdash undo {job}" in ran.err


def test_an_account_that_cannot_be_asked_for_an_unknown_id(cli: Cli) -> None:
    cli.fault(ErrorAnswer(400), key=KEYS["work"])
    assert cli("cancel", "batch_nobody", "--yes").code == 1
    cli.emulator.faults.clear()
    cli.fault(ErrorAnswer(401))
    assert cli("cancel", "batch_nobody", "--yes").code == 5


@pytest.mark.parametrize(
    "args",
    [
        ("cancel",),
        ("cancel", "k3f9", "-f", "status:running"),
        ("cancel", "k3f9", "--all-pending"),
        ("cancel", "k3f9", "--no-sync"),
        ("cancel", "-f", "x:y"),
        ("cancel", "k3f9", "--wait=soon"),
        ("cancel", "--all-pending", "--account", "nobody"),
        ("force-fail",),
        ("remove", "k3f9", "--keep-record"),
        ("remove", "k3f9", "--keep-record", "--remote", "--cancel"),
        ("remove", "k3f9", "--wait"),
    ],
)
def test_wrong_usage(cli: Cli, args: tuple[str, ...]) -> None:
    ran = cli(*args)

    assert ran.code == 2
    assert ran.err.startswith("jobdash: ")
    assert ran.out == ""


@pytest.mark.parametrize("account", ["openai", "gemini"])
def test_waiting_for_the_confirmation(cli: Cli, account: str) -> None:
    batch = cli.add(account, cancelling=0.0)

    ran = cli("cancel", batch, "--yes", "--wait")

    assert ran.code == 0
    assert ran.out.endswith("Cancelled: 1 · Cancelling: 0 · Failed to cancel: 0 · Skipped (not pending): 0\n")


def test_waiting_ends_when_the_time_is_up(cli: Cli) -> None:
    batch = cli.add(switches=Switches(cancel=CancelBehaviour.STICKS))

    ran = cli("cancel", "--yes", "--wait=0.2s", batch)

    assert ran.code == 7
    assert "Cancelling: 1" in ran.out
    assert "not every job was confirmed in time" in ran.err


def test_doubt_is_told_and_may_be_asked_again(cli: Cli) -> None:
    # C-8
    batch = cli.add("gemini", cancelling=HOUR)
    cli("sync")
    cli.fault(Reset(applied=True), "*:cancel", times=1)

    ran = cli("cancel", batch, "--yes")

    assert ran.code == 1
    assert "it may or may not be cancelled" in ran.out
    assert cli("cancel", batch, "--yes").code == 0


def test_a_store_that_cannot_be_written_is_said_before_anything_is_sent(cli: Cli) -> None:
    # B-13
    batch = cli.add()
    cli("sync")
    cli.patch.setattr(
        "jobdash.operations.job_lookup.ensure_store", lambda _path, **_: "jobs.db is not writable"
    )

    ran = cli("cancel", batch, "--yes")

    assert ran.code == 6
    assert "cannot be written: jobs.db is not writable" in ran.err
    assert cli.calls("POST") == 0


@pytest.mark.slow
def test_ctrl_c_sends_nothing_more_and_still_tells(cli: Cli) -> None:
    # C-6
    for _ in range(150):
        cli.add()
    cli("sync")
    cli.emulator.latency = 0.4
    process = cli.start("cancel", "-f", "status:running", "--yes")
    assert process.stdout is not None
    lines = [within(process.stdout.readline) for _ in range(3)]
    assert lines[2].startswith("cancelling")

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert "stopping: nothing more is sent" in err
    summary = out.splitlines()[-1]
    assert "Not sent (stopped): " in summary
    counts = {part.split(": ")[0]: int(part.split(": ")[1]) for part in summary.split(" · ")}
    assert counts["Cancelling"] == cli.calls("POST", "*/cancel")
    assert counts["Cancelling"] + counts["Not sent (stopped)"] == 150
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["cancel", "remove", "retry", "wait"])
def test_an_empty_filter_is_a_mistake_and_not_every_job(cli: Cli, command: str) -> None:
    # As "$FILTER" of a variable that is not set.
    batch = cli.add(running=HOUR)
    cli("sync")
    ran = cli(command, "-f", " ", *([] if command == "wait" else ["--yes"]))
    assert ran.code == 2
    assert "the filter is empty, which is every job" in ran.err
    assert cli.job(batch)["status"] == "in_progress"
