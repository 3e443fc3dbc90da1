"""The demo's own scripts: real processes, acted on for real, gone with the demo whatever it ends by."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from test_terminal import Terminal, terminal

pytestmark = pytest.mark.slow

PATIENCE_S = 20.0


def scripts(folder: Path) -> dict[int, str]:
    """The scripts that run in a folder's demo, by pid: their names."""
    found: dict[int, str] = {}
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "jobdash.demo.script_process" in words and any(str(folder) in word for word in words):
                found[int(process.name)] = words[words.index("jobdash.demo.script_process") + 1]
    return found


def click(demo: Terminal, words: str) -> None:
    line = next(y for y, text in enumerate(demo.screen.display, 1) if words in text)
    column = demo.screen.display[line - 1].index(words) + 1
    demo.send(f"\x1b[<0;{column};{line}M\x1b[<0;{column};{line}m")


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Terminal]:
    env = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "JOBDASH_CONFIG": str(tmp_path / "nothing")}
    with terminal(["-m", "jobdash", "demo"], env) as running:
        running.shows("All 66", "thumbnails", "import-orders", "transcribe-tapes")
        yield running


def test_one_moves_one_fails_items_one_stalls(demo: Terminal, tmp_path: Path) -> None:
    """C-1"""
    assert sorted(scripts(tmp_path).values()) == ["import-orders", "thumbnails", "transcribe-tapes"]
    demo.shows("⚠ stalled")
    demo.send("/import-orders\r")
    demo.shows("1 of 66")
    demo.send("\r")
    demo.shows("ValueError: no price in column 7", "90 rows", "5 Output")
    demo.send("5")
    demo.shows("order 20400: ")


@pytest.mark.parametrize("how", ["q", signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_no_script_outlives_the_demo(demo: Terminal, tmp_path: Path, how: str | int) -> None:
    demo.shows("⚠ stalled")
    assert len(scripts(tmp_path)) == 3
    if isinstance(how, str):
        demo.send(how)
    else:
        os.kill(demo.process.pid, how)
    demo.ended(8.0)
    deadline = time.monotonic() + PATIENCE_S
    while left := scripts(tmp_path):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
    if how != signal.SIGKILL:
        assert not list(tmp_path.glob("jobdash-demo-*"))


def test_the_stalled_one_is_killed_retried_and_started_again(demo: Terminal, tmp_path: Path) -> None:
    """E-3, E-4, E-10"""
    demo.shows("⚠ stalled")
    (stalled,) = [pid for pid, name in scripts(tmp_path).items() if name == "transcribe-tapes"]
    demo.send("/transcribe\r")
    demo.shows("1 of 66")
    demo.send("f")
    demo.shows("Don't fail", "[x] stop the process")
    demo.answer("y", "Don't fail")
    demo.shows("killed at once")  # the toast goes, the row stays
    demo.shows("✖ failed")
    demo.until(lambda: stalled not in scripts(tmp_path))
    demo.send("r")
    demo.shows("Don't retry", "34 of 40", "[ ] start it again")
    click(demo, "start it again")
    demo.shows("[x] start it again")
    demo.answer("y", "Don't retry")
    demo.shows("● running")
    demo.until(lambda: "transcribe-tapes" in scripts(tmp_path).values())
    (store,) = tmp_path.glob("jobdash-demo-*/demo.db")

    def done() -> int:
        with closing(sqlite3.connect(store, timeout=5)) as connection:
            sql = "SELECT succeeded FROM job WHERE name = 'transcribe-tapes'"
            return int(connection.execute(sql).fetchone()[0])

    demo.until(lambda: done() > 7)
    demo.send("q")
    assert demo.ended(8.0) == 0
    assert not scripts(tmp_path)
