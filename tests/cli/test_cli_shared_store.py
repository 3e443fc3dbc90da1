"""Commands of people who share a store on a server: files beside it, and roles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import postgres_kit
import psycopg
import pytest
from cli_kit import HOUR, ROOT, Cli

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


def test_the_first_fetch_makes_folders_of_the_owners_alone(
    cli: Cli, served: PostgresLocation, tmp_path: Path
) -> None:
    with cli.config.open("a") as config:
        config.write("auto_fetch = true\n")
    cli.add("work", name="done", total=2, running=HOUR)
    cli("sync")
    cli.clock.advance(2 * HOUR)
    cli("watch", "--once")
    (job,) = cli.json("list", "-f", "fetched:yes")["jobs"]
    folder = Path(job["results_folder"])
    assert folder.parents[1] == tmp_path / "data" / "jobdash"
    assert [oct(each.stat().st_mode & 0o777) for each in (folder, *folder.parents[:3])] == ["0o700"] * 4


def test_the_first_submit_may_wait_in_the_queue(cli: Cli, served: PostgresLocation, tmp_path: Path) -> None:
    with cli.config.open("a") as config:
        config.write("max_requests = 1\nenqueued_limit = 1\n")
    ran = cli("submit", requests(tmp_path / "many.jsonl", 3), "--account", "work", "--split")
    assert ran.code == 0, ran.err
    assert ran.out.count("queued here") == 2


# ── roles ───────────────────────────────────────────────────────────────────────────────────────────────────

_MODULE = """
import jobdash

@jobdash.job
def twice(number):
    return 2 * number

if __name__ == "__main__":
    with jobdash.track(range(3), name="loop", key=str) as job:
        for item in job:
            with item:
                item.detail = 1
"""


@pytest.fixture
def as_bob(cli: Cli) -> Iterator[Cli]:
    """A person over a new store; ``JOBDASH_BOB`` is its address for a role that may do nothing yet."""
    with postgres_kit.database("cli_roles") as address:
        assert cli("store", "init", address).code == 0
        with closing(psycopg.connect(address, autocommit=True)) as connection:
            connection.execute("CREATE ROLE bob LOGIN; CREATE ROLE ann_of_another")
        cli.patch.setenv("JOBDASH_DATABASE", address)
        cli.patch.setenv("JOBDASH_BOB", address.replace("postgres@", "bob@"))
        cli.patch.chdir(cli.folder)
        (cli.folder / "twofold.py").write_text(_MODULE)
        (cli.folder / "numbers.jsonl").write_text("1\n2\n3\n")
        yield cli
        with closing(psycopg.connect(address, autocommit=True)) as connection:
            connection.execute("DROP OWNED BY bob; DROP ROLE bob; DROP ROLE ann_of_another")


def become_bob(cli: Cli) -> None:
    cli.patch.setenv("JOBDASH_DATABASE", os.environ["JOBDASH_BOB"])


def runs(cli: Cli, *command: str) -> str:
    """Run a program in the folder of the module; return what it printed on stderr."""
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=cli.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stderr


def test_a_role_that_was_granted_the_store_works_with_it(as_bob: Cli, tmp_path: Path) -> None:
    cli = as_bob
    granted = cli("store", "grant", "bob")
    assert (granted.code, "bob may read and write postgresql://" in granted.out) == (0, True)
    assert "no worker has run here yet" in granted.err
    become_bob(cli)
    cli.add(name="nightly", running=3600)
    assert cli("sync").code == 0
    assert cli("submit", requests(tmp_path / "first.jsonl", 2), "--account", "openai").code == 0
    job = next(job["id"] for job in cli.json("list")["jobs"] if job["name"] == "nightly")
    for command in (["cancel", job, "--yes"], ["force-fail", job, "--yes"], ["undo", "--yes"]):
        ran = cli(*command)
        assert ran.code == 0, ran.err
    assert cli("doctor").code == 0
    assert cli("store", "check").code == 0
    assert "cannot" not in runs(cli, "twofold.py")
    (loop,) = cli.json("list", "-f", "loop")["jobs"]
    assert (loop["status"], loop["succeeded"]) == ("completed", 3)
    for more in ((), ("--read-only",)):
        refused = cli("store", "grant", "ann_of_another", *more)
        assert (refused.code, "are those of the role postgres, who alone grants" in refused.err) == (6, True)
    upgrade = "UPDATE alembic_version SET version_num = '9999'"
    with (
        closing(psycopg.connect(os.environ["JOBDASH_BOB"], options="-c search_path=jobdash")) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(upgrade)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["dbos", "procrastinate"])
def test_a_granted_role_runs_workers_once_the_engine_has_its_tables(as_bob: Cli, engine: str) -> None:
    cli = as_bob
    worker = ("-m", "jobdash", "worker", "twofold", "--once", "--engine", engine)
    runs(cli, *worker)
    granted = cli.json("store", "grant", "bob")
    assert (granted["workers"], granted["read_only"]) == (True, False)
    become_bob(cli)
    job = cli("run", "twofold:twice", "numbers.jsonl").out.split()[0]
    runs(cli, *worker)
    assert (cli.job(job)["status"], cli.job(job)["succeeded"]) == ("completed", 3)
