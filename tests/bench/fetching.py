"""Fetching results: a large file against curl, many small batches against the SDK, and the page over them."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from openai import AsyncOpenAI

from jobdash.demo.emulator import OPENAI_KEY
from jobdash.domain.plan import ActionResult
from jobdash.operations.accounts.downloads import DownloadInput, DownloadResults
from jobdash.operations.accounts.session import GetBatch
from jobdash.operations.fetch import fetch
from jobdash.operations.job_lookup import Browser, Scope, Sort
from jobdash.operations.polling.sync import Sync
from jobdash.operations.results.fetch_request import FetchRequest
from jobdash.operations.results.folder import INDEX
from jobdash.operations.results.input_copies import keep_input_copy
from tests.bench.local import ENTER, compare_keys
from tests.bench.network import IN_FLIGHT, account, emulator
from tests.bench.report import Finding, ms, ratio
from tests.bench.screen import CHROME, DOWN, HOME, bare, dashboard
from tests.bench.terminal import Terminal

LARGE, ANSWER = 50_000, 3_700
"""Results of a file, and the characters of each: 200 MB."""
SMALL, LATENCY_S = 500, 0.1
FEW_LINES, MANY_LINES = 1_000, 1_000_000
ROUNDS = 5


def large_fetch(folder: Path) -> list[Finding]:
    """The output file of 200 MB: the download by itself, and fetches with their joins and digests."""
    del folder
    took: dict[str, list[float]] = defaultdict(list)
    with emulator(1, 0.0, "--requests", str(LARGE), "--answer-size", str(ANSWER)) as url:
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as place:
                fetched, files = asyncio.run(_fetch_large(url, Path(place)))
                urls = [f"{url}/v1/files/{each}/content" for each in files]
                curls = {"curl": _curl(urls[:1], Path(place)), "curl both": _curl(urls, Path(place))}
                for name, seconds in (fetched | curls).items():
                    took[name].append(seconds)
    return [
        Finding(what, against, "≤ 1.5", f"{ratio(took[name], took[floor]):.2f} ({ms(took[name])})")
        for what, against, name, floor in (
            ("download of 50,000 results (200 MB)", "curl", "download", "curl"),
            ("fetch of a batch submitted from here: joined, SHA-256, on disk", "curl", "submitted", "curl"),
            ("fetch of a batch found: of its requests, too", "curl of both files", "found", "curl both"),
        )
    ]


async def _fetch_large(url: str, folder: Path) -> tuple[dict[str, float], tuple[str, str]]:
    """Return the seconds of a download alone and of whole fetches, and the ids of output and input."""
    took: dict[str, float] = {}
    database = folder / "bench.db"
    async with account(url, folder, "openai") as (session, work, browser, name):
        await Sync(name, session, browser, work, full=True).run()
        (row,) = browser.page(Scope(), Sort(), None, 2)
        assert row.remote_id is not None
        batch = await session.call(GetBatch(row.remote_id))
        begun = time.perf_counter()
        await session.call(DownloadResults(batch, folder / "output", work.stop))
        took["download"] = time.perf_counter() - begun
        for kind in ("found", "submitted"):
            if kind == "submitted":
                await session.call(DownloadInput(batch, folder / "input", work.stop))
                keep_input_copy(folder / "input", database, "bench")
                with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
                    connection.execute("UPDATE job SET submit_key = 'bench'")
            begun = time.perf_counter()
            (done,) = await fetch([row], FetchRequest(folder / kind, lambda: Browser(database), work))
            took[kind] = time.perf_counter() - begun
            assert (done.result, done.items) == (ActionResult.DONE, LARGE), done.reason
        return took, (batch.files["output"], batch.files["input"])


def _curl(urls: list[str], folder: Path) -> float:
    curl = shutil.which("curl")
    assert curl is not None, "this benchmark needs curl"
    targets = [folder / f"curl {number}" for number, _ in enumerate(urls)]
    command = [curl, "-sS", "--fail", "-H", f"Authorization: Bearer {OPENAI_KEY}"]
    for url, target in zip(urls, targets, strict=True):
        command += ["-o", str(target), url]
    begun = time.perf_counter()
    subprocess.run(command, check=True)
    took = time.perf_counter() - begun
    assert targets[0].stat().st_size > LARGE * ANSWER
    return took


def small_fetches(folder: Path) -> list[Finding]:
    """Five hundred small batches, 32 requests in flight."""
    del folder
    ours: list[float] = []
    bare_loop: list[float] = []
    with emulator(SMALL, LATENCY_S, "--requests", "20") as url:
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as place:
                ours.append(asyncio.run(_fetch_small(url, Path(place))))
            with tempfile.TemporaryDirectory() as place:
                bare_loop.append(asyncio.run(_fetch_bare(url, Path(place))))
    return [
        Finding(
            "fetch of 500 small batches: throughput",
            "a bare loop over the same SDK: batch, output, input",
            "≥ 0.9",
            f"{1 / ratio(ours, bare_loop):.2f} ({SMALL / sorted(ours)[ROUNDS // 2]:.0f}/s)",
        )
    ]


async def _fetch_small(url: str, folder: Path) -> float:
    async with account(url, folder, "openai") as (session, work, browser, name):
        await Sync(name, session, browser, work, full=True).run()
        rows = browser.page(Scope(), Sort(), None, SMALL)
        begun = time.perf_counter()
        done = await fetch(rows, FetchRequest(folder, lambda: Browser(folder / "bench.db"), work))
        took = time.perf_counter() - begun
        assert all(each.result is ActionResult.DONE for each in done)
        assert len(done) == SMALL
        return took


async def _fetch_bare(url: str, folder: Path) -> float:
    async with AsyncOpenAI(api_key=OPENAI_KEY, base_url=f"{url}/v1", max_retries=0) as client:
        ids = [batch.id async for batch in client.batches.list(limit=100)]
        turn = asyncio.Semaphore(IN_FLIGHT)

        async def get(batch_id: str) -> None:
            async with turn:
                batch = await client.batches.retrieve(batch_id)
                for file_id in (batch.output_file_id, batch.input_file_id):
                    assert file_id is not None
                    async with client.files.with_streaming_response.content(file_id) as download:
                        await download.stream_to_file(folder / f"{file_id}.jsonl")

        begun = time.perf_counter()
        await asyncio.gather(*(get(batch_id) for batch_id in ids))
        return time.perf_counter() - begun


def items_page(folder: Path) -> list[Finding]:
    """The Items page over a million fetched results, once indexed, against a thousand."""
    with contextlib.ExitStack() as stack:
        small, large = (
            stack.enter_context(Terminal(dashboard(_fetched_store(folder, number)), bare()))
            for number in (FEW_LINES, MANY_LINES)
        )
        for terminal in (small, large):
            terminal.until(*CHROME, b"batch-00000")
            terminal.settle(2.0)
            terminal.press(ENTER, quiet=1.0)
            terminal.until(b"request-1", timeout=120.0)  # the first time it is indexed
            terminal.press(b"\x1b", quiet=1.0)
        findings = [compare_keys("opens", ENTER, b"\x1b", small, large, quiet=0.3)]
        for terminal in (small, large):
            terminal.press(ENTER, quiet=0.5)
            terminal.settle(1.0)
        findings.append(compare_keys("cursor-down", DOWN, HOME, small, large))
        return [
            Finding(f"Items page, 1,000,000 fetched lines: {each.what}", "1,000 lines", "≤ 1.2", each.got)
            for each in findings
        ]


def _fetched_store(folder: Path, number: int) -> Path:
    """A store with one batch whose results, so many, were fetched; made once."""
    place = folder / f"{number} fetched results"
    path = place / "bench.db"
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        with emulator(1, 0.0, "--requests", str(number)) as url:
            asyncio.run(_fetch_all(url, place))
        (place / "done").touch()
    for index in place.rglob(INDEX):
        index.unlink()
    return path


async def _fetch_all(url: str, folder: Path) -> None:
    async with account(url, folder, "openai") as (session, work, browser, name):
        await Sync(name, session, browser, work, full=True).run()
        rows = browser.page(Scope(), Sort(), None, 2)
        done = await fetch(rows, FetchRequest(folder, lambda: Browser(folder / "bench.db"), work))
        assert [each.result for each in done] == [ActionResult.DONE], done
