"""``jobdash force-fail``, ``remove`` and ``undo``: what they print and what they leave behind."""

from __future__ import annotations

from cli_kit import KEYS, Cli

from jobdash.demo.emulator import CancelBehaviour, ErrorAnswer, Reset, Switches


def test_force_fail_tells_both_sides_and_keeps_the_reason(cli: Cli) -> None:
    # E-1 E-3
    batch = cli.add(name="nightly")
    cli("sync")

    ran = cli("force-fail", batch, "--reason", "stuck", "--yes")

    assert ran.code == 0
    assert "failed here; provider: cancel accepted" in ran.out
    assert ran.out.endswith("Force-failed: 1 · Failed: 0 · Skipped: 0\n")
    job = cli.job(batch)
    assert (job["status"], job["verdict"], job["status_reason"]) == ("failed", "force_failed", "stuck")
    assert job["remote_status"] == "cancelling"


def test_force_fail_of_a_finished_job_is_skipped(cli: Cli) -> None:
    batch = cli.add_finished()
    cli("sync")

    ran = cli("force-fail", batch, "--yes")

    assert ran.code == 0
    assert "already completed" in ran.out


def test_force_fail_goes_by_filters_and_asks(cli: Cli) -> None:
    cli.add(name="stuck"), cli.add(name="fine")
    cli("sync")

    assert cli("force-fail", "-f", "name:stuck").code == 4
    ran = cli.at_terminal("y\n", "force-fail", "-f", "name:stuck")

    assert ran.code == 0
    assert "use it when the provider is stuck" in ran.err
    assert cli.json("list", "-f", "status:failed")["total"] == 1


def test_an_unanswered_force_fail_says_what_that_may_cost(cli: Cli) -> None:
    batch = cli.add("gemini")
    cli("sync")
    cli.fault(Reset(applied=False), "*:cancel")

    ran = cli("force-fail", batch, "--yes")

    assert ran.code == 0
    assert "no answer: it may still run and be billed" in ran.out


def test_remove_says_what_went_and_undo_brings_it_back(cli: Cli) -> None:
    # B-8 B-10 F-2
    batch = cli.add_finished(name="nightly")
    cli("sync")

    assert cli("remove", batch).code == 4
    ran = cli("remove", batch, "--yes")

    assert ran.code == 0
    assert "nightly (openai)  record removed" in ran.out
    assert ran.out.endswith("Removed: 1 · Failed: 0 · Skipped: 0\n")
    assert cli.json("list")["total"] == 0
    again = cli("remove", batch, "--yes")
    assert (again.code, "removed 0s ago; jobdash undo" in again.out) == (0, True)
    undone = cli("undo", "--yes")
    assert undone.code == 0
    assert undone.out.startswith("taken back  ")
    assert "nightly (openai)  completed again" in undone.out
    assert cli.json("list")["total"] == 1


def test_an_active_job_is_refused_unless_forced(cli: Cli) -> None:
    # B-12 E-5
    batch = cli.add()
    cli("sync")

    refused = cli("remove", batch, "--yes")
    assert refused.code == 1
    assert "still running; cancel & delete it with --cancel, or --force" in refused.out
    forced = cli("remove", batch, "--force")
    assert forced.code == 0, "--force implies --yes"
    assert cli.json("list")["total"] == 0


def test_the_providers_part_goes_on_request(cli: Cli) -> None:
    # A-12 B-9
    batch = cli.add_finished()
    cli("sync")

    ran = cli("remove", batch, "--remote", "--yes")

    assert ran.code == 0
    assert "record removed; deleted input file-" in ran.out
    assert cli.calls("DELETE", "/v1/files/*") == 2


