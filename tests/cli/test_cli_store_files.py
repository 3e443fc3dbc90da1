"""A store that goes under a command, one that was left in pieces, and one of somebody else."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from cli_kit import Cli
from shared.store_files import delete, move

NOBODY = 65534


@contextmanager
def asked(cli: Cli, *args: str) -> Iterator[tuple[subprocess.Popen[str], Callable[[], int]]]:
    """Run a command at a terminal until it asks; yields it, and what answers yes."""
    master, slave = os.openpty()
    try:
        process = cli.start(*args, stdin=slave)
        cli.asked(process)
        yield process, partial(os.write, master, b"y\n")
    finally:
        os.close(slave)
        os.close(master)


def replace(path: Path) -> None:
    move(path)
    done = subprocess.run([sys.executable, "-m", "jobdash", "list", "--db", str(path)], capture_output=True)
    assert done.returncode == 0 or b"no store" in done.stderr
    if not path.exists():
        subprocess.run([sys.executable, "-m", "jobdash", "list"], check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize("gone", [delete, move, replace])
@pytest.mark.parametrize("action", ["force-fail", "remove"])
def test_no_command_says_done_once_its_store_is_gone(
    cli: Cli, gone: Callable[[Path], None], action: str
) -> None:
    batch = cli.add_finished(name="b") if action == "remove" else cli.add(name="b")
    assert cli("sync").code == 0
    with asked(cli, action, cli.id_of(batch)) as (process, say_yes):
        gone(cli.database)
        say_yes()
        out, err = process.communicate(timeout=20)
    assert "was deleted, moved or replaced" in out + err
    assert process.returncode in {1, 6}
    assert "Traceback" not in err
    assert "Failed here: 1" not in out


def test_a_store_left_in_pieces_is_said_and_a_fresh_one_made(cli: Cli) -> None:
    cli.add(name="first")
    assert cli("sync").code == 0
    kill = "import os, signal, sqlite3, sys; s = sqlite3.connect(sys.argv[1], isolation_level=None);"
    kill += "s.execute('UPDATE job SET name = 9'); os.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run([sys.executable, "-c", kill, str(cli.database)], check=False)
    assert done.returncode == -signal.SIGKILL
    cli.database.rename(cli.database.with_name("away.db"))
    ran = cli("list")
    assert ran.code == 0
    assert "There was no store at" in ran.err
    assert "of an earlier one: moved to" in ran.err
    with closing(sqlite3.connect(cli.database)) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    again = cli("list")
    assert again.code == 0
    assert "earlier" not in again.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("how", ["file", "folder", "mode"])
def test_a_store_of_somebody_else_is_not_used(cli: Cli, how: str) -> None:
    cli.add(name="first")
    assert cli("sync").code == 0
    if how == "mode":
        cli.database.chmod(0o666)
    else:
        os.chown(cli.database if how == "file" else cli.database.parent, NOBODY, NOBODY)
    commands = ("list", "show k3f9", "sync", "retry k3f9 --start --yes", "wait k3f9", "log", "undo --yes",
                "cancel --all-pending --yes")  # fmt: skip
    for command in commands:
        ran = cli(*command.split())
        assert ran.code == 6, (command, ran)
        assert "is not used" in ran.err
    doctor = cli("doctor")
    assert doctor.code == 6
    assert "is not used" in doctor.out
    word = "mode 0666" if how == "mode" else f"(uid {NOBODY})"
    assert any(word in line and line.startswith("✔ owner:") for line in doctor.out.splitlines())


def test_the_doctor_says_who_owns_what(cli: Cli) -> None:
    assert cli("sync").code == 0
    ran = cli("doctor")
    assert f"✔ owner: {cli.database}: " in ran.out
    assert "mode 0600" in ran.out
    found = cli.json("doctor")["store"]["owners"]
    assert {str(cli.database), str(cli.database.parent)} <= {one["path"] for one in found}
