"""``jobdash retry`` of batches, and ``fetch --merged``."""

from __future__ import annotations

import json
from pathlib import Path

from cli_kit import HOUR, Cli

from jobdash.demo.emulator import BatchFailure, BatchPlan, Timing


def _finish(cli: Cli) -> None:
    cli.clock.advance(2 * HOUR)
    cli("sync", "--account", "openai", "--full")


def test_a_dry_run_says_what_is_sent_and_changes_nothing(cli: Cli) -> None:  # A-12 B-16
    batch = cli.add_finished(name="nightly", total=20, failures=(BatchFailure(3),))
    cli("sync", "--account", "openai")
    ran = cli("retry", batch, "--dry-run")
    assert ran.code == 0
    assert "3 of 20 sent again: 3 errors · linked to nightly" in ran.out
    assert cli.calls("POST") == 0
    assert cli.job(batch)["fetched_at"] is None


def test_what_failed_is_sent_again_and_the_family_is_fetched_in_one(cli: Cli, tmp_path: Path) -> None:
    # C-13 D-4
    batch = cli.add_finished(name="nightly", total=20, failures=(BatchFailure(3),))
    cli("sync", "--account", "openai")
    cli.emulator.openai.plan = BatchPlan(timing=Timing(validating=1.0, running=10.0))
    ran = cli("retry", batch, "--yes")
    assert ran.code == 0, ran.err
    (child,) = cli.job(batch)["child_ids"]
    assert f"3 of 20 sent again: 3 errors, as {child}" in ran.out
    assert "Retried: 1 · Failed: 0 · Skipped: 0" in ran.out
    assert cli.job(child)["parent_id"] == cli.job(batch)["id"]
    assert cli("retry", batch, "--yes").code == 1
    _finish(cli)
    ran = cli("fetch", child, "--merged", "--out", str(tmp_path / "out"))
    assert ran.code == 0, ran.out
    assert "20 ok, of 2 batches" in ran.out
    (folder,) = (tmp_path / "out").glob("*-merged")
    results = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert [line["key"] for line in results if line["outcome"] == "ok"] == [line["key"] for line in results]
    ran = cli("retry", batch, "--yes")
    assert (ran.code, "every request has its answer" in ran.out) == (0, True)
    cli("fetch", batch, "--out", str(tmp_path / "out"))
    assert cli("remove", batch, child, "--files", "--yes").code == 0
    assert [each.name for each in (tmp_path / "out").iterdir()] == []


def test_a_merged_family_goes_into_a_pipe(cli: Cli) -> None:
    batch = cli.add_finished(total=6, failures=(BatchFailure(2),))
    cli("sync", "--account", "openai")
    cli.emulator.openai.plan = BatchPlan(timing=Timing(validating=1.0, running=10.0))
    cli("retry", batch, "--yes")
    _finish(cli)
    ran = cli("fetch", batch, "--merged", "--out", "-")
    assert [json.loads(line)["outcome"] for line in ran.out.splitlines()] == ["ok"] * 6


def test_two_processes_may_fetch_one_merged_family_at_once(cli: Cli, tmp_path: Path) -> None:
    batch = cli.add_finished(total=40, failures=(BatchFailure(4),))
    cli("sync", "--account", "openai")
    cli.emulator.openai.plan = BatchPlan(timing=Timing(validating=1.0, running=10.0))
    cli("retry", batch, "--yes")
    _finish(cli)
    out = tmp_path / "out"
    both = [cli.start("fetch", batch, "--merged", "--out", str(out), "--json") for _ in range(2)]
    told = [(process.communicate(timeout=60)[0], process.returncode) for process in both]
    assert [code for _, code in told] == [0, 0], told
    (folder,) = out.glob("*-merged")
    outcomes = [json.loads(line)["outcome"] for line in (folder / "results.jsonl").read_text().splitlines()]
    assert outcomes == ["ok"] * 40


def test_answers_that_were_cut_off_are_sent_again_on_request(cli: Cli) -> None:
    batch = cli.add_finished(total=10, cut_off=4)
    cli("sync", "--account", "openai")
    cli("fetch", batch, "--out", str(cli.folder / "out"))
    ran = cli("retry", batch, "--yes")
    assert ran.code == 0
    assert "nothing of that is left; there are 4 cut off: --only cut-off" in ran.out
    ran = cli("retry", batch, "--only", "cut-off", "--dry-run")
    assert "4 of 10 sent again: 4 cut off" in ran.out


def test_a_file_of_ones_own_goes_with_one_job(cli: Cli, batch_file: Path) -> None:
    ran = cli("retry", "a", "b", "--input", str(batch_file))
    assert (ran.code, "--input goes with one JOB" in ran.err) == (2, True)


def test_a_force_failed_batch_is_asked_about_first(cli: Cli) -> None:
    batch = cli.add("openai", total=10, running=600.0, failures=(BatchFailure(2),))
    cli("sync", "--account", "openai")
    cli("force-fail", batch, "--yes")
    cli.clock.advance(2 * HOUR)
    ran = cli("retry", batch, "--yes")
    assert ran.code in {0, 1}
    assert cli.job(batch)["raw_status"] in {"completed", "cancelled"}
    assert cli.job(batch)["child_ids"]


def test_of_one_family_one_retry_is_sent(cli: Cli) -> None:
    batch = cli.add_finished(name="nightly", total=10, failures=(BatchFailure(4),))
    cli("sync", "--account", "openai")
    cli.emulator.openai.plan = BatchPlan(
        timing=Timing(validating=1.0, running=10.0), failures=(BatchFailure(2),)
    )
    cli("retry", batch, "--yes")
    _finish(cli)
    ran = cli("retry", "-f", "account:openai", "--yes")
    assert ran.code == 0, ran.out
    assert "2 of 10 sent again: 2 errors" in ran.out
    assert "its requests are those of" in ran.out
    assert cli.calls("POST", "/v1/batches") == 2