def test_what_was_deleted_at_the_provider_is_known_after_an_undo(cli: Cli) -> None:
    batch = cli.add_finished()
    cli("sync")
    removed = cli.json("remove", batch, "--remote", "--yes")["jobs"][0]
    undone = cli.json("undo", "--yes")["jobs"][0]
    cli("sync", "--full")

    again = cli("remove", batch, "--remote", "--yes")

    assert (removed["results_available"], undone["results_available"]) == (False, False)
    assert (again.code, cli.calls("DELETE", "/v1/files/*")) == (0, 2)
    assert "record removed; deleted earlier: input, output" in again.out
    job = cli.job(batch)
    assert (job["files"], job["deleted_at_provider"]) == ({}, ["input", "output"])
    shown = cli("show", batch).out
    assert "Results" not in shown
    assert "Deleted there    input, output" in shown


def test_results_that_are_still_there_are_available(cli: Cli) -> None:
    batch = cli.add_finished()
    cli("sync")
    cli.fault(ErrorAnswer(500), "/v1/files/*", "DELETE", nth=2)

    removed = cli("remove", batch, "--remote", "--yes", "--json").json["jobs"][0]

    assert removed["results_available"] is True
    assert cli.job(batch)["deleted_at_provider"] == ["input"]


def test_what_stayed_is_said_and_kept_with_the_job(cli: Cli) -> None:
    # B-14
    batch = cli.add_finished()
    cli("sync")
    cli.fault(ErrorAnswer(500), "/v1/files/*", "DELETE", nth=1)

    ran = cli("remove", batch, "--remote", "--yes")

    assert ran.code == 1
    assert "record kept; deleted output file-" in ran.out
    assert "not deleted: input file-" in ran.out
    assert "not deleted" in cli.job(batch)["left_behind"]
    assert "⚠" in cli("show", batch).out


def test_what_expires_by_itself_is_said_and_is_no_failure(cli: Cli) -> None:
    batch = cli.add_finished("gemini")
    cli("sync")

    assert "expire by themselves" in cli("remove", batch, "--remote", "--dry-run").out
    ran = cli("remove", batch, "--remote", "--yes")

    assert ran.code == 0
    assert "record removed; deleted input files/" in ran.out
    assert "; output files/batch-" in ran.out
    assert "expires by itself" in ran.out
    assert ran.out.endswith("Removed: 1 · Failed: 0 · Skipped: 0\n")
    assert cli.json("list", "-f", "attention:left_behind")["total"] == 0


def test_clean_up_only(cli: Cli) -> None:
    batch = cli.add_finished()
    cli("sync")

    ran = cli("remove", batch, "--keep-record", "--remote", "--yes")

    assert ran.code == 0
    assert ran.out.startswith("cleaned up")
    assert ran.out.endswith("Cleaned up: 1 · Failed: 0 · Skipped: 0\n")
    assert cli.json("list")["total"] == 1


def test_fetched_files_are_told_of(cli: Cli) -> None:
    batch = cli.add_finished()
    cli("sync")

    assert "record removed; no fetched files here" in cli("remove", batch, "--files", "--yes").out


def test_the_dry_run_warns_of_what_cannot_come_back(cli: Cli) -> None:
    batch = cli.add_finished()
    cli("sync")

    ran = cli("remove", batch, "--remote", "--dry-run")

    assert ran.code == 0
    assert "are deleted there; this cannot be undone" in ran.out
    assert "were never fetched, and will be lost" in ran.out
    assert cli.calls("DELETE") == 0
    assert cli.json("list")["total"] == 1


def test_cancel_and_delete_returns_at_once_and_a_sync_carries_it_out(cli: Cli) -> None:
    # E-2
    batch = cli.add(name="nightly")
    cli("sync")

    ran = cli("remove", batch, "--cancel", "--yes")

    assert ran.code == 0
    assert "cancel asked; removed when it is confirmed" in ran.out
    assert "Removed when cancelled: 1" in ran.out
    assert "removing" in cli("list").out
    cli.clock.advance(60)
    assert "record removed" in cli("sync").out
    assert cli.json("list")["total"] == 0


def test_cancel_and_delete_waits_on_request(cli: Cli) -> None:
    batch = cli.add(cancelling=0.0)

    ran = cli("remove", batch, "--cancel", "--wait", "--yes")

    assert ran.code == 0
    assert cli.json("list")["total"] == 0


