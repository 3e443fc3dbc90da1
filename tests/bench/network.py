"""Requests in bulk: against bare loops over the same SDK, the emulator in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI

from jobdash.demo.emulator import OPENAI_KEY
from jobdash.domain.account import Account, Secret
from jobdash.domain.plan import ActionResult, DecisionContext
from jobdash.operations.account_session import AccountSession, ListPage
from jobdash.operations.context import OperationContext
from jobdash.operations.execution import execute
from jobdash.operations.job_lookup import Browser, Scope, open_browser
from jobdash.operations.planning import plan_cancel_all
from jobdash.operations.sync import Sync
from jobdash.operations.writer_thread import WriterThread
from tests.bench.report import Finding, ratio
from tests.bench.terminal import clean_environment, python

BATCHES, IN_FLIGHT, LATENCY_S = 1_000, 32, 0.1
KNOWN = 10_000
ROUNDS = 7


@contextlib.contextmanager
def emulator(batches: int, latency: float, *options: str) -> Iterator[str]:
    """Run an emulator with so many batches; yields the base URL."""
    words = ("--latency", str(latency), "--batches", str(batches), *options)
    command = python("-m", "jobdash.demo.emulator", *words)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment({}))
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "OPENAI_BASE_URL" in line:
                yield line.partition("=")[2].strip().strip("'\"")
                break
    finally:
        process.kill()
        process.wait()


@dataclass
class Counting:
    """A session that counts its list calls."""

    session: AccountSession
    lists: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    async def call(self, request: Any, **more: Any) -> Any:
        """Send a request."""
        self.lists += isinstance(request, ListPage)
        return await self.session.call(request, **more)


@contextlib.asynccontextmanager
async def account(
    url: str, folder: Path
) -> AsyncIterator[tuple[Counting, OperationContext, Browser, Account]]:
    """Open an account, a fresh store, and what an operation works with."""
    name = Account("openai", "openai", "", Secret(OPENAI_KEY), url)
    opened = open_browser(folder / "bench.db")
    with WriterThread(folder / "bench.db") as store:
        async with AccountSession(name, in_flight=IN_FLIGHT) as session:
            counting = Counting(session)
            yield (
                counting,
                OperationContext({"openai": counting}, store, frozenset({"openai"})),
                opened.browser,
                name,
            )
    opened.browser.close()


async def _cancel_with_jobdash(url: str, folder: Path) -> float:
    async with account(url, folder) as (session, work, browser, name):
        await Sync(name, session, browser, work, full=True).run()
        plan = plan_cancel_all(browser, Scope(), DecisionContext(work.clock(), work.configured, named=False))
        assert len(plan.acting) == BATCHES, len(plan.acting)
        begun = time.perf_counter()
        summary = await execute(plan, work, lambda outcome: None)
        took = time.perf_counter() - begun
        assert summary.count(ActionResult.DONE) == BATCHES
        return took


async def _cancel_bare(url: str) -> float:
    async with AsyncOpenAI(api_key=OPENAI_KEY, base_url=url, max_retries=0) as client:
        ids = [batch.id async for batch in client.batches.list(limit=100)]
        turn = asyncio.Semaphore(IN_FLIGHT)

        async def cancel(batch_id: str) -> None:
            async with turn:
                await client.batches.cancel(batch_id)

        begun = time.perf_counter()
        await asyncio.gather(*(cancel(batch_id) for batch_id in ids))
        return time.perf_counter() - begun


def cancels(folder: Path) -> list[Finding]:
    """A thousand cancels; throughput against a bare loop."""
    del folder
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(ROUNDS):
        with emulator(BATCHES, LATENCY_S, "--running") as url, tempfile.TemporaryDirectory() as place:
            ours.append(asyncio.run(_cancel_with_jobdash(url, Path(place))))
        with emulator(BATCHES, LATENCY_S, "--running") as url:
            bare.append(asyncio.run(_cancel_bare(url)))
    speed = 1 / ratio(ours, bare)
    return [
        Finding(
            "cancel of 1,000 batches: throughput",
            "a bare loop",
            "≥ 0.9",
            f"{speed:.2f} ({BATCHES / sorted(ours)[ROUNDS // 2]:.0f}/s)",
        )
    ]


async def _sync_times(url: str, folder: Path) -> tuple[int, float, float]:
    async with account(url, folder) as (session, work, browser, name):
        await Sync(name, session, browser, work, full=True).run()
        session.lists = 0
        await Sync(name, session, browser, work).run()
        quiet = session.lists
        begun = time.perf_counter()
        await Sync(name, session, browser, work, full=True).run()
        full = time.perf_counter() - begun
    async with AsyncOpenAI(api_key=OPENAI_KEY, base_url=url, max_retries=0) as client:
        begun = time.perf_counter()
        count = 0
        async for _ in client.batches.list(limit=100):
            count += 1
        assert count == KNOWN
        return quiet, full, time.perf_counter() - begun


def syncs(folder: Path) -> list[Finding]:
    """Ten thousand known batches: a quiet sync, and a full one."""
    del folder
    quiet: list[int] = []
    full: list[float] = []
    bare: list[float] = []
    with emulator(KNOWN, 0.0) as url:
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as place:
                calls, took, floor = asyncio.run(_sync_times(url, Path(place)))
                quiet.append(calls)
                full.append(took)
                bare.append(floor)
    return [
        Finding("sync of 10,000 known batches, quiet: list calls", "–", "≤ 2", str(max(quiet))),
        Finding("the same, --full", "bare paging with the SDK", "≤ 1.5", f"{ratio(full, bare):.2f}"),
    ]
