"""Memory: with both SDKs after a sync, over a million jobs; and over a thousand polls."""

from __future__ import annotations

import asyncio
import multiprocessing
import shutil
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from jobdash.operations.sync import Sync
from tests.bench.network import account, emulator
from tests.bench.report import Finding, ratio
from tests.bench.screen import CHROME, HELLO, bare, dashboard
from tests.bench.stores import MANY, store
from tests.bench.terminal import Terminal, resident_mib

ROUNDS = 7
POLLS = 1_000
WARM_UP = 50


def memory(folder: Path) -> list[Finding]:
    """The dashboard after its first sync of two providers."""
    synced = folder / "synced.db"
    ours: list[float] = []
    floor: list[float] = []
    with emulator(100, 0.0) as url:
        keys = {
            "OPENAI_API_KEY": "sk-emulated-openai",
            "OPENAI_BASE_URL": url,
            "GEMINI_API_KEY": "emulated-gemini",
            "GOOGLE_GEMINI_BASE_URL": url.removesuffix("/v1"),
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
    """A thousand syncs in one process, in a fresh process each round."""
    del folder
    fresh = multiprocessing.get_context("spawn")
    with (
        emulator(200, 0.0, "--running") as url,
        ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as processes,
    ):
        rounds = [processes.submit(_polled, url).result() for _ in range(ROUNDS)]
    growths = [(after - before) / before for before, after in rounds]
    after_mib = statistics.median(after for _, after in rounds)
    growth = statistics.median(growths)
    told = f"{growth:+.1%} (at most {max(growths):+.1%}, {after_mib:.0f} MiB)"
    return [Finding("memory over 1,000 polls", "before", "≤ 5 %", told)]


def _polled(url: str) -> tuple[float, float]:
    """Return the resident memory in MiB after some syncs, and after a thousand more."""

    async def grow(place: Path) -> tuple[float, float]:
        async with account(url, place) as (session, work, browser, name):
            before = 0.0
            for number in range(WARM_UP + POLLS):
                await Sync(name, session, browser, work).run()
                if number == WARM_UP:
                    before = resident_mib()
            return before, resident_mib()

    with tempfile.TemporaryDirectory() as place:
        return asyncio.run(grow(Path(place)))
