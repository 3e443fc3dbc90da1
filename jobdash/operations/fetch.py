"""Fetching the results of jobs, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import closing, nullcontext, suppress
from dataclasses import replace

from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionResult
from jobdash.errors import StoreError
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.backends.registry import backend_of
from jobdash.operations.job_lookup import SharedBrowser
from jobdash.operations.pricing import price_stale
from jobdash.operations.results.fetch_request import FetchedResults, FetchRequest

_AT_ONCE = 32
"""Jobs that are fetched side by side; their requests wait for each other in their account's rate limiter."""
_LARGE, _LARGE_AT_ONCE = 10_000, 8
"""From so many requests on a batch is large; of those eight are fetched at once: their keys are in memory."""


async def fetch(
    rows: Iterable[JobRow],
    request: FetchRequest,
    report: Callable[[FetchedResults], None] = lambda _one: None,
    stop: CancelToken | None = None,
) -> list[FetchedResults]:
    """Write the results of jobs into files; ``report`` is called with each, in the order of the jobs.

    An unfinished job is refused unless partial results are asked for; one failure never stops the rest.
    """
    shared = SharedBrowser(request.open_browser)
    request = replace(request, shared=shared)
    # Of one family each would fetch all members, and find their folders in use by the others.
    places = asyncio.Semaphore(1 if request.merged else _AT_ONCE)
    large = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def fetch_one(row: JobRow) -> FetchedResults:
        async with places, large if _is_large(row) else nullcontext():
            if stop is not None and stop.is_set():
                return FetchedResults(row, ActionResult.SKIPPED, "stopped")
            return await backend_of(row).fetch(row, request)

    under_way = [asyncio.create_task(fetch_one(row)) for row in rows]
    fetched: list[FetchedResults] = []
    try:
        for each in under_way:
            done = await each
            fetched.append(done)
            report(done)
    finally:
        for each in under_way:
            each.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        shared.close()
    if request.record and any(each.counts is not None for each in fetched):
        with suppress(StoreError):  # the results are here; the next sync writes their price
            await _price(request)
    return fetched


def _is_large(row: JobRow) -> bool:
    return row.remote_id is not None and (row.total is None or row.total >= _LARGE)


async def _price(request: FetchRequest) -> None:
    """Write what batches cost whose tokens are known from their results."""
    with closing(request.open_browser()) as browser:
        await price_stale(browser, request.work.store, request.work.prices)
