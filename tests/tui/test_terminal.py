"""The real program in a real pseudo-terminal, read with a terminal emulator."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte
import pytest
from tui_kit import jobs, machine_env, make_store

ROOT = Path(__file__).parents[2]
DEADLINE_S = 20.0


class Terminal:
    """A program in a pseudo-terminal, and what its screen shows."""

    def __init__(self, arguments: list[str], env: dict[str, str], size: tuple[int, int] = (120, 34)) -> None:
        self.master, slave = pty.openpty()
        self.screen = pyte.Screen(*size)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.resize(*size, notify=False)
        attributes = termios.tcgetattr(slave)
        attributes[3] |= termios.NOFLSH  # a Ctrl-C sent to it drops nothing that was not read yet
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=machine_env(**{"PYTHONPATH": str(ROOT), **env}),
            start_new_session=True,
        )
        os.close(slave)

    def resize(self, columns: int, lines: int, *, notify: bool = True) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)
        if notify:
            os.killpg(self.process.pid, signal.SIGWINCH)

    def read(self, seconds: float = 0.05) -> bool:
        """Take in what the program writes; False when it has ended."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.raw += data
        # pyte has no private parameters of these newer sequences; none of them draws.
        self.stream.feed(data.replace(b"\x1b[>", b"\x1b[").replace(b"\x1b[<", b"\x1b["))
        return bool(data)

    @property
    def text(self) -> str:
        try:
            return "\n".join(self.screen.display)
        except IndexError:  # pyte, where only the first half of a wide character is overwritten so far
            return ""

    def until(self, condition: Callable[[], object], seconds: float = DEADLINE_S) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            alive = self.read()
            if condition():
                return
            assert alive, f"the program has ended:\n{self.raw.decode(errors='replace')[-3000:]}"
            assert time.monotonic() < deadline, f"waited {seconds} s in vain:\n{self.text}"

    def shows(self, *words: str) -> None:
        self.until(lambda: all(word in self.text for word in words))

    def answer(self, key: str, words: str) -> None:
        """Press a key until a dialog has gone: one that was only just drawn does not take keys yet."""
        while words in self.text:
            self.send(key)
            with contextlib.suppress(AssertionError):
                self.until(lambda: words not in self.text, 0.5)

    def send(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def ended(self, seconds: float) -> int:
        """Wait for the end of the process, and return its exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            self.read(0.01)
            assert time.monotonic() < deadline, f"still there after {seconds} s"
        with contextlib.suppress(AssertionError):
            while self.read(0.05) and time.monotonic() < deadline:
                pass
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE_S)
        os.close(self.master)


@contextmanager
def terminal(
    arguments: list[str], env: dict[str, str] | None = None, **more: tuple[int, int]
) -> Iterator[Terminal]:
    running = Terminal(arguments, env or {}, **more)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Terminal]:
    with terminal(["-m", "jobdash", "demo"], {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}) as running:
        running.shows("DEMO", "All 66", "nightly-eval")
        yield running


def test_cancel_a_job_in_the_demo_and_quit(demo: Terminal) -> None:
    """F-1, F-2"""
    demo.send("/nightly-eval\r")
    demo.shows("1 of 66")
    demo.send("c")
    demo.shows("Cancel 1 unfinished job?", "Keep running")
    demo.answer("y", "Keep running")
    demo.shows("cancelling")
    demo.send("q")
    assert demo.ended(6.0) == 0
    assert b"go on at" not in demo.raw


@pytest.mark.slow
def test_filter_and_clear_in_the_demo(demo: Terminal) -> None:
    demo.send("/status:fail")
    demo.shows("no status 'fail'")
    demo.send("ed\r")
    demo.shows("ticket-routing", "3 of 66")
    demo.send("\x1b")
    demo.shows("churn-reasons")
    demo.send("\x03")
    demo.shows("ctrl+c again quits")
    demo.send("\x03")
    assert demo.ended(6.0) == 0


@pytest.mark.slow
def test_resize_in_the_demo(demo: Terminal) -> None:
    for columns, lines in ((80, 24), (40, 10), (200, 50), (120, 34)):
        demo.resize(columns, lines)
        demo.until(lambda: demo.screen.display[0].rstrip().endswith("66 jobs"))
    demo.shows("FAILED", "LEFT")
    demo.send("q")
    assert demo.ended(6.0) == 0


_HANGING = """
import sys
from pathlib import Path
from jobdash.config.settings import Config
from jobdash.domain.account import Account, Secret
from jobdash.demo.emulator import Delay, Emulator, EmulatorServer, FaultRule
from jobdash.tui.run import run_dashboard

emulator = Emulator()
emulator.faults.add(FaultRule(effect=Delay(60.0)))
path = Path(sys.argv[1])
with EmulatorServer(emulator) as server:
    accounts = tuple(
        Account(name, provider, "K", Secret("sk-test-key"), base)
        for name, provider, base in (
            ("one", "openai", server.openai_base_url),
            ("two", "gemini", server.gemini_base_url),
        )
    )
    code = run_dashboard(Config(path.with_name("c.toml"), False, path, accounts))
sys.exit(code)
"""


@pytest.mark.parametrize("after", [0.0, 0.3, 3.0])
@pytest.mark.slow
def test_quitting_with_every_call_hanging(tmp_path: Path, after: float) -> None:
    """C-5"""
    path = make_store(tmp_path / "d" / "j.db", jobs("in_progress", "pending", "completed"))
    with terminal(["-c", _HANGING, str(path)]) as running:
        running.shows("job-003")
        until = time.monotonic() + after
        while time.monotonic() < until:
            running.read()
        began = time.monotonic()
        running.send("q")
        running.ended(8.0)
        took = time.monotonic() - began
        assert "2 jobs go on at their providers; see them with: jobdash list" in running.text
        # A second on a machine with nothing else to do; the calls hang for sixty.
        assert took < 5.0, took
        print(f"gone after {took:.2f} s")