def test_cancel_and_delete_waits_no_longer_than_it_is_told(cli: Cli) -> None:
    batch = cli.add(switches=Switches(cancel=CancelBehaviour.STICKS))

    ran = cli("remove", batch, "--cancel", "--wait=0.1s", "--yes")

    assert ran.code == 7
    assert cli.json("list")["total"] == 1


def test_undo_shows_what_it_takes_back_and_asks(cli: Cli) -> None:
    batches = [cli.add_finished(name=name) for name in ("one", "two")]
    cli("sync")
    cli("remove", *batches, "--yes")

    assert cli("undo").code == 4
    dry = cli("undo", "--dry-run")
    assert dry.code == 0
    assert "Take back: the removal of 2 jobs." in dry.out
    assert cli.at_terminal("n\n", "undo").code == 4
    ran = cli.at_terminal("y\n", "undo")

    assert ran.code == 0
    assert "two" in ran.err
    assert ran.out.endswith("Taken back: 2\n")


def test_undo_of_one_job(cli: Cli) -> None:
    batches = [cli.add_finished(name=name) for name in ("one", "two")]
    cli("sync")
    ids = [cli.id_of(batch) for batch in batches]
    cli("remove", *batches, "--yes")

    document = cli.json("undo", ids[0], "--yes")

    assert document["action"] == "undo"
    assert [job["name"] for job in document["jobs"]] == ["one"]
    assert cli.json("list")["total"] == 1


def test_an_undo_names_the_cancel_that_it_goes_past(cli: Cli) -> None:
    old, running = cli.add_finished(name="old"), cli.add(name="nightly")
    cli("sync")
    cli("remove", old, "--yes")
    cli("cancel", running, "--yes")

    ran = cli("undo", "--yes")

    assert ran.code == 0
    assert ran.err == "Not taken back, as it cannot be: the cancel of nightly (openai).\n"
    assert "old (openai)  completed again" in ran.out


def test_an_undo_of_many_says_how_many_it_does_not_name(cli: Cli) -> None:
    for number in range(23):
        cli.add_finished(name=f"job-{number}")
    cli("sync")
    cli("remove", "-f", "status:completed", "--yes")

    shown = cli("undo", "--dry-run").out.splitlines()

    assert (len(shown), shown[-1]) == (22, "  … and 3 more")


def test_nothing_to_undo(cli: Cli) -> None:
    batch = cli.add()
    cli("sync")

    ran = cli("undo", "--yes")
    assert ran.code == 0
    assert "nothing to take back" in ran.err
    assert cli("undo", batch, "--yes").code == 1
    assert cli("undo", "nope", "--yes").code == 3


def test_an_account_that_is_no_more_keeps_its_jobs(cli: Cli) -> None:
    batch = cli.add("work")
    cli("sync")
    cli.config.write_text("")

    refused = cli("cancel", batch, "--yes")

    assert refused.code == 1
    assert "account work is not configured any more" in refused.out
    assert cli("force-fail", batch, "--yes").code == 0
    assert cli("remove", batch, "--yes").code == 0
    assert KEYS["work"] not in refused.out + refused.err


def test_a_provider_that_cannot_be_asked(cli: Cli) -> None:
    batch = cli.add_finished()
    cli("sync")
    cli.fault(ErrorAnswer(400), f"/v1/batches/{batch}")

    ran = cli("remove", batch, "--remote", "--yes")

    assert ran.code == 1
    assert "could not ask openai" in ran.out
    assert "--force skips the question" in ran.out


def test_a_forced_removal_asks_for_the_cancel_it_promises(cli: Cli) -> None:
    batch = cli.add(name="nightly")
    cli("sync")

    dry = cli("remove", batch, "--force", "--cancel", "--dry-run")
    ran = cli("remove", batch, "--force", "--cancel")

    assert "1 job asked to stop; removed at once, whatever is answered" in " ".join(dry.out.split())
    assert "record removed; provider: cancel accepted" in ran.out
    assert ran.out.endswith("Removed: 1 · Failed: 0 · Skipped: 0\n")
    assert cli.calls("POST", f"/v1/batches/{batch}/cancel") == 1
    assert cli.json("list")["total"] == 0
