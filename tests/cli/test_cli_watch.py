"""``jobdash watch`` and notifications: each event once, in every configured way."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import stamina
from cli_kit import HOUR, Cli
from shared.deadlines import joined, killed, within
from shared.local_kit import LAPSED, begin
from shared.slices import rest_slow

SECRET = "hook-secret-0123456789"
WRITE_INPUT = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + chr(10))"


def configure(cli: Cli, *lines: str) -> None:
    """Add ``[notify]`` to the config file; the first sync claims what is old."""
    with cli.config.open("a") as file:
        file.write("\n".join(["\n[notify]", *lines, ""]))


def by_command(cli: Cli, *lines: str) -> Path:
    """Let a program write each notification into a file; return that."""
    sent = cli.folder / "sent.jsonl"
    command = json.dumps([sys.executable, "-c", WRITE_INPUT, str(sent)])
    configure(cli, f"command = {command}", *lines)
    assert cli("watch", "--once").code == 0
    return sent


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_batch_that_ends_is_notified_once(cli: Cli) -> None:
    batch = cli.add(name="nightly", total=10, running=HOUR)
    sent = by_command(cli)
    assert lines(sent) == []
    cli.clock.advance(2 * HOUR)
    ran = cli("watch", "--once")
    assert ran.code == 0
    assert "nightly (openai)  completed  10 of 10 done" in ran.out
    (one,) = lines(sent)
    assert (one["event"], one["title"]) == ("finished", "nightly: completed")
    assert (one["job"]["remote_id"], one["job"]["succeeded"]) == (batch, 10)
    assert cli("watch", "--once").out == ""
    assert cli("wait", batch).code == 0
    assert len(lines(sent)) == 1


def test_only_what_is_asked_for_is_notified(cli: Cli) -> None:
    cli.add(name="wanted", total=10, running=HOUR)
    cli.add(name="other", total=10, running=HOUR)
    cli.add("work", name="wanted too", total=10, running=HOUR)
    sent = by_command(cli, 'filter = "wanted"', 'accounts = ["openai"]', 'on = ["finished"]')
    cli.clock.advance(2 * HOUR)
    cli("watch", "--once")
    assert [line["job"]["name"] for line in lines(sent)] == ["wanted"]


def test_a_script_that_is_lost_is_notified_as_stalled_once(cli: Cli) -> None:
    sent = by_command(cli)
    begin(cli.database, "resize", lease_ms=LAPSED)
    for _ in range(2):
        cli("watch", "--once")
    assert [line["event"] for line in lines(sent)] == ["stalled"]
    assert "stalled" in cli("log").out


def test_a_wait_notifies_too(cli: Cli) -> None:
    batch = cli.add(name="nightly", total=10, running=HOUR)
    sent = by_command(cli)
    cli.clock.advance(2 * HOUR)
    cli("sync")  # notifies nobody; a wait would poll in 15 s
    assert lines(sent) == []
    assert cli("wait", batch).code == 0
    assert [line["title"] for line in lines(sent)] == ["nightly: completed"]


@dataclass
class Hook:
    """A server that is sent notifications, and answers with ``answers``, then 200."""

    url: str
    answers: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    before_answer: Callable[[], object] = lambda: None


@contextmanager
def hook() -> Iterator[Hook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.before_answer()
            made.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(made.answers.pop(0) if made.answers else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Hook(f"http://127.0.0.1:{server.server_port}/hook")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            joined(thread)


def test_a_webhook_is_signed_and_repeated(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    cli.add(name="nightly", total=10, running=HOUR)
    with hook() as server, stamina.set_testing(True, attempts=3):
        configure(cli, f'webhook = "{server.url}"', 'webhook_secret_env = "HOOK_SECRET"')
        cli("watch", "--once")
        cli.clock.advance(2 * HOUR)
        server.answers = [503]
        assert cli("watch", "--once").code == 0
    headers, body = server.requests[-1]
    assert len(server.requests) == 2
    assert json.loads(body)["title"] == "nightly: completed"
    stamp, signed = (part.split("=", 1)[1] for part in headers["jobdash-signature"].split(","))
    assert signed == hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert abs(int(stamp) - time.time()) < 60


def test_a_way_that_fails_is_said_and_ends_nothing(cli: Cli) -> None:
    cli.add(name="nightly", total=10, running=HOUR)
    with hook() as server:
        configure(cli, f'webhook = "{server.url}"', 'command = ["/no/such/program"]')
        cli("watch", "--once")
        cli.clock.advance(2 * HOUR)
        server.answers = [410]
        ran = cli("watch", "--once")
    assert ran.code == 0
    assert "notification by webhook failed: HTTP 410" in ran.err
    assert "notification by command failed: " in ran.err
    assert SECRET not in ran.err


def test_an_address_that_is_none_is_said_and_ends_nothing(cli: Cli) -> None:
    cli.add(name="nightly", total=10, running=HOUR)
    configure(cli, 'webhook = "http://[::1"')
    cli("watch", "--once")
    cli.clock.advance(2 * HOUR)
    ran = cli("watch", "--once")
    assert ran.code == 0, ran.err
    assert "notification by webhook failed: " in ran.err


def test_a_program_that_hangs_is_ended_and_leaves_no_word_of_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobdash.operations.notify.COMMAND_S", 0.05)
    cli.add_finished(name="nightly")
    cli("sync")
    configure(cli, 'command = ["sleep", "60"]')
    ran = cli("notify", "--test")
    assert ran.code == 1
    assert ran.err.splitlines() == ["notification by command failed: it took longer than 0.05 s"]


@pytest.mark.slow
def test_a_wait_that_ends_sends_what_it_has_taken_up(cli: Cli) -> None:
    first, second = cli.add(name="first", running=HOUR), cli.add(name="second", running=3 * HOUR)
    sent, gate = cli.folder / "sent.jsonl", cli.folder / "gate"
    os.mkfifo(gate)
    # The program opens the gate for writing, which waits for the test to read it.
    program = f"import sys; open({str(gate)!r}, 'w').close(); {WRITE_INPUT}"
    configure(cli, f"command = {json.dumps([sys.executable, '-c', program, str(sent)])}")
    cli("watch", "--once")
    wait = cli.start("wait", first, second)
    try:
        assert wait.stdout is not None
        cli.clock.advance(2 * HOUR)
        cli("sync")
        assert "first" in within(wait.stdout.readline)
        cli.clock.advance(2 * HOUR)
        cli("sync")
        assert "second" in within(wait.stdout.readline)
        for _ in range(2):
            within(gate.read_text)
        wait.communicate(timeout=20)
    finally:
        killed(wait)
    assert [line["job"]["name"] for line in lines(sent)] == ["first", "second"]


def test_a_trial_uses_every_way_and_says_which_failed(cli: Cli) -> None:
    assert cli("notify", "--test").code == 5
    cli.add_finished(name="nightly")
    sent = by_command(cli)
    ran = cli("notify", "--test")
    assert (ran.code, ran.out) == (0, "Sent by command: nightly\n")
    assert lines(sent)[-1]["title"] == "nightly: completed"


def test_a_trial_says_what_no_terminal_was_sent(cli: Cli) -> None:
    cli.add_finished(name="nightly")
    sent = by_command(cli, "bell = true", "desktop = true")
    ran = cli("notify", "--test")
    assert (ran.code, ran.out) == (
        1,
        "Sent by command: nightly\nNot sent by bell, desktop: standard error is no terminal\n",
    )
    assert ran.err == ""
    assert len(lines(sent)) == 1
    ran = cli("notify", "--test", "--json")
    assert ran.code == 1
    no_terminal = "standard error is no terminal"
    assert ran.json == {
        "job": cli.json("list")["jobs"][0]["id"],
        "sent": ["command"],
        "not_sent": {"bell": no_terminal, "desktop": no_terminal},
    }


def test_the_notification_of_a_trial_is_marked_as_one(cli: Cli) -> None:
    cli.add(name="nightly", total=10, running=HOUR)
    sent = by_command(cli)
    cli("notify", "--test")
    cli.clock.advance(2 * HOUR)
    cli("watch", "--once")
    assert [(line["event"], line["test"]) for line in lines(sent)] == [
        ("finished", True),
        ("finished", False),
    ]


WRONG_SETTINGS = [
    ('on = ["finnished"]', "on: finnished is not known"),
    ('webhook = "example.org"', "webhook has to be an address"),
    ('desktop = "8"', "desktop has to be true, false, or one of"),
    ('filter = "colour:red"', "filter:"),
    ('webhook_secret_env = "NO_SUCH"', "NO_SUCH is not set"),
    ("command = []", 'command has to begin with a program, like ["notify-send", "jobdash"]'),
    ('command = [""]', "command has to begin with a program"),
    ("bell = 1", "bell has to be true or false"),
]


@pytest.mark.parametrize(("line", "words"), rest_slow(WRONG_SETTINGS, WRONG_SETTINGS[3:5], several=True))
def test_a_wrong_setting_turns_notifications_off_and_nothing_else(cli: Cli, line: str, words: str) -> None:
    batch = cli.add_finished(name="nightly")
    configure(cli, line)
    warning = f"warning: {cli.config}: [notify] is not used: "
    for command in ("sync", "list", "config show", "storage", "watch --once", f"wait {batch}"):
        ran = cli(*command.split())
        assert ran.code == 0
        (said,) = [each for each in ran.err.splitlines() if each.startswith(warning)]
        assert words in said
    ran = cli("notify", "--test")
    assert (ran.code, ran.out) == (5, "")
    assert words in ran.err.splitlines()[-1]
    ran = cli("doctor")
    assert ran.code == 1
    assert "! config: [notify] is not used: " in ran.out


def test_an_account_that_is_not_there_is_warned_about(cli: Cli) -> None:
    sent = by_command(cli, 'accounts = ["nope", "openai", "local"]')
    warning = "[notify] accounts: no account 'nope'; there are gemini, local, openai, work"
    assert warning in cli("list").err
    cli.add_finished(name="nightly")
    cli("sync")
    assert cli("notify", "--test").code == 0
    assert len(lines(sent)) == 1


@pytest.mark.slow
def test_a_server_that_hangs_holds_up_neither_a_line_nor_the_end(cli: Cli) -> None:
    cli.add(name="first", running=HOUR)
    cli.add(name="second", running=3 * HOUR)
    asked, answered = threading.Event(), threading.Event()

    def hang() -> None:
        asked.set()
        answered.wait(60)

    with hook() as server:
        server.before_answer = hang
        configure(cli, f'webhook = "{server.url}"')
        cli("watch", "--once")
        watch = cli.start("watch")
        try:
            assert watch.stdout is not None
            assert watch.stderr is not None
            within(watch.stderr.readline)
            cli.clock.advance(2 * HOUR)
            cli("sync")
            assert "first" in within(watch.stdout.readline)
            assert asked.wait(20)
            cli.clock.advance(2 * HOUR)
            cli("sync")
            assert "second" in within(watch.stdout.readline)
            assert not answered.is_set()
            watch.send_signal(signal.SIGTERM)
            _, err = watch.communicate(timeout=20)
            assert watch.returncode == 0, err
            assert "is not sent any more" in err
        finally:
            answered.set()
            killed(watch)


def test_every_job_that_ends_has_its_line_however_many_end_at_once(cli: Cli) -> None:
    for number in range(60):
        cli.add(name=f"job {number}", running=HOUR)
    cli("sync")
    cli.clock.advance(2 * HOUR)
    assert len(cli("watch", "--once").out.splitlines()) == 60


def test_a_watch_ends_cleanly_on_sigterm_and_prints_documents(cli: Cli) -> None:
    cli.add(name="nightly", total=10, running=HOUR)
    cli("sync")
    watch = cli.start("watch", "--json")
    try:
        assert watch.stdout is not None
        assert watch.stderr is not None
        assert within(watch.stderr.readline) == "watching openai, gemini, work, local; Ctrl-C ends it\n"
        cli.clock.advance(2 * HOUR)
        cli("sync")  # whoever asks, the watch reports it
        document = json.loads(within(watch.stdout.readline))
        assert (document["name"], document["status"]) == ("nightly", "completed")
        watch.send_signal(signal.SIGTERM)
        _, err = watch.communicate(timeout=20)
        assert watch.returncode == 0, err
        assert "Traceback" not in err
    finally:
        killed(watch)
