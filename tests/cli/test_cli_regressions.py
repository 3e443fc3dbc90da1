"""What people stumbled over: arguments that are no text, waiting for what was asked before, hints."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from cli_kit import ROOT, Cli
from click.shell_completion import ShellComplete

from jobdash.cli.main import group
from jobdash.demo.emulator import CancelBehaviour, Switches
from jobdash.demo.generated_jobs import sample_rows
from jobdash.operations.job_lookup import Browser, Scope, Sort
from jobdash.store.queries.jobs import JobReads
from jobdash.store.sample_loader import SAMPLE_COLUMNS

HALF = "x\udcff\udcfe"


# ── arguments that are no text ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "args",
    [
        ("list", "-f", HALF),
        ("list", "--sort", HALF),
        ("show", HALF),
        ("show", "k3f9", "--account", HALF),
        ("log", HALF),
        ("undo", HALF),
        ("wait", HALF),
        ("wait", "-f", f"name:{HALF}"),
        ("cancel", HALF, "--yes"),
        ("cancel", "k3f9", "--yes", "--reason", HALF),
        ("cancel", "--all-pending", "-f", HALF, "--yes"),
        ("force-fail", "k3f9", "--yes", "--reason", HALF),
        ("remove", HALF, "--yes"),
        ("refresh-errors", "-f", HALF),
        ("sync", "--account", HALF),
        ("submit", "a.jsonl", "--account", "openai", "--name", HALF),
        ("submit", "a.jsonl", "--account", "openai", "--tag", f"{HALF}=1"),
        ("submit", "a.jsonl", "--account", "openai", "--endpoint", HALF),
        ("submit", HALF, "--account", "openai"),
        ("config", HALF),
        (HALF,),
    ],
)
def test_an_argument_that_is_no_text_is_wrong_usage(cli: Cli, args: tuple[str, ...]) -> None:
    ran = cli(*args)

    assert ran.code == 2, ran.err
    assert "should not" not in ran.err
    assert ran.out == ""


def test_a_store_may_be_called_anything(cli: Cli) -> None:
    path = str(cli.folder / HALF)

    assert cli("list", "--db", path).code == 6
    assert cli("demo", "--jobs", "3", "--db", path).code == 0
    assert cli.json("list", "--db", path)["total"] == 3


# ── waiting ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_cancel_waits_for_what_was_asked_before(cli: Cli) -> None:
    batch = cli.add(name="mine", cancelling=10.0)
    cli.add(name="other", running=65.0)
    cli("sync")
    assert cli("cancel", batch, "--yes").code == 0
    threading.Timer(0.5, cli.clock.advance, (30.0,)).start()

    ran = cli("cancel", batch, "--yes", "--wait=60s")

    assert ran.code == 0
    assert cli.job(batch)["status"] == "cancelled"
    assert ran.err.count("mine: cancelled") == 1
    assert "other" not in ran.err


def test_waiting_for_what_was_asked_before_runs_out_of_time(cli: Cli) -> None:
    batch = cli.add(switches=Switches(cancel=CancelBehaviour.STICKS))
    cli("cancel", batch, "--yes")

    ran = cli("cancel", batch, "--wait=0.2s")

    assert ran.code == 7, "and nothing was to be confirmed"
    assert "not every job was confirmed in time" in ran.err


def test_cancel_and_delete_waits_for_what_was_asked_before(cli: Cli) -> None:
    batch = cli.add(switches=Switches(cancel=CancelBehaviour.STICKS))
    cli("remove", batch, "--cancel", "--yes")

    assert cli("remove", batch, "--cancel", "--wait=0.2s").code == 7


@pytest.mark.parametrize("span", ["1s", "10m", "90", "1h30m"])
def test_a_loose_value_of_wait_is_not_taken_for_a_job(cli: Cli, span: str) -> None:
    batch = cli.add()
    cli("sync")

    ran = cli("cancel", "--wait", span, batch, "--yes")

    assert ran.code == 2
    assert f"did you mean --wait={span}?" in ran.err
    assert cli.calls("POST", "*/cancel") == 0


def test_wait_prints_each_job_once(cli: Cli) -> None:
    batch = cli.add_finished(name="poems")
    cli("sync")

    ran = cli("wait", batch)

    assert (ran.out + ran.err).count("poems") == 1
    assert "poems" in ran.out


# ── help, log, dry run ────────────────────────────────────────────────────────────────────────────


def test_config_alone_prints_its_help(cli: Cli) -> None:
    ran = cli("config")

    assert (ran.code, ran.out) == (2, "")
    lines = ran.err.splitlines()
    assert lines[0] == "Usage: jobdash config [OPTIONS] COMMAND [ARGS]..."
    assert any(line.startswith("  path ") for line in lines)


def test_the_log_is_newest_first_with_seconds(cli: Cli) -> None:
    batch = cli.add(name="nightly")
    cli("sync")
    cli("cancel", batch, "--yes")
    cli("force-fail", batch, "--yes")

    lines = cli("log").out.splitlines()

    assert "force-fail" in lines[1]
    assert "cancel" in lines[2]
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", lines[1])


def test_no_events_are_said(cli: Cli) -> None:
    batch = cli.add()
    cli("sync")

    assert "no events" in cli("show", batch, "--events").err


def test_a_dry_run_says_what_is_planned(cli: Cli) -> None:
    running, ended = cli.add(), cli.add_finished()
    cli("sync")

    summary = cli.json("cancel", running, ended, "--dry-run")

    assert summary["dry_run"] is True
    told = {job["remote_id"]: (job["result"], job["planned"]) for job in summary["jobs"]}
    assert told == {running: ("done", True), ended: ("skipped", False)}
    assert "planned" not in cli.json("cancel", running, "--yes")["jobs"][0]


# ── messages ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_no_connection_is_said_once(cli: Cli) -> None:
    cli.patch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")

    err = cli("sync", "--account", "openai").err

    assert "cannot connect: " in err
    assert "ConnectError" not in err


@pytest.mark.parametrize("command", [("show",), ("log",), ("undo",), ("cancel", "--yes")])
def test_a_name_or_a_short_word_gets_a_hint(cli: Cli, command: tuple[str, ...]) -> None:
    cli.add(name="nightly-eval"), cli.add(name="two words")
    cli("sync")

    named, spaced, short = cli(*command, "nightly-eval"), cli(*command, "two words"), cli(*command, "k3")

    assert (named.code, spaced.code, short.code) == (3, 3, 3)
    assert "-f name:nightly-eval" in named.err
    assert "-f 'name:\"two words\"'" in spaced.err
    assert "at least 3 characters" in short.err
    assert cli.json("list", "-f", 'name:"two words"')["total"] == 1


def test_too_long_a_span_is_said_to_be_too_long(cli: Cli) -> None:
    for args in (("list", "-f", "older:99999d"), ("wait", "k3f9", "--timeout", "99999d")):
        ran = cli(*args)
        assert ran.code == 2
        assert "too long" in ran.err


def test_one_request_is_no_requests(cli: Cli) -> None:
    path = cli.folder / "one.jsonl"
    path.write_text('{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m"}}\n')

    assert "one: 1 request, " in cli("submit", str(path), "--account", "openai", "--dry-run").out


LOOKING = [("list",), ("list", "--json"), ("show", "k3f9"), ("log",), ("doctor",), ("cost",), ("storage",)]
ACTING = [
    ("cancel", "--all-pending", "--yes"),
    ("retry", "k3f9"),
    ("remove", "k3f9", "--yes"),
    ("force-fail", "k3f9", "--yes"),
    ("undo", "k3f9"),
    ("adopt", "k3f9", "--none"),
    ("fetch", "k3f9"),
    ("wait", "k3f9"),
    ("refresh-errors", "k3f9"),
    ("orphans",),
]


@pytest.mark.parametrize("args", ACTING)
def test_what_acts_on_known_jobs_makes_no_store_that_was_named(cli: Cli, args: tuple[str, ...]) -> None:
    path = cli.folder / "x.db"

    ran = cli(*args, "--db", str(path))

    assert (ran.code, f"no store at {path}" in ran.err) == (6, True), ran.err
    assert not path.exists()


@pytest.mark.parametrize("args", LOOKING)
def test_looking_makes_no_store_that_was_named(cli: Cli, args: tuple[str, ...]) -> None:
    path = cli.folder / "new" / "x.db"

    ran = cli(*args, "--db", str(path))

    assert ran.code == 6
    assert f"no store at {path}" in ran.out + ran.err
    assert not path.parent.exists()


def test_a_store_that_was_named_is_made_by_what_fills_it(cli: Cli) -> None:
    path = str(cli.folder / "x.db")

    assert cli("sync", "--db", path).code == 0
    assert cli("list", "--db", path).code == 0
    assert cli("list", "--sync", "--db", f"{path}2").code == 0


@pytest.mark.parametrize("args", [("sync",), ("list", "--sync"), ("watch", "--once"), ("worker", "m")])
def test_no_folder_is_made_for_a_store_that_was_named(cli: Cli, args: tuple[str, ...]) -> None:
    path = cli.folder / "new" / "x.db"

    ran = cli(*args, "--db", str(path))

    assert (ran.code, "no folder in which it could be made" in ran.err) == (6, True), ran.err
    assert not path.parent.exists()


# ── reading many, samples, completion ─────────────────────────────────────────────────────────────


def test_a_long_listing_takes_few_queries(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    path = cli.folder / "many.db"
    cli("demo", "--jobs", "1200", "--db", str(path))
    asked: list[str] = []
    plain = JobReads._all

    def counted(self: JobReads, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        asked.append(sql)
        return plain(self, sql, values)

    monkeypatch.setattr(JobReads, "_all", counted)
    total = len(cli.json("list", "--db", str(path), "--removed", "--limit", "0")["jobs"])

    assert total == 1200
    assert len(asked) < 40


def test_many_jobs_are_each_as_one_alone(cli: Cli) -> None:
    for number in range(3):
        cli.add(metadata={"team": str(number)})
    cli("sync")
    browser = Browser(cli.database)
    ids = [row.id for row in browser.page(Scope(), Sort(), None, 10)]

    jobs = browser.jobs([*ids, 999_999])

    assert list(jobs) == sorted(ids)
    assert all(browser.job(job_id) == jobs[job_id] for job_id in ids)
    assert {job.tags["team"] for job in jobs.values()} == {"0", "1", "2"}
    assert browser.job(999_999) is None
    browser.close()


def test_samples_belong_to_nobody_and_their_counts_add_up() -> None:
    rows = [dict(zip(SAMPLE_COLUMNS, row, strict=True)) for row in sample_rows(5_000, 1_800_000_000_000)]

    assert {row["account"] for row in rows} == {"sample-openai", "sample-gemini", "sample-work"}
    assert all(re.fullmatch(r"https://[a-z]+\.invalid(/v1)?", str(row["origin"])) for row in rows)
    for row in rows:
        done = sum(int(row[name] or 0) for name in ("succeeded", "failed", "cancelled", "expired"))
        assert row["total"] is None or done <= int(row["total"])


def test_orders_are_completed() -> None:
    complete = ShellComplete(group, {}, "jobdash", "_JOBDASH_COMPLETE")

    words = [item.value for item in complete.get_completions(["list", "--sort"], "na")]

    assert words == ["name"]
    assert "-created" in [item.value for item in complete.get_completions(["list", "--sort"], "")]


# ── the demo's end ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", [signal.SIGHUP, signal.SIGTERM, None])
@pytest.mark.slow
def test_a_demo_that_is_ended_leaves_nothing(tmp_path: Path, how: signal.Signals | None) -> None:
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {**os.environ, "TMPDIR": str(tmp_path), "TERM": "xterm-256color", "HOME": str(tmp_path)}
    # A session of its own, so that the terminal becomes the one that hangs up.
    start = "import fcntl, os, runpy, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    start += "sys.argv = ['jobdash', 'demo']; runpy.run_module('jobdash', run_name='__main__')"
    process = subprocess.Popen(
        [sys.executable, "-c", start],
        cwd=ROOT, env=environment, stdin=child, stdout=child, stderr=child, start_new_session=True,
    )  # fmt: skip
    os.close(child)
    seen = bytearray()
    deadline = time.monotonic() + 30
    with suppress(OSError):
        while b"reindex" not in seen and time.monotonic() < deadline:
            seen += os.read(parent, 65536)
    assert list(tmp_path.glob("jobdash-demo-*"))
    reader = threading.Thread(target=_drain, args=(parent, seen), daemon=True)
    if how is None:
        os.close(parent)
    else:
        reader.start()
        process.send_signal(how)
    try:
        process.wait(15)
    finally:
        process.kill()

    if how is not None:
        reader.join(5)
        assert process.returncode == 128 + how
        assert b"\x1b[?1049l" in seen, "the terminal is given back"
    assert not list(tmp_path.glob("jobdash-demo-*"))


def _drain(terminal: int, seen: bytearray) -> None:
    with suppress(OSError):
        while piece := os.read(terminal, 65536):
            seen += piece
