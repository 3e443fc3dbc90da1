"""However the dashboard ends or is stopped, the terminal is what it was before, and no traceback is on it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shared.slices import rest_marathon
from test_terminal import Terminal, terminal
from tui_kit import jobs, make_store

_MODE = re.compile(rb"\x1b\[\?(\d+)([hl])")
_ON_BEFORE = {b"25", b"7"}
"""The cursor and the wrapping of lines; all other modes were off."""
ENDINGS = [signal.SIGTERM, signal.SIGHUP]
_FLAGS = termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN


@pytest.fixture(autouse=True)
def _receives_ctrl_c() -> Iterator[None]:
    """Undo what a background job of a shell inherits and hands on: an ignored Ctrl-C."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def given_back(running: Terminal) -> None:
    """Check what a terminal has been left in."""
    raw = running.raw
    assert b"Traceback" not in raw, raw[-3000:]
    assert b"Exception ignored" not in raw, raw[-3000:]
    last = dict(_MODE.findall(raw))
    wrong = {mode: state for mode, state in last.items() if (state == b"h") != (mode in _ON_BEFORE)}
    assert not wrong, wrong
    assert raw.count(b"\x1b[<u") >= len(re.findall(rb"\x1b\[>\d+u", raw)), "the keyboard's protocol"
    assert termios.tcgetattr(running.master)[3] & _FLAGS == _FLAGS, "canonical input, echo, signals"


