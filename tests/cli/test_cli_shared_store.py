"""Commands of people who share a store on a server: files beside it, and roles."""

from __future__ import annotations

import json
from pathlib import Path

import postgres_kit
import pytest
from cli_kit import Cli

from jobdash.store.location import PostgresLocation

pytestmark = pytest.mark.postgres


@pytest.fixture
def served(cli: Cli, tmp_path: Path) -> PostgresLocation:
    """A store on a server, for a person who has no folder of jobdash at home yet."""
    location = postgres_kit.empty_store(tmp_path / "data" / "jobdash")
    cli.patch.setenv("JOBDASH_DATABASE", location.address)
    return location


def requests(path: Path, number: int) -> str:
    """Write a file of requests for OpenAI; return its path."""
    lines = [
        {"custom_id": f"r{n}", "method": "POST", "url": "/v1/responses", "body": {"model": "m", "input": "x"}}
        for n in range(number)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def test_the_first_submit_keeps_a_copy_of_its_input(
    cli: Cli, served: PostgresLocation, tmp_path: Path
) -> None:
    file = requests(tmp_path / "first.jsonl", 2)
    ran = cli("submit", file, "--account", "openai")
    assert (ran.code, "no copy" in ran.err) == (0, False)
    assert not (tmp_path / "data" / "jobdash.db").exists()
    (copy,) = (tmp_path / "data" / "jobdash" / "inputs").iterdir()
    assert copy.read_text() == Path(file).read_text()
    assert [oct(folder.stat().st_mode & 0o777) for folder in copy.parents[:3]] == ["0o700"] * 3


def test_the_first_submit_may_wait_in_the_queue(cli: Cli, served: PostgresLocation, tmp_path: Path) -> None:
    with cli.config.open("a") as config:
        config.write("max_requests = 1\nenqueued_limit = 1\n")
    ran = cli("submit", requests(tmp_path / "many.jsonl", 3), "--account", "work", "--split")
    assert ran.code == 0, ran.err
    assert ran.out.count("queued here") == 2
