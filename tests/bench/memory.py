"""Memory: with both SDKs after a sync, over a million jobs; and over a thousand polls of an account."""

from __future__ import annotations

import asyncio
import multiprocessing
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from jobdash.operations.polling.sync import Sync
from tests.bench.network import account, emulator
from tests.bench.report import Finding, ratio
from tests.bench.screen import CHROME, HELLO, bare, dashboard
from tests.bench.stores import MANY, store
from tests.bench.terminal import Terminal, resident_mib

ROUNDS = 7
POLLS, POLLED, POLL_ROUNDS = 1_000, 20, 3
"""Polls of a round; batches in the account, which stand still; rounds."""
ROUND_S = 120
"""A round ends after so many seconds, however few polls were made."""
WARM_UP = 50


def memory(folder: Path) -> list[Finding]:
    """The dashboard after its first sync of two providers."""
    synced = folder / "synced.db"
    ours: list[float] = []
    floor: list[float] = []
    with emulator(100, 0.0) as url:
        keys = {
            "OPENAI_API_KEY": "sk-emulated-openai",
            "OPENAI_BASE_URL": f"{url}/v1",
            "GEMINI_API_KEY": "emulated-gemini",
            "GOOGLE_GEMINI_BASE_URL": url,
        }
        for _ in range(ROUNDS):
            with Terminal(HELLO, bare()) as hello:
                hello.until(b"Hello, world")
                hello.settle(1.0)
                floor.append(hello.memory_mib())
            for beside in folder.glob("synced.db*"):
                beside.unlink()
            shutil.copy(store(folder, MANY), synced)  # each round makes a first sync
            with Terminal(dashboard(synced), {**bare(), **keys}) as terminal:
                terminal.until(*CHROME, "openai ✓".encode()[:6])
                terminal.settle(6.0, 15.0)
                ours.append(terminal.memory_mib())
    synced.unlink()
    return [
        Finding(
            "memory after a sync with both SDKs, 1,000,000 jobs",
            "hello-world",
            "≤ 3.6",
            f"{ratio(ours, floor):.2f} ({statistics.median(ours):.0f} MiB)",
        )
    ]


def polls(folder: Path) -> list[Finding]:
    """What a process that polls for long has gained: a thousand syncs, in a fresh process each round.

    A sync lists the account (one page), and asks for a third of its batches singly, since a list that shows
    the same of a batch three times is doubted: some eight requests. More batches make a poll longer and
    measure nothing else.
    """
    del folder
    fresh = multiprocessing.get_context("spawn")
    with (
        emulator(POLLED, 0.0, "--running") as url,
        ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as processes,
    ):
        rounds = [processes.submit(_polled, url).result() for _ in range(POLL_ROUNDS)]
    ratios = [after / before for before, after, _ in rounds]
    after_mib = statistics.median(after for _, after, _ in rounds)
    fewest = min(number for _, _, number in rounds)
    told = f"{statistics.median(ratios):.3f} (at most {max(ratios):.3f}, {after_mib:.0f} MiB)"
    return [Finding(f"memory over {fewest:,} polls of {POLLED} batches", "before", "≤ 1.05", told)]


def _polled(url: str) -> tuple[float, float, int]:
    """Return the resident memory in MiB after some syncs and at the end, and how many were in between."""

    async def grow(place: Path) -> tuple[float, float, int]:
        async with account(url, place, "openai") as (session, work, browser, name):
            for _ in range(WARM_UP):
                await Sync(name, session, browser, work).run()
            before, number, end = resident_mib(), 0, time.monotonic() + ROUND_S
            while number < POLLS and time.monotonic() < end:
                await Sync(name, session, browser, work).run()
                number += 1
            return before, resident_mib(), number

    with tempfile.TemporaryDirectory() as place:
        return asyncio.run(grow(Path(place)))
