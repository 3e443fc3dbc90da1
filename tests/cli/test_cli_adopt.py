"""``jobdash adopt``: which batch the job of a submit without an answer is."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from cli_kit import Cli

from jobdash.demo.emulator import BatchScript, Reset
from jobdash.domain.time import system_clock
from jobdash.operations.job_lookup import Browser
from jobdash.operations.person import current_actor
from jobdash.store.writer import Writer


@pytest.fixture
def doubtful(cli: Cli, tmp_path: Path) -> str:
    """The id of a job that may be one of two batches."""
    anthropic = cli.emulator.anthropic
    cli.patch.setenv("ANTHROPIC_API_KEY", anthropic.key)
    cli.patch.setenv("ANTHROPIC_BASE_URL", cli.server.anthropic_base_url)
    anthropic.add_batch(BatchScript(total=1, created_at=cli.clock.now()), key=anthropic.key)
    cli.fault(Reset(applied=True), "/v1/messages/batches", "POST")
    params = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    path = tmp_path / "nightly.jsonl"
    path.write_text(json.dumps({"custom_id": "r1", "params": params}) + "\n")
    assert cli("submit", str(path), "--account", "anthropic").code == 1
    cli.emulator.faults.clear()
    with (
        Browser(cli.database, system_clock) as browser,
        closing(Writer(cli.database, system_clock, current_actor("cli"))) as writer,
    ):
        (intent,) = browser.open_intents("anthropic")
        row = writer.leave_unconfirmed(intent.id, "no list shows which")
    assert row is not None
    return row.public_id


def test_show_and_adopt_name_the_batches(cli: Cli, doubtful: str) -> None:
    found = cli.json("show", doubtful)["candidates"]
    assert len(found) == 2
    shown = cli("show", doubtful)
    assert f"jobdash adopt {doubtful} says which batch it is, or none" in " ".join(shown.out.split())
    assert all(each in shown.out for each in found)
    assert doubtful in cli("list", "-f", "attention:unconfirmed").out

    asked = cli("adopt", doubtful)

    assert (asked.code, f"may be {', '.join(found)}: --id says which, --none" in asked.err) == (2, True)
    assert cli("adopt", doubtful, "--id", found[0]).code == 4  # there is no terminal to ask at
    assert cli("adopt", doubtful, "--id", found[0], "--none").code == 2
    dry = cli("adopt", doubtful, "--none", "--dry-run")
    assert (dry.code, f"No batch is {doubtful} nightly" in dry.out) == (0, True)
    assert cli.job(doubtful)["remote_id"] is None


def test_a_batch_is_adopted(cli: Cli, doubtful: str) -> None:
    mine, _ = cli.json("show", doubtful)["candidates"]

    ran = cli.at_terminal("y\n", "adopt", doubtful, "--id", mine)

    assert (ran.code, f"it is {mine}" in ran.out) == (0, True), ran
    job = cli.job(doubtful)
    assert (job["remote_id"], job["name"], job["candidates"]) == (mine, "nightly", [])
    again = cli("adopt", doubtful, "--id", mine, "--yes")
    assert (again.code, f"it is {mine}" in again.out) == (1, True)
    assert "adopt" in cli("log", doubtful).out


def test_none_is_said_and_it_is_sent_again(cli: Cli, doubtful: str) -> None:
    assert cli("retry", doubtful, "--yes").code == 1

    ran = cli("adopt", doubtful, "--none", "--yes", "--json")

    assert ran.code == 0
    (line,) = ran.json["jobs"]
    assert (line["result"], line["status_after"]) == ("done", "failed")
    assert cli.calls("POST") == 1
    assert cli("retry", doubtful, "--yes").code == 0
    assert cli.calls("POST") == 2


def test_a_batch_that_is_not_there_is_not_adopted(cli: Cli, doubtful: str) -> None:
    ran = cli("adopt", doubtful, "--id", "msgbatch_nothing", "--yes")
    assert (ran.code, "its provider knows no batch msgbatch_nothing" in ran.out) == (1, True), ran
    assert cli.job(doubtful)["raw_status"] == "unconfirmed"
