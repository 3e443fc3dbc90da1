"""Commands of several people on one store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cli_kit import KEYS, Cli, Ending

BOB = "sk-canary-bob-0123456789abcdef"


@pytest.fixture
def bob(cli: Cli) -> Cli:
    """The shell of another person, after the first one has asked about a batch called ``hers``."""
    cli.patch.setenv("LOGNAME", "ann")
    cli.add(name="hers", running=600.0)
    assert cli("sync", "--account", "openai").code == 0
    cli.patch.setenv("LOGNAME", "bob")
    cli.patch.setenv("OPENAI_API_KEY", BOB)
    KEYS["bob"] = BOB
    return cli


def hers(cli: Cli) -> str:
    (job,) = cli.json("list", "-f", "hers")["jobs"]
    return str(job["id"])


def test_another_persons_account_has_a_name_of_its_own(bob: Cli) -> None:
    bob.add("bob", "his")
    first = bob("sync", "--account", "openai")
    assert first.code == 0, first.err
    assert "openai is another key in this store (ann@" in first.err
    assert "the account of this configuration is called openai-bob" in first.err
    assert "openai-bob: 1 seen" in first.out
    again = bob("sync", "--account", "openai-bob")
    assert again.code == 0
    assert "another key" not in again.err, "it is said once"
    by_name = {job["name"]: job["account"] for job in bob.json("list")["jobs"]}
    assert by_name == {"hers": "openai", "his": "openai-bob"}
    assert BOB not in bob.database.read_bytes().decode("latin-1")


def test_what_needs_the_key_names_who_has_it(bob: Cli) -> None:
    job = hers(bob)
    words = "needs the key of openai (ann@"
    cancel = bob("cancel", job)
    assert (cancel.code, words in cancel.out + cancel.err) == (1, True)
    show = bob("show", job)
    assert (show.code, words in show.err) == (0, True)
    fetch = bob("fetch", job, "--partial")
    assert (fetch.code, words in fetch.out + fetch.err) == (1, True)
    asked = bob("show", job, "--sync")
    assert (asked.code, f"not asked: {words}" in asked.err) == (1, True)


def test_failing_and_removing_the_record_are_open_to_everybody(bob: Cli) -> None:
    job = hers(bob)
    before = bob.calls()
    failed = bob("force-fail", job, "--yes")
    assert failed.code == 0, failed.out + failed.err
    assert "needs the key of openai" in failed.out
    removed = bob("remove", job, "--yes")
    assert removed.code == 0
    assert bob.calls() == before


def test_a_plan_promises_nothing_that_needs_another_persons_key(bob: Cli) -> None:
    his = bob.add("bob", "his", running=6000.0)
    bob("sync", "--account", "openai")
    words = "no cancel is tried: needs the key of openai (ann@"
    failed = bob("force-fail", hers(bob), "--dry-run")
    assert words in failed.out
    assert "it may still run and be billed" in failed.out
    assert "tried as well" not in failed.out
    both = bob("force-fail", hers(bob), his, "--dry-run").out
    assert "a cancel is tried as well for 1 of 2;" in both
    assert "no cancel is tried for 1 of 2: needs the key of openai (ann@" in both
    removed = bob("remove", hers(bob), "--dry-run")
    assert "still running; needs the key of openai (ann@" in removed.out
    assert "force-fail it first" in removed.out
    assert words in bob("remove", hers(bob), "--cancel", "--force", "--dry-run").out


def test_a_filter_can_name_another_persons_account(bob: Cli) -> None:
    bob("sync", "--account", "openai")  # called openai-bob from now on
    failed = bob("force-fail", "-f", "hers", "--yes")
    assert failed.code == 0
    bob.patch.setenv("LOGNAME", "ann")
    bob.patch.setenv("OPENAI_API_KEY", KEYS["openai"])
    asked = bob("sync", "--account", "openai-bob")
    assert asked.code == 5
    assert "needs the key of openai-bob (bob@" in asked.err


def test_doctor_tells_whose_the_other_accounts_are(bob: Cli) -> None:
    lines = [line for line in bob("doctor").out.splitlines() if "account openai: another" in line]
    (line,) = lines
    assert line.startswith("✔ account openai: another person's, needs the key of openai (ann@")
    (other,) = bob.json("doctor")["others"]
    assert (other["name"], other["person"].partition("@")[0], other["is_alive"]) == ("openai", "ann", True)
    with closing(sqlite3.connect(bob.database)) as raw, raw:
        raw.execute("UPDATE account SET asked_at = 1")
    assert "not polled for a week" in bob("doctor").out
    bob.patch.setenv("LOGNAME", "ann")
    bob.patch.setenv("OPENAI_API_KEY", KEYS["openai"])
    assert bob.json("doctor")["others"] == []


def test_wait_leaves_the_asking_to_who_has_the_key(bob: Cli) -> None:
    job = hers(bob)
    waited = bob("wait", job, "--timeout", "1s")
    assert waited.code == 7, waited.err
    bob.patch.setenv("LOGNAME", "ann")
    bob.patch.setenv("OPENAI_API_KEY", KEYS["openai"])
    bob.clock.advance(3600.0)
    assert bob("sync", "--account", "openai").code == 0
    bob.patch.setenv("LOGNAME", "bob")
    bob.patch.setenv("OPENAI_API_KEY", BOB)
    assert bob("wait", job).code == 0


# ── who may only read ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def viewer(cli: Cli) -> Cli:
    """A person whose settings say ``read_only``, over a store with a running and an ended batch."""
    cli.add(name="running", running=600.0)
    cli.add_finished(name="ended", ending=Ending.EXPIRES, age=30 * 3600.0, reached=40)
    assert cli("sync", "--account", "openai").code == 0
    cli.config.write_text(f"read_only = true\n{cli.config.read_text()}")
    return cli


READING = (
    ("list",), ("list", "--json"), ("list", "--csv"), ("show", "{}"), ("show", "{}", "--events"), ("log",),
    ("cost",), ("wait", "{ended}"), ("config", "show"), ("store", "check"),
    ("cancel", "{}", "--dry-run"),
)  # fmt: skip
CHANGING = (
    ("cancel", "{}", "--yes"), ("cancel", "--all-pending", "--yes"), ("force-fail", "{}", "--yes"),
    ("remove", "{ended}", "--yes"), ("retry", "{ended}", "--yes"), ("fetch", "{ended}"), ("sync",),
    ("watch", "--once"), ("show", "{}", "--sync"), ("list", "--sync"), ("refresh-errors", "{ended}"),
    ("submit", "{file}", "--account", "openai"), ("prune", "--records", "1d", "--yes"), ("worker", "os"),
    ("run", "os:getcwd", "{file}"), ("store", "grant", "viewers", "--read-only"), ("store", "init"),
    ("store", "upgrade"),
)  # fmt: skip


def test_read_only_in_the_settings_leaves_everything_as_it_is(viewer: Cli, batch_file: Path) -> None:
    ids = {job["name"]: str(job["id"]) for job in viewer.json("list")["jobs"]}
    with closing(sqlite3.connect(viewer.database)) as witness:
        before, version = viewer.calls("POST"), witness.execute("PRAGMA data_version").fetchall()
        asked = viewer.calls()
        for words in READING:
            ran = viewer(*(word.format(ids["running"], ended=ids["ended"]) for word in words))
            assert ran.code == (1 if words[0] == "wait" else 0), (words, ran.out, ran.err)
        for words in CHANGING:
            ran = viewer(
                *(word.format(ids["running"], ended=ids["ended"], file=batch_file) for word in words)
            )
            assert ran.code != 0, (words, ran.out)
            assert f"read_only is set in {viewer.config}" in ran.err, (words, ran.out, ran.err)
        assert viewer.calls() == asked, "no provider was asked"
        assert viewer("doctor").code in {0, 1}
        assert viewer.calls("POST") == before
        assert witness.execute("PRAGMA data_version").fetchall() == version, "nothing was written"


def test_read_only_makes_no_store(cli: Cli) -> None:
    cli.config.write_text("read_only = true\n")
    ran = cli("list")
    assert (ran.code, "There is no store at" in ran.err) == (6, True)
    assert not cli.database.exists()
    cli.config.write_text('read_only = "yes"\n')
    assert "read_only has to be true or false" in cli("list").err
