"""The commands over a store in PostgreSQL, and those for stores as a whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import postgres_kit
import psycopg
import pytest
from cli_kit import Cli
from shared.store_files import build_store

from jobdash.store.dialects import postgres_admin
from jobdash.store.location import PostgresLocation
from jobdash.store.schema.migrate import MIGRATIONS

FIRST_ON_A_SERVER = Path(__file__).parents[1] / "store" / "postgres_0013.sql"
CANARY = "canary-password-0123456789"


@pytest.fixture
def served(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PostgresLocation:
    """A store on a server, which the environment of the person names."""
    location = postgres_kit.empty_store(tmp_path / "data")
    monkeypatch.setenv("JOBDASH_DATABASE", location.address)
    return location


@pytest.mark.postgres
def test_the_commands_do_what_they_do_with_a_file(cli: Cli, served: PostgresLocation) -> None:
    cli.add(name="nightly", running=3600)
    cli.add("gemini", name="other")
    assert cli("sync").code == 0
    rows = cli.json("list")["jobs"]
    assert {row["name"] for row in rows} == {"nightly", "other"}
    assert [row["name"] for row in cli.json("list", "-f", "NIGHT")["jobs"]] == ["nightly"]
    job = next(row["id"] for row in rows if row["name"] == "nightly")
    assert cli("show", job).code == 0
    assert cli("cancel", job, "--yes").code == 0
    assert cli.json("show", job)["status"] == "cancelling"
    assert cli("force-fail", job, "--yes").code == 0
    assert cli("undo", "--yes").code == 0
    assert "cancel" in cli("log", job).out
    assert not cli.database.exists(), "no file was made"
    doctor = cli("doctor")
    assert f"✔ store: {served}" in doctor.out
    assert "✔ server: PostgreSQL " in doctor.out
    assert "as postgres, a connection on this computer, no TLS, its clock " in doctor.out
    found = cli.json("doctor")["store"]
    assert (found["path"], found["owners"], found["server"]["user"]) == (str(served), [], "postgres")
    assert str(served) in cli("config", "show").out


@pytest.mark.postgres
def test_a_store_is_made_checked_copied_and_shared(
    cli: Cli, served: PostgresLocation, tmp_path: Path
) -> None:
    there = replace(served, schema="later").address
    ran = cli("list", "--db", there)
    assert ran.code == 6
    assert f"Make it: jobdash store init '{there}'" in ran.err
    assert cli("store", "check", there).code == 6
    assert cli("store", "init", there).out == f"Made a store at {there}\n"
    assert cli.json("store", "init", there) == {"store": there, "made": False, "upgraded": False}
    cli.add(name="nightly")
    cli("sync")
    file = str(tmp_path / "copy.db")
    assert cli("store", "copy", served.address, file).out == f"1 jobs are in {file} now\n"
    assert cli.json("store", "copy", file, there) == {"store": there, "jobs": 1}
    assert cli("store", "copy", file, there).code == 6
    for place in (file, there, served.address):
        assert cli.json("store", "check", place) == {"store": place, "wrong": []}
        assert cli.json("list", "--db", place)["jobs"][0]["name"] == "nightly"
    postgres_kit.raw(served, "UPDATE tally SET n = 7")
    wrong = cli("store", "check")
    assert (wrong.code, wrong.out) == (
        1,
        "✖ the counts of jobs by account and tab: not as its rows have it\n",
    )
    assert cli("store", "grant", "nobody_here", "--read-only").code == 6
    assert cli("store", "grant", "nobody_here").code == 6


@pytest.mark.postgres
@pytest.mark.parametrize("command", [["store", "init"], ["list", "--db"]])
def test_a_database_that_does_not_exist_has_to_be_created(cli: Cli, command: list[str]) -> None:
    ran = cli(*command, postgres_kit.server().url("nodb"))
    assert ran.code == 6
    assert "does not exist (" in ran.err
    assert 'database "nodb" does not exist' in ran.err
    assert "createdb" in ran.err
    assert "There is no jobdash store" not in ran.err


def test_a_file_has_no_roles(cli: Cli) -> None:
    ran = cli("store", "grant", "viewers", "--read-only")
    assert ran.code == 2
    assert "only a store in PostgreSQL has roles" in ran.err


def test_a_file_can_be_made_and_checked_as_well(cli: Cli) -> None:
    assert cli.json("store", "init")["made"] is True
    assert cli.json("store", "init")["made"] is False
    assert cli("store", "check").code == 0


@pytest.mark.postgres
def test_an_older_store_on_a_server_is_upgraded_when_a_person_says_so(cli: Cli) -> None:
    with postgres_kit.database("cli_older") as address:
        location = PostgresLocation(address)
        postgres_admin.create_schema(location, FIRST_ON_A_SERVER.read_text(encoding="utf-8"))
        refused = cli("list", "--db", address)
        assert refused.code == 6
        assert "made by an older jobdash (schema 0013" in refused.err
        assert f"jobdash store upgrade '{location}'" in refused.err
        assert cli("store", "upgrade", address).out == f"Upgraded a store at {location}\n"
        assert cli("list", "--db", address).code == 0
        again = cli.json("store", "upgrade", address)
        assert again == {"store": str(location), "made": False, "upgraded": False}
        told = f"The store at {location} is there already, and up to date\n"
        assert cli("store", "upgrade", address).out == told
        assert cli("store", "init", address).out == told


@pytest.mark.postgres
def test_a_role_that_may_only_read_is_told_that_the_store_is_there(cli: Cli) -> None:
    with postgres_kit.database("cli_reader") as address:
        cli("store", "init", address)
        with (
            closing(psycopg.connect(address, autocommit=True)) as connection,
            suppress(psycopg.errors.DuplicateObject),
        ):
            connection.execute("CREATE ROLE viewer LOGIN")
        assert cli("store", "grant", "viewer", "--read-only", "--db", address).code == 0
        seen = address.replace("postgres@", "viewer@")
        for command in ("init", "upgrade"):
            ran = cli("store", command, seen)
            assert (ran.code, ran.err) == (0, "")
            assert "is there already, and up to date" in ran.out
        doctor = cli("doctor", "--db", seen)
        assert (doctor.code, "✖" in doctor.out) == (0, False)
        assert "! store: it can only be read: this database role may only read" in doctor.out


def test_an_older_store_is_upgraded_by_init_as_well(cli: Cli, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    build_store(old, (MIGRATIONS / "versions" / "0001_baseline.sql").read_text())
    with closing(sqlite3.connect(old)) as raw, raw:
        raw.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        raw.execute("INSERT INTO alembic_version VALUES ('0001')")
    assert cli("store", "init", str(old)).out == f"Upgraded a store at {old}\n"
    missing = cli("store", "upgrade", str(tmp_path / "nothing.db"))
    assert (missing.code, "There is no store at" in missing.err) == (6, True)
    assert not (tmp_path / "nothing.db").exists()


def test_a_copy_of_a_store_that_is_not_there_makes_nothing(cli: Cli, tmp_path: Path) -> None:
    source, target = tmp_path / "deep" / "nofile.db", tmp_path / "copy.db"
    checked = cli("store", "check", str(source))
    ran = cli("store", "copy", str(source), str(target))
    assert (ran.code, ran.err) == (6, checked.err)
    assert f"There is no store at {source}" in ran.err
    assert not source.parent.exists()
    assert not target.exists()


@pytest.mark.parametrize("command", [["list"], ["store", "init"], ["doctor"], ["config", "show"]])
def test_a_password_in_an_address_is_refused_and_stands_nowhere(cli: Cli, command: list[str]) -> None:
    address = f"postgresql://ann:{CANARY}@127.0.0.1:1/jobs"
    ran = cli(*command, "--db", address)
    assert CANARY not in ran.out + ran.err
    assert "PGPASSWORD" in ran.out + ran.err
    assert ran.code == 5


def test_a_password_of_the_environment_stands_nowhere(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", CANARY)
    for command in (
        ["list"],
        ["doctor"],
        ["config", "show", "--json"],
        ["store", "check"],
        ["list", "--debug"],
    ):
        ran = cli(*command, "--db", "postgresql://ann@127.0.0.1:1/jobs")
        assert CANARY not in ran.out + ran.err
    for file in cli.folder.rglob("*"):
        assert not file.is_file() or CANARY not in file.read_text(errors="replace")


@pytest.mark.postgres
@pytest.mark.slow
def test_a_server_that_refuses_a_user_says_where_a_password_goes(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = postgres_kit.free_port()
    given = {"port": port, "listen_addresses": "127.0.0.1"}
    with postgres_kit.own_folder() as folder, postgres_kit.running(folder, **given) as server:
        postgres_kit.admit(server, CANARY)
        address = f"postgresql://ann@127.0.0.1:{port}/jobs"
        monkeypatch.setenv("PGPASSWORD", "wrong")
        refused = cli("store", "init", address)
        assert refused.code == 6
        assert "refuses this user" in refused.err
        assert "~/.pgpass" in refused.err
        monkeypatch.setenv("PGPASSWORD", CANARY)
        made = cli("store", "init", address)
        assert (made.code, CANARY in made.out + made.err) == (0, False)
        monkeypatch.delenv("PGPASSWORD")
        (tmp_path / "pass").write_text(f"127.0.0.1:{port}:jobs:ann:{CANARY}\n")
        (tmp_path / "pass").chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pass"))
        assert cli("list", "--db", address).code == 0