def with_store(tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    path = make_store(tmp_path / "d" / "j.db", jobs("in_progress", "pending", "completed"))
    config = tmp_path / "config.toml"
    config.touch()
    env = {"HOME": str(tmp_path), "JOBDASH_DATABASE": str(path), "JOBDASH_CONFIG": str(config)}
    return ["-m", "jobdash"], env


def demo_of(tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    return ["-m", "jobdash", "demo"], {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}


KINDS = {"dashboard": with_store, "demo": demo_of}


def wait(running: Terminal, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and running.process.poll() is None:
        running.read(0.01)


@pytest.fixture(params=KINDS)
def shown(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    arguments, env = KINDS[request.param](tmp_path)
    with terminal(arguments, env) as running:
        running.shows("STATUS", "completed")
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("number", [*ENDINGS, signal.SIGINT])
def test_a_signal_ends_it(shown: Terminal, number: signal.Signals, tmp_path: Path) -> None:
    shown.process.send_signal(number)
    assert shown.ended(8.0) == 128 + number
    given_back(shown)
    assert not list(tmp_path.glob("jobdash-demo-*"))


@pytest.mark.slow
@pytest.mark.parametrize("number", ENDINGS)
def test_a_signal_ends_it_in_a_dialog_and_while_it_quits(shown: Terminal, number: signal.Signals) -> None:
    shown.send("?")
    shown.shows("esc closes")
    shown.process.send_signal(number)
    shown.send("q")
    shown.process.send_signal(number)
    assert shown.ended(8.0) == 128 + number
    given_back(shown)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [*ENDINGS, signal.SIGINT])
@pytest.mark.parametrize("after", rest_marathon([0.3, 0.45, 0.6, 0.8, 1.0, 1.3, 1.7], [0.3, 0.6, 1.0, 1.7]))
def test_a_signal_during_the_start(tmp_path: Path, kind: str, number: signal.Signals, after: float) -> None:
    arguments, env = KINDS[kind](tmp_path)
    with terminal(arguments, env) as running:
        wait(running, after)
        running.process.send_signal(number)
        assert running.ended(8.0) in {128 + number, -number}
        given_back(running)
        if running.process.returncode > 0:
            assert not list(tmp_path.glob("jobdash-demo-*"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", ENDINGS)
@pytest.mark.parametrize("after", rest_marathon([0.0, 0.05, 0.1, 0.2, 0.4], [0.0, 0.1, 0.4]))
def test_a_signal_while_it_quits(tmp_path: Path, kind: str, number: signal.Signals, after: float) -> None:
    arguments, env = KINDS[kind](tmp_path)
    with terminal(arguments, env) as running:
        running.shows("STATUS", "completed")
        running.send("q")
        wait(running, after)
        if running.process.poll() is None:
            running.process.send_signal(number)
        assert running.ended(8.0) in {0, 128 + number, -number}
        given_back(running)


@pytest.mark.slow
@pytest.mark.parametrize("pause", [0.0, 0.01, 0.03])
def test_ctrl_c_again_and_again_while_it_ends(shown: Terminal, pause: float) -> None:
    """In raw mode it is a key, and behind that a SIGINT to the whole group."""
    shown.send("q")
    deadline = time.monotonic() + 8
    while shown.process.poll() is None and time.monotonic() < deadline:
        shown.send("\x03")
        with contextlib.suppress(ProcessLookupError):  # it ended while the key was sent
            os.killpg(shown.process.pid, signal.SIGINT)
        shown.read(pause)
    assert shown.ended(1.0) in {0, 130, -signal.SIGINT}  # 130: it came before the key
    given_back(shown)


@pytest.mark.slow
def test_ctrl_c_once_it_is_decided_that_it_ends(shown: Terminal) -> None:
    shown.send("q")
    shown.until(lambda: b"\x1b[?1049l" in shown.raw)
    deadline = time.monotonic() + 8
    while shown.process.poll() is None and time.monotonic() < deadline:
        os.killpg(shown.process.pid, signal.SIGINT)
        shown.read(0.005)
    assert shown.ended(1.0) in {0, -signal.SIGINT}
    given_back(shown)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_from_the_first_moment_on(tmp_path: Path, kind: str) -> None:
    arguments, env = KINDS[kind](tmp_path)
    with terminal(arguments, env) as running:
        wait(running, 0.25)  # before Python itself has begun it has nothing to do with jobdash
        deadline = time.monotonic() + 8
        while running.process.poll() is None and time.monotonic() < deadline:
            running.process.send_signal(signal.SIGINT)
            running.read(0.02)
        assert running.ended(1.0) in {130, -signal.SIGINT}
        given_back(running)


def _use_as_a_shell_does(running: Terminal) -> None:
    """Turn the terminal back to lines, leave the other screen, and write over it."""
    attributes = termios.tcgetattr(running.master)
    attributes[3] |= _FLAGS
    termios.tcsetattr(running.master, termios.TCSANOW, attributes)
    running.screen.reset()
    running.stream.feed(b"$ fg\r\n")


def _stopped(running: Terminal) -> bool:
    stat = Path(f"/proc/{running.process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ctrl+z", signal.SIGTSTP, signal.SIGSTOP])
def test_it_is_drawn_again_after_a_stop(shown: Terminal, how: str | signal.Signals) -> None:
    for _ in range(2):
        shown.raw = b""
        if isinstance(how, str):
            shown.send("\x1a")
        else:
            shown.process.send_signal(how)
        shown.until(lambda: _stopped(shown))
        wait(shown, 0.1)
        if how != signal.SIGSTOP:
            given_back(shown)
        _use_as_a_shell_does(shown)
        shown.process.send_signal(signal.SIGCONT)
        shown.shows("STATUS", "completed", "Help")
        assert "$ fg" not in shown.text
        shown.until(lambda: not termios.tcgetattr(shown.master)[3] & (termios.ICANON | termios.ECHO))
    shown.send("?")
    shown.shows("esc closes")
    shown.send("\x1b")
    shown.until(lambda: "esc closes" not in shown.text)
    shown.send("q")
    assert shown.ended(8.0) == 0
    given_back(shown)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTSTP, signal.SIGCONT])
def test_a_stop_while_it_quits_does_not_take_the_terminal_again(shown: Terminal, how: signal.Signals) -> None:
    shown.send("q")
    shown.until(lambda: b"\x1b[?1049l" in shown.raw)
    shown.process.send_signal(how)
    if how == signal.SIGTSTP:
        shown.until(lambda: shown.process.poll() is not None or _stopped(shown))
        shown.process.send_signal(signal.SIGCONT)
    assert shown.ended(8.0) == 0
    given_back(shown)


@pytest.mark.slow
def test_signals_in_the_middle_of_drawing_do_not_hold_it_up(shown: Terminal) -> None:
    """A handler may run inside any line of the code that writes, which holds a lock."""
    until = time.monotonic() + 2
    while time.monotonic() < until:
        shown.process.send_signal(signal.SIGCONT)
        shown.process.send_signal(signal.SIGWINCH)
        shown.read(0.001)
    shown.send("?")
    shown.shows("esc closes")


@pytest.mark.slow
@pytest.mark.parametrize("signalled", [True, False])
def test_a_terminal_that_is_gone_ends_it(tmp_path: Path, *, signalled: bool) -> None:
    # Of a terminal that controls no process, its end is not signalled: the dashboard read its end for ever.
    arguments, env = with_store(tmp_path)
    with terminal(arguments, env) as running:
        running.shows("STATUS", "completed")
        os.close(running.master)
        running.master = os.open(os.devnull, os.O_RDONLY)
        if signalled:
            running.process.send_signal(signal.SIGHUP)
        assert running.process.wait(8.0) == 128 + signal.SIGHUP


_CRASH = """
import sys
from jobdash.tui.screens.main import MainScreen
def fail(self):
    raise RuntimeError("odd \\x1b]0;title\\x07 thing")
MainScreen._anything_young = fail
MainScreen._schedule = fail
sys.argv = ["jobdash"]
from jobdash.__main__ import main
main()
"""


@pytest.mark.slow
def test_an_error_of_its_own_ends_it_in_a_sentence(tmp_path: Path) -> None:
    _, env = with_store(tmp_path)
    with terminal(["-c", _CRASH], env) as running:
        assert running.ended(15.0) == 1
        given_back(running)
        assert "something went wrong that should not: RuntimeError: odd ␛]0;title␇ thing" in running.text
