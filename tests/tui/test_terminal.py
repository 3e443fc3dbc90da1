"""The real program in a real pseudo-terminal, read with a terminal emulator."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from shared.pseudo_terminal import Terminal
from tui_kit import jobs, machine_env, make_store

ROOT = Path(__file__).parents[2]
DEADLINE_S = 20.0


@contextmanager
def terminal(
    arguments: list[str], env: dict[str, str] | None = None, **more: tuple[int, int]
) -> Iterator[Terminal]:
    running = Terminal(arguments, machine_env(**{"PYTHONPATH": str(ROOT), **(env or {})}), **more)
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
