"""A filter as it is typed, over a million jobs: the echo of each key, the first matches, and "no match"."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from tests.bench.report import Finding
from tests.bench.screen import CHROME, bare, dashboard
from tests.bench.stores import MANY, store
from tests.bench.terminal import Terminal

ROUNDS = 7
NOTHING = "zzqqzz"


def filtering(folder: Path) -> list[Finding]:
    """Type words that many, few and no names have."""
    echoes: list[float] = []
    first: list[float] = []
    nothing: list[float] = []
    with Terminal(dashboard(store(folder, MANY)), bare()) as terminal:
        terminal.until(*CHROME)
        terminal.settle(3.0)
        for _ in range(ROUNDS):
            first.append(_typed(terminal, "eval", b" of ", echoes))
            nothing.append(_typed(terminal, NOTHING, b"No job matches", echoes))
    ordered = sorted(echoes)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return [
        Finding("filter: echo of a key, p99", "–", "≤ 50 ms", f"{p99 * 1000:.0f} ms"),
        Finding("filter: first matches", "–", "≤ 150 ms", f"{statistics.median(first) * 1000:.0f} ms"),
        Finding("filter: no match", "–", "≤ 600 ms", f"{statistics.median(nothing) * 1000:.0f} ms"),
    ]


def _typed(terminal: Terminal, word: str, answer: bytes, echoes: list[float]) -> float:
    """Type a filter key by key, and again at once; returns the seconds from that to the answer."""
    terminal.press(b"/")
    echoes += [_echo(terminal, char) for char in word]
    _clear(terminal)
    terminal.press(b"/")
    terminal.seen = b""
    begun = time.perf_counter()
    terminal.write(word.encode())
    while answer not in terminal.seen and time.perf_counter() - begun < 3:
        terminal.read(0.2)
    took = time.perf_counter() - begun
    _clear(terminal)
    return took


def _clear(terminal: Terminal) -> None:
    terminal.settle(0.4, 2.0)
    terminal.press(b"\x1b")
    terminal.settle(0.4, 2.0)


def _echo(terminal: Terminal, char: str) -> float:
    begun = time.perf_counter()
    terminal.write(char.encode())
    terminal.read(5.0)
    return time.perf_counter() - begun
