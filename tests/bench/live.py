"""A dashboard that is only watched: idle, and while a thousand rows a second change under it."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import statistics
import threading
import time
from collections import defaultdict
from contextlib import closing
from pathlib import Path

from tests.bench.report import Finding, ms, ratio
from tests.bench.screen import CHROME, DOWN, HELLO, bare, dashboard
from tests.bench.stores import FEW, MANY, finish_all, store
from tests.bench.terminal import Terminal

ROUNDS = 7
WATCHED_S = 12.0


def idle(folder: Path) -> list[Finding]:
    """Processor time and bytes while nobody does anything."""
    quiet = folder / "quiet.db"
    if not quiet.exists():
        shutil.copy(store(folder, FEW), quiet)
        finish_all(quiet)
    with contextlib.ExitStack() as stack:
        hello = stack.enter_context(Terminal(HELLO, bare()))
        still = stack.enter_context(Terminal(dashboard(quiet), bare()))
        moving = stack.enter_context(Terminal(dashboard(store(folder, FEW)), bare()))
        hello.until(b"Hello, world")
        for terminal in (still, moving):
            terminal.until(*CHROME)
        for terminal in (hello, still, moving):
            terminal.settle(3.0)
        watched: dict[str, list[float]] = defaultdict(list)
        for _ in range(ROUNDS):
            watched["hello"].append(hello.idle(WATCHED_S)[0])
            cpu, quiet_bytes = still.idle(WATCHED_S)
            watched["cpu"].append(cpu)
            watched["quiet"].append(quiet_bytes / WATCHED_S)
            watched["moving"].append(moving.idle(WATCHED_S)[1] / WATCHED_S)
    medians = {name: statistics.median(values) for name, values in watched.items()}
    of_a_core = medians["cpu"] / WATCHED_S
    return [
        Finding(
            "idle",
            "hello-world's CPU",
            "≤ 2.5",
            f"{ratio(watched['cpu'], watched['hello']):.1f} ({of_a_core:.2%} of a core)",
        ),
        Finding("bytes a second, nothing unfinished in sight", "–", "0", f"{medians['quiet']:.0f}"),
        Finding(
            "bytes a second, jobs running",
            "–",
            "≤ 200",
            f"{medians['moving']:.0f} (at most {max(watched['moving']):.0f})",
        ),
    ]


def storm(folder: Path) -> list[Finding]:
    """A thousand changed rows a second, those on the screen among them, over a million jobs."""
    path = store(folder, MANY)
    cpu: list[float] = []
    frames: list[float] = []
    quiet: list[float] = []
    busy: list[float] = []
    with Terminal(dashboard(path), bare()) as terminal:
        terminal.until(*CHROME)
        terminal.settle(3.0)
        for _ in range(ROUNDS):
            quiet += [_answer(terminal) for _ in range(10)]
            terminal.press(b"\x1b[H")
            stop = threading.Event()
            writer = threading.Thread(target=_change, args=(path, stop))
            writer.start()
            try:
                time.sleep(1)
                used, drawn = _watch(terminal, WATCHED_S)
                cpu.append(used / WATCHED_S)
                frames.append(drawn / WATCHED_S)
                busy += [_answer(terminal) for _ in range(10)]
            finally:
                stop.set()
                writer.join()
            terminal.settle()
    return [
        Finding(
            "1,000 changed rows a second, 1,000,000 jobs", "a core", "≤ 4 %", f"{statistics.median(cpu):.2%}"
        ),
        Finding("frames a second", "–", "≤ 5", f"{statistics.median(frames):.1f}"),
        Finding(
            "cursor-down meanwhile",
            "quiet",
            "≤ 2",
            f"{statistics.median(busy) / statistics.median(quiet):.2f} ({ms(busy)})",
        ),
    ]


def _change(path: Path, stop: threading.Event) -> None:
    """Give the newest thousand jobs new counts, in ten transactions a second."""
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        ids = [
            found[0] for found in connection.execute("SELECT id FROM job ORDER BY created_at DESC LIMIT 1000")
        ]
        turn = 0
        while not stop.wait(0.1):
            turn += 1
            some = ids[(turn % 10) :: 10]
            with connection:
                connection.executemany(
                    "UPDATE job SET succeeded = coalesce(succeeded, 0) + 1 WHERE id = ?", [(i,) for i in some]
                )


def _watch(terminal: Terminal, seconds: float) -> tuple[float, int]:
    """Return processor time, and how many separate bursts of output (frames) there were."""
    before, frames = terminal.cpu_seconds(), 0
    deadline = time.perf_counter() + seconds
    last = 0.0
    while (rest := deadline - time.perf_counter()) > 0:
        if terminal.read(rest):
            now = time.perf_counter()
            frames += now - last > 0.01
            last = now
    return terminal.cpu_seconds() - before, frames


def _answer(terminal: Terminal) -> float:
    """Return how long the first answer to a key took, while other things change too."""
    # Textual draws at most 60 frames a second: a key right behind a frame would wait for the next.
    terminal.settle(0.05, 0.1)
    begun = time.perf_counter()
    terminal.write(DOWN)
    terminal.read(5.0)
    return time.perf_counter() - begun
