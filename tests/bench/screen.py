"""The first screen, keys, and bytes, in a pseudo-terminal, side by side with bare Textual programs."""

from __future__ import annotations

import contextlib
import statistics
from collections import defaultdict
from pathlib import Path

from tests.bench.report import Finding, ms, ratio
from tests.bench.stores import FEW, MANY, store
from tests.bench.terminal import Terminal, python

ROUNDS = 9
PRESSES = 40
HELLO = python(str(Path(__file__).parent / "programs" / "hello.py"))
TABLE = python(str(Path(__file__).parent / "programs" / "data_table.py"))
PLAIN = python(str(Path(__file__).parent / "programs" / "plain_table.py"))
CHROME = (b"jobdash", b"Exp", b"filter", b"AGE", b"Help")
"""What has to be on the screen besides a row: account line, tabs, filter, headers, footer."""
DOWN, PAGE_DOWN, HOME, END = b"\x1b[B", b"\x1b[6~", b"\x1b[H", b"\x1b[F"


def dashboard(path: Path) -> list[str]:
    """Return the command of the dashboard over a store."""
    return python("-m", "jobdash", "--db", str(path))


def bare() -> dict[str, str]:
    """Return an environment without accounts and without the person's own settings."""
    return {
        "HOME": "/nonexistent",
        "XDG_CONFIG_HOME": "/nonexistent",
        "OPENAI_API_KEY": "",
        "GEMINI_API_KEY": "",
    }


def first_name(path: Path) -> bytes:
    """Return the name that stands in the cursor row."""
    from jobdash.operations.job_lookup import Browser, Scope, Sort

    browser = Browser(path)
    name = browser.page(Scope(), Sort(), None, 1)[0].name
    browser.close()
    return name.encode()[:12]


def first_screen(folder: Path) -> list[Finding]:
    """From the start of the process to the cursor row's name and all of the chrome."""
    few, many = store(folder, FEW), store(folder, MANY)
    programs = {
        "hello": (HELLO, (b"Hello, world",)),
        "few": (dashboard(few), (first_name(few), *CHROME)),
        "many": (dashboard(many), (first_name(many), *CHROME)),
    }
    times: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, list[float]] = defaultdict(list)
    for turn in range(ROUNDS + 1):
        for name, (command, texts) in programs.items():
            with Terminal(command, bare()) as terminal:
                took = terminal.until(*texts)
                if turn:  # the first one only fills caches
                    times[name].append(took)
                    memory[name].append(terminal.memory_mib())
    hello, few_s, many_s = times["hello"], times["few"], times["many"]
    return [
        Finding(
            "first screen with rows",
            "hello-world",
            "≤ 1.6, try 1.3",
            f"{ratio(few_s, hello):.2f} ({ms(few_s)})",
        ),
        Finding(
            "first screen, 1,000,000 jobs", "100 jobs", "≤ 1.1", f"{ratio(many_s, few_s):.2f} ({ms(many_s)})"
        ),
        Finding(
            "memory at it, 1,000,000 jobs",
            "hello-world",
            "≤ 1.5",
            f"{ratio(memory['many'], memory['hello']):.2f}",
        ),
    ]


def keys(folder: Path) -> list[Finding]:
    """From the key's byte to the last byte it changed."""
    few, many = store(folder, FEW), store(folder, MANY)
    with contextlib.ExitStack() as stack:
        table = stack.enter_context(Terminal(TABLE, bare()))
        plain = stack.enter_context(Terminal(PLAIN, bare()))
        small = stack.enter_context(Terminal(dashboard(few), bare()))
        large = stack.enter_context(Terminal(dashboard(many), bare()))
        for terminal in (table, plain):
            terminal.until(b"nightly-eval-29")
        for terminal in (small, large):
            terminal.until(*CHROME)
        for terminal in (table, plain, small, large):
            terminal.settle(2.0)
        findings = _cursor(table, plain, small, large)
        for name, key, back in (
            ("PageDown", PAGE_DOWN, HOME),
            ("End", END, HOME),
            ("sort change", b"s", b""),
            ("tab change", b"4", b"0"),
        ):
            findings.append(_compared(name, key, back, small, large))
        return findings


def _cursor(table: Terminal, plain: Terminal, small: Terminal, large: Terminal) -> list[Finding]:
    found: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for press in range(PRESSES):
        key = DOWN if press % 20 < 10 else b"\x1b[A"
        for name, terminal in (("table", table), ("plain", plain), ("small", small), ("large", large)):
            found[name].append(terminal.press(key))
    seconds = {name: [took for took, _ in values] for name, values in found.items()}
    written = {name: statistics.median(count for _, count in values) for name, values in found.items()}
    per_table = [
        finding
        for name, words in (("plain", "plain DataTable"), ("table", "DataTable, same columns and colours"))
        for finding in (
            Finding(
                "cursor-down",
                words,
                "≤ 0.7",
                f"{_medians(seconds['small'], seconds[name]):.2f} ({ms(seconds['small'])})",
            ),
            Finding(
                "bytes of a cursor-down",
                words,
                "≤ 0.8",
                f"{written['small'] / written[name]:.2f} ({written['small']:.0f})",
            ),
        )
    ]
    return [
        *per_table,
        Finding(
            "cursor-down, 1,000,000 jobs",
            "100 jobs",
            "≤ 1.2",
            f"{_medians(seconds['large'], seconds['small']):.2f}",
        ),
    ]


def drawing(folder: Path) -> list[Finding]:
    """A cursor move with exact updates, against Textual's own drawing of the same program."""
    program = (
        "from jobdash.tui.terminal import exact_updates; exact_updates.EXACT = False;"
        " from jobdash.__main__ import main; main()"
    )
    few = store(folder, FEW)
    commands = {"exact": dashboard(few), "stock": python("-c", program, "--db", str(few))}
    found: dict[str, list[tuple[float, int]]] = defaultdict(list)
    with contextlib.ExitStack() as stack:
        terminals = {
            name: stack.enter_context(Terminal(command, bare())) for name, command in commands.items()
        }
        for terminal in terminals.values():
            terminal.until(*CHROME)
            terminal.settle(2.0)
        for press in range(PRESSES):
            for name, terminal in terminals.items():
                found[name].append(terminal.press(DOWN if press % 20 < 10 else b"\x1b[A"))
    seconds = {name: [took for took, _ in values] for name, values in found.items()}
    written = {name: statistics.median(count for _, count in values) for name, values in found.items()}
    faster = _medians(seconds["exact"], seconds["stock"])
    return [
        Finding("cursor-down", "Textual's own drawing", "≤ 0.9", f"{faster:.2f}"),
        Finding(
            "bytes of a cursor-down",
            "Textual's own drawing",
            "≤ 0.75",
            f"{written['exact'] / written['stock']:.2f} ({written['exact']:.0f})",
        ),
    ]


def _compared(name: str, key: bytes, back: bytes, small: Terminal, large: Terminal) -> Finding:
    """Press a key in both, side by side; ``back`` returns to where it was, unmeasured."""
    times: dict[str, list[float]] = defaultdict(list)
    for _ in range(14):
        for which, terminal in (("small", small), ("large", large)):
            times[which].append(terminal.press(key)[0])
            if back:
                terminal.press(back)
    small_s, large_s = times["small"], times["large"]
    return Finding(
        f"{name}, 1,000,000 jobs", "100 jobs", "≤ 1.5", f"{_medians(large_s, small_s):.2f} ({ms(large_s)})"
    )


def _medians(values: list[float], floor: list[float]) -> float:
    return statistics.median(values) / statistics.median(floor)
