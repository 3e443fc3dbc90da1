"""Fetching the results of jobs, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionResult
from jobdash.operations.backends.base import FetchedResults, FetchRequest
from jobdash.operations.backends.registry import backend_of
from jobdash.operations.rate_limiter import CancelToken


async def fetch(
    rows: Iterable[JobRow],
    request: FetchRequest,
    report: Callable[[FetchedResults], None] = lambda _one: None,
    stop: CancelToken | None = None,
) -> list[FetchedResults]:
    """Write the results of jobs into files; ``report`` is called with each as it is done.

    An unfinished job is refused unless partial results are asked for; one failure never stops the rest.
    """
    fetched: list[FetchedResults] = []
    for row in rows:
        if stop is not None and stop.is_set():
            done = FetchedResults(row, ActionResult.SKIPPED, "stopped")
        else:
            done = await backend_of(row).fetch(row, request)
        fetched.append(done)
        report(done)
    return fetched
