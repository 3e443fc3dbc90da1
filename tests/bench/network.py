"""Requests in bulk: against bare loops (OpenAI: over its SDK), the emulator in a process of its own."""

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

import httpx2
from openai import AsyncOpenAI

from jobdash.demo.emulator import ANTHROPIC_KEY, MISTRAL_KEY, OPENAI_KEY
from jobdash.domain.account import Account, Secret
from jobdash.domain.plan import ActionResult, DecisionContext
from jobdash.operations.accounts.session import AccountSession, ListPage
from jobdash.operations.context import OperationContext
from jobdash.operations.execution import execute
from jobdash.operations.job_lookup import Browser, Scope, open_browser
from jobdash.operations.planning import plan_cancel_all
from jobdash.operations.polling.sync import Sync
from jobdash.operations.writer_thread import WriterThread
from tests.bench.report import Finding, ratio
from tests.bench.terminal import clean_environment, python

BATCHES, IN_FLIGHT, LATENCY_S = 1_000, 32, 0.1
KNOWN = 10_000
ROUNDS = 7
BASES = {"openai": "/v1", "mistral": "/mistral"}
KEYS = {"openai": OPENAI_KEY, "anthropic": ANTHROPIC_KEY, "mistral": MISTRAL_KEY}


@contextlib.contextmanager
def emulator(batches: int, latency: float, *options: str) -> Iterator[str]:
    """Run an emulator with so many batches; yields its URL."""
    words = ("--latency", str(latency), "--batches", str(batches), *options)
    command = python("-m", "jobdash.demo.emulator", *words)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment({}))
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "OPENAI_BASE_URL" in line:
                yield line.partition("=")[2].strip().strip("'\"").removesuffix("/v1")
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
    url: str, folder: Path, provider: str
) -> AsyncIterator[tuple[Counting, OperationContext, Browser, Account]]:
    """Open an account, a fresh store, and what an operation works with."""
    name = Account(provider, provider, "", Secret(KEYS[provider]), url + BASES.get(provider, ""))
    opened = open_browser(folder / "bench.db")
    with WriterThread(folder / "bench.db") as store:
        async with AccountSession(name, in_flight=IN_FLIGHT) as session:
            counting = Counting(session)
            yield (
                counting,
                OperationContext({provider: counting}, store, frozenset({provider})),
                opened.browser,
                name,
            )
    opened.browser.close()


class Bare:
    """A loop without jobdash over the same requests: list, and cancel."""

    def __init__(self, url: str, provider: str) -> None:
        self._url, self._provider = url + BASES.get(provider, ""), provider
        key = KEYS[provider]
        headers = {"anthropic": {"x-api-key": key, "anthropic-version": "2023-06-01"}}
        sent = headers.get(provider, {"Authorization": f"Bearer {key}"})
        self._http = httpx2.AsyncClient(headers=sent, limits=httpx2.Limits(max_connections=64))
        self._sdk = AsyncOpenAI(api_key=OPENAI_KEY, base_url=self._url, max_retries=0)

    async def ids(self) -> list[str]:
        """All batches, page by page."""
        if self._provider == "openai":
            return [batch.id async for batch in self._sdk.batches.list(limit=100)]
        found: list[str] = []
        while True:
            if self._provider == "anthropic":
                after = {"after_id": found[-1]} if found else {}
                url, asked = f"{self._url}/v1/messages/batches", {"limit": 100} | after
            else:
                url = f"{self._url}/v1/batch/jobs"
                asked = {"page": len(found) // 100, "page_size": 100, "order_by": "-created"}
            page = (await self._http.get(url, params=asked)).json()
            found += [batch["id"] for batch in page["data"]]
            if not page["data"] or not page.get("has_more", len(found) < page.get("total", 0)):
                return found

    async def cancel(self, batch_id: str) -> None:
        """Cancel one."""
        if self._provider == "openai":
            await self._sdk.batches.cancel(batch_id)
            return
        place = {"anthropic": "messages/batches", "mistral": "batch/jobs"}[self._provider]
        (await self._http.post(f"{self._url}/v1/{place}/{batch_id}/cancel")).json()


async def _cancel_with_jobdash(url: str, folder: Path, provider: str) -> float:
    async with account(url, folder, provider) as (session, work, browser, name):
        await Sync(name, session, browser, work, full=True).run()
        plan = plan_cancel_all(browser, Scope(), DecisionContext(work.clock(), work.configured, named=False))
        assert len(plan.acting) == BATCHES, len(plan.acting)
        begun = time.perf_counter()
        summary = await execute(plan, work, lambda outcome: None)
        took = time.perf_counter() - begun
        assert summary.count(ActionResult.DONE) == BATCHES
        return took


async def _cancel_bare(url: str, provider: str) -> float:
    bare = Bare(url, provider)
    ids = await bare.ids()
    turn = asyncio.Semaphore(IN_FLIGHT)

    async def cancel(batch_id: str) -> None:
        async with turn:
            await bare.cancel(batch_id)

    begun = time.perf_counter()
    await asyncio.gather(*(cancel(batch_id) for batch_id in ids))
    return time.perf_counter() - begun


def cancels(folder: Path) -> list[Finding]:
    """A thousand cancels; throughput against a bare loop."""
    del folder
    return [_cancels(provider) for provider in KEYS]


def _cancels(provider: str) -> Finding:
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(ROUNDS):
        with emulator(BATCHES, LATENCY_S, "--running") as url, tempfile.TemporaryDirectory() as place:
            ours.append(asyncio.run(_cancel_with_jobdash(url, Path(place), provider)))
        with emulator(BATCHES, LATENCY_S, "--running") as url:
            bare.append(asyncio.run(_cancel_bare(url, provider)))
    speed = 1 / ratio(ours, bare)
    return Finding(
        f"cancel of 1,000 batches, {provider}: throughput",
        "a bare loop",
        "≥ 0.9",
        f"{speed:.2f} ({BATCHES / sorted(ours)[ROUNDS // 2]:.0f}/s)",
    )


async def _sync_times(url: str, folder: Path, provider: str) -> tuple[int, float, float]:
    async with account(url, folder, provider) as (session, work, browser, name):
        await Sync(name, session, browser, work, full=True).run()
        session.lists = 0
        await Sync(name, session, browser, work).run()
        quiet = session.lists
        begun = time.perf_counter()
        await Sync(name, session, browser, work, full=True).run()
        full = time.perf_counter() - begun
    begun = time.perf_counter()
    assert len(await Bare(url, provider).ids()) == KNOWN
    return quiet, full, time.perf_counter() - begun


def syncs(folder: Path) -> list[Finding]:
    """Ten thousand known batches: a quiet sync, and a full one."""
    del folder
    return [finding for provider in KEYS for finding in _syncs(provider)]


def _syncs(provider: str) -> list[Finding]:
    quiet: list[int] = []
    full: list[float] = []
    bare: list[float] = []
    with emulator(KNOWN, 0.0) as url:
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as place:
                calls, took, floor = asyncio.run(_sync_times(url, Path(place), provider))
                quiet.append(calls)
                full.append(took)
                bare.append(floor)
    against = "bare paging with the SDK" if provider == "openai" else "bare paging with httpx2"
    return [
        Finding(f"sync of 10,000 known batches, {provider}, quiet: list calls", "–", "≤ 2", str(max(quiet))),
        Finding("the same, --full", against, "≤ 1.5", f"{ratio(full, bare):.2f}"),
    ]
