"""``auto_fetch``: what ended is fetched, whichever process saw it, and what fails is tried again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_kit import HOUR, Cli
from shared.deadlines import LONG, killed, within
from shared.other_program import other_program

from jobdash.demo.emulator import Ending

DAY = 24 * HOUR


def configure(cli: Cli, folder: Path) -> None:
    """Let the account "work" fetch by itself into a folder."""
    earlier = cli.config.read_text().partition("auto_fetch")[0]
    cli.config.write_text(f'{earlier}auto_fetch = true\n[results]\nfolder = "{folder}"\n')


def fetched(folder: Path) -> list[str]:
    return sorted(each.name.split("-")[0] for each in folder.iterdir()) if folder.is_dir() else []


def ended(cli: Cli, name: str = "nightly") -> str:
    """Add a batch that a sync, and no fetch, sees end."""
    batch = cli.add("work", name, total=3, running=HOUR)
    cli("sync")
    cli.clock.advance(2 * HOUR)
    assert cli("sync").code == 0
    return batch


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_another_command_saw_end_is_fetched(cli: Cli, tmp_path: Path) -> None:
    configure(cli, tmp_path / "auto")
    batch = ended(cli)
    ran = cli("watch", "--once")
    assert ran.code == 0
    assert "fetched: 3 ok" in ran.err
    assert fetched(tmp_path / "auto") == ["nightly"]
    assert cli.job(batch)["fetched_at"] is not None
    assert "fetched" not in cli("watch", "--once").err


def test_a_watch_fetches_what_another_command_saw_end(cli: Cli, tmp_path: Path) -> None:
    configure(cli, tmp_path / "auto")
    cli("sync")
    watch = cli.start("watch")
    try:
        assert watch.stderr is not None
        assert "watching" in within(watch.stderr.readline)
        ended(cli)
        until(lambda: fetched(tmp_path / "auto") == ["nightly"])
    finally:
        killed(watch)


def test_a_fetch_that_fails_is_logged_needs_attention_and_is_tried_again(cli: Cli, tmp_path: Path) -> None:
    configure(cli, Path("/proc/nowhere"))
    batch = ended(cli)
    for _ in range(2):
        ran = cli("watch", "--once")
        assert "/proc/nowhere cannot be written" in ran.err
    events = [each for each in cli.json("log", batch)["events"] if each["action"] == "fetch"]
    assert [each["result"] for each in events] == ["failed"]
    assert "/proc/nowhere cannot be written" in events[0]["detail"]
    assert cli.job(batch)["attention"] == ["not_fetched"]
    assert batch in cli("list", "-f", "attention:not_fetched", "--json").out

    configure(cli, tmp_path / "auto")
    assert "fetched: 3 ok" in cli("watch", "--once").err
    job = cli.job(batch)
    assert (job["attention"], job["fetch_error"]) == ([], None)


def test_a_fetch_that_is_made_by_hand_ends_the_attention(cli: Cli, tmp_path: Path) -> None:
    configure(cli, Path("/proc/nowhere"))
    batch = ended(cli)
    cli("watch", "--once")
    assert cli("fetch", batch, "--out", str(tmp_path / "out")).code == 0
    assert cli.job(batch)["attention"] == []
    assert "nowhere" not in cli("watch", "--once").err


def test_the_history_of_an_account_is_not_fetched(cli: Cli, tmp_path: Path) -> None:
    cli.add_finished("work", "before", total=3)
    ended(cli, "old")
    age_events(cli, 8 * DAY)
    ended(cli, "young")
    configure(cli, tmp_path / "auto")
    cli("watch", "--once")
    assert fetched(tmp_path / "auto") == ["young"]


def age_events(cli: Cli, seconds: float) -> None:
    """Set back the log by so much: the store's clock is the real one."""
    with other_program(cli.database) as store:
        store.execute("UPDATE event SET at = at - ?", (round(seconds * 1000),))


def test_files_that_were_deleted_here_are_not_fetched_again(cli: Cli, tmp_path: Path) -> None:
    configure(cli, tmp_path / "auto")
    ended(cli)
    cli("watch", "--once")
    cli("prune", "--files", "1m", "--yes")
    assert fetched(tmp_path / "auto") == []
    cli("watch", "--once")
    assert fetched(tmp_path / "auto") == []


def test_a_batch_without_results_is_asked_for_once(cli: Cli, tmp_path: Path) -> None:
    configure(cli, tmp_path / "auto")
    batch = cli.add("work", "refused", total=3, age=0.0, ending=Ending.FAILS)
    cli("sync")
    cli.clock.advance(2 * HOUR)
    cli("watch", "--once")
    assert cli.job(batch)["attention"] == ["failed"]
    (event,) = [each for each in cli.json("log", batch)["events"] if each["action"] == "fetch"]
    assert (event["result"], event["detail"].split(":")[0]) == ("skipped", "no results")
    asked = cli.calls("GET", f"*{batch}")
    cli("watch", "--once")
    assert cli.calls("GET", f"*{batch}") == asked


@pytest.mark.slow
def test_a_wait_that_runs_out_of_time_fetches_what_ended(cli: Cli, tmp_path: Path) -> None:
    configure(cli, tmp_path / "auto")
    batch = ended(cli)
    other = cli.add("work", "slow", total=3, running=9 * HOUR)
    cli("sync")
    assert cli("wait", batch, other, "--timeout", "1s").code == 7
    assert fetched(tmp_path / "auto") == ["nightly"]


def test_a_wait_logs_what_it_could_not_fetch(cli: Cli) -> None:
    configure(cli, Path("/proc/nowhere"))
    batch = ended(cli)
    cli("wait", batch)
    assert cli.job(batch)["attention"] == ["not_fetched"]
