"""Asking again for the error details of failed jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jobdash.domain.job import JobRow
from jobdash.domain.plan import Result
from jobdash.domain.status import LABELS, Status
from jobdash.errors import JobdashError, NotFound
from jobdash.operations.session import Get
from jobdash.operations.work import Work

AT_ONCE = 16
"""Questions under way at once; each account's own limiter admits fewer if it must."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What became of one job."""

    before: JobRow
    row: JobRow
    result: Result
    reason: str


async def refresh_errors(
    rows: Sequence[JobRow], work: Work, report: Callable[[Refreshed], None]
) -> list[Refreshed]:
    """Ask for each job once and keep what its provider says of its errors; one failure stops no other."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(row: JobRow) -> Refreshed:
        async with turns:
            try:
                done = await _refresh(row, work)
            except JobdashError as error:
                done = Refreshed(row, row, Result.FAILED, str(error))
        report(done)
        return done

    return list(await asyncio.gather(*(one(row) for row in rows)))


async def _refresh(row: JobRow, work: Work) -> Refreshed:
    if row.remote_status is not Status.FAILED:
        reason = f"its provider does not call it failed, but {LABELS[row.remote_status]}"
        return Refreshed(row, row, Result.SKIPPED, reason)
    if row.remote_id is None:
        return Refreshed(row, row, Result.SKIPPED, "it never reached its provider")
    if work.stop.is_set():
        return Refreshed(row, row, Result.SKIPPED, "stopped")
    try:
        remote = await work.caller(row).call(Get(row.remote_id), stop=work.stop)
    except NotFound:
        return Refreshed(row, row, Result.FAILED, "the provider knows no such batch (404)")
    after = await work.store.write(lambda writer: writer.set_errors(row.id, remote))
    told = f"{len(remote.errors)} errors" if len(remote.errors) != 1 else "1 error"
    return Refreshed(row, after, Result.DONE, after.error or told)
