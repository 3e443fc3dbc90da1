"""Sentences that used to hide what happened: when accounts were asked, certificates, long plans, the log."""

from __future__ import annotations

import json
import os
import pty
import re

import pytest
from cli_kit import KEYS, Cli
from shared.deadlines import read_terminal

from jobdash.cli.tables import wrapped
from jobdash.demo.emulator.faults import ErrorAnswer


def drawn(cli: Cli, *args: str, code: int = 0, answer: str = "") -> list[str]:
    """What a command writes to a terminal, its styles taken out."""
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": "1"}
    process = cli.start(*args, stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    os.write(master, answer.encode())
    written = b"".join(read_terminal(master))
    os.close(master)
    assert process.wait(20) == code, written
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
    return text.replace("\r\n", "\n").splitlines()


def test_an_account_that_failed_was_asked_all_the_same(cli: Cli) -> None:
    assert "never asked yet: openai, gemini, work (jobdash sync does it)" in cli("list").err
    cli.fault(ErrorAnswer(403, json.dumps({"detail": "not from here"})), key=KEYS["work"])
    cli("sync")

    told = cli("list").err

    assert "never asked" not in told
    words = (
        r"as of \d+s ago; work was asked \d+s ago and has never answered: key rejected \(403\): not from here"
    )
    assert re.search(words, told)
    cli.emulator.faults.clear()
    cli("sync")
    assert re.fullmatch(r"no jobs\nas of \d+s ago\n", cli("list").err)


@pytest.mark.parametrize("command", ["sync", "doctor"])
@pytest.mark.slow
def test_certificates_that_cannot_be_read_are_named(cli: Cli, command: str) -> None:
    missing = str(cli.folder / "no-such.pem")
    with cli.start(command, env={**os.environ, "SSL_CERT_FILE": missing}) as process:
        out, err = process.communicate(timeout=30)
    assert f"SSL_CERT_FILE={missing}" in out + err
    assert "No such file or directory" in out + err
    assert "PROXY" not in out + err


def test_a_wait_nobody_asked_for_is_not_said_to_be_asked_for(cli: Cli) -> None:
    cli.fault(ErrorAnswer(429), key=KEYS["work"], times=1)

    ran = cli("sync", "--account", "work")

    assert re.search(r"work: waiting \d+ s, its provider takes no more requests now", ran.err)
    assert "asks" not in ran.err


def test_a_plan_is_wrapped_between_words_at_a_terminal(cli: Cli) -> None:
    batch = cli.add(name="a long name " * 8)
    cli("sync")
    cli.patch.setenv("COLUMNS", "60")

    lines = drawn(cli, "cancel", batch, "--dry-run")

    assert all(len(line) <= 60 for line in lines)
    at = next(place for place, line in enumerate(lines) if line.startswith("  At the provider"))
    head = re.match(r"  At the provider +", lines[at])
    assert head is not None
    assert lines[at + 1].startswith(" " * len(head[0]))
    words = " ".join(line[len(head[0]) :] for line in lines[at : at + 3])
    assert "it is asked to stop; this cannot be undone, and may take up to 10 minutes" in words
    piped = cli("cancel", batch, "--dry-run").out
    assert "it is asked to stop; this cannot be undone, and may take up to 10 minutes" in piped


def test_words_longer_than_a_line_stay_whole() -> None:
    assert wrapped("a " + "b" * 30 + " c", 20, "x  ", "   ") == ["x  a", "   " + "b" * 30, "   c"]
    assert wrapped("a b", None, "x ", "  ") == ["x a b"]
    assert wrapped("", 10, "x ") == ["x "]


def test_the_log_keeps_its_details_on_a_narrow_terminal(cli: Cli) -> None:
    cli.add(name="nightly")
    cli("sync")
    reason = "because of a reason that takes some room to tell, and then some more of it"
    job = cli.json("list")["jobs"][0]["id"]
    cli("force-fail", job, "--yes", "--reason", reason)
    cli.patch.setenv("COLUMNS", "80")

    lines = drawn(cli, "log")

    assert all(len(line) <= 80 for line in lines)
    assert reason in " ".join(line.strip() for line in lines)
    assert lines[0].split()[:4] == ["TIME", "WHO", "BY", "ACTION"]
    assert reason in cli("log").out
