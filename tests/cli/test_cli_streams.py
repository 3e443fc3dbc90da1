"""Standard streams that are closed, full, or no terminal: a sentence and an exit code, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_kit import ROOT, Cli
from shared.slices import rest_slow

COMMANDS = (
    "list", "list --json", "list --csv", "show JOB", "show JOB --json", "log --json", "sync", "--version",
    "--json --version",
    "cancel JOB --yes", "cancel JOB --dry-run", "wait DONE", "doctor", "doctor --json", "config path",
    "config show", "--help", "list --help", "fetch DONE --out -", "undo --json --yes", "refresh-errors",
    "demo --emulator-only", "demo --jobs 3 --db NEW",
)  # fmt: skip


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = f'"{sys.executable}" -m jobdash'
    return subprocess.run(
        ["sh", "-c", line.replace("jobdash", program, 1)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100", "PYTHONUNBUFFERED": ""},
    )


@pytest.fixture
def filled(cli: Cli) -> dict[str, str]:
    running, done = cli.add(name="running"), cli.add_finished(name="done")
    assert cli("sync").code == 0
    return {"JOB": cli.id_of(running), "DONE": cli.id_of(done), "NEW": str(cli.folder / "new.db")}


def named(command: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        command = command.replace(word, value)
    return command


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("redirect", [">&-", ">/dev/full", "| cat >/dev/null"])
def test_an_output_that_cannot_be_written(
    cli: Cli, filled: dict[str, str], command: str, redirect: str
) -> None:
    if redirect.startswith("|") and "emulator" in command:
        pytest.skip("it serves until it is ended")
    ran = shell(f"jobdash {named(command, filled)} {redirect}", cli.folder)
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr
    assert "should not" not in ran.stderr
    if redirect == ">&-":
        assert "standard output is closed" in ran.stderr
        assert ran.returncode == 1
    elif redirect == ">/dev/full":
        assert "standard output cannot be written: No space left on device" in ran.stderr
        assert ran.returncode != 0


def test_a_full_disk_behind_a_redirect_is_said(cli: Cli, filled: dict[str, str]) -> None:
    ran = shell("jobdash list --json >/dev/full", cli.folder)
    assert ran.stderr == "jobdash: standard output cannot be written: No space left on device\n"
    assert ran.returncode == 1


def test_nothing_is_done_without_an_output(cli: Cli, filled: dict[str, str]) -> None:
    ran = shell(f"jobdash cancel {filled['JOB']} --yes >&-", cli.folder)
    assert ran.returncode == 1
    assert "nothing was done" in ran.stderr
    assert cli.job(filled["JOB"])["status"] == "in_progress"


@pytest.mark.parametrize("redirect", ["2>&-", "2>/dev/full", "<&-", "<&- 2>&-"])
@pytest.mark.slow
def test_diagnostics_that_cannot_be_written_end_nothing(
    cli: Cli, filled: dict[str, str], redirect: str
) -> None:
    ran = shell(f"jobdash cancel {filled['JOB']} --yes {redirect}", cli.folder)
    assert ran.returncode == 0, (ran.stdout, ran.stderr)
    assert "Traceback" not in ran.stdout + ran.stderr
    assert cli.job(filled["JOB"])["status"] == "cancelling"


@pytest.mark.parametrize("args", [(), ("demo",)])
@pytest.mark.parametrize(
    "redirect", rest_slow(["</dev/null", "<&-", "2>/dev/null", ">/dev/null"], ["<&-", ">/dev/null"])
)
def test_the_dashboard_wants_a_terminal(cli: Cli, args: tuple[str, ...], redirect: str) -> None:
    ran = shell(f"jobdash {' '.join(args)} {redirect}", cli.folder)
    assert ran.returncode == 2
    if "2>" not in redirect:
        assert "wants a terminal" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_terminal_that_is_closed_at_the_question_is_a_no(cli: Cli, filled: dict[str, str]) -> None:
    master, slave = os.openpty()
    process = cli.start("cancel", filled["JOB"], stdin=slave)
    os.close(slave)
    cli.asked(process)
    os.close(master)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 4
    assert "not confirmed; nothing was changed" in err
    assert cli.job(filled["JOB"])["status"] == "in_progress"
