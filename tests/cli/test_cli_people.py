"""Commands of several people on one store."""

from __future__ import annotations

import pytest
from cli_kit import KEYS, Cli

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


def test_a_filter_can_name_another_persons_account(bob: Cli) -> None:
    bob("sync", "--account", "openai")  # called openai-bob from now on
    failed = bob("force-fail", "-f", "hers", "--yes")
    assert failed.code == 0
    bob.patch.setenv("LOGNAME", "ann")
    bob.patch.setenv("OPENAI_API_KEY", KEYS["openai"])
    asked = bob("sync", "--account", "openai-bob")
    assert asked.code == 5
    assert "needs the key of openai-bob (bob@" in asked.err


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
