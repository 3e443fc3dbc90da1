"""Asking for the error details of jobs: why they failed, or why requests of theirs did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from jobdash.domain.job import JobRow
from jobdash.domain.plan import Result
from jobdash.domain.status import LABELS, TERMINAL, Status
from jobdash.errors import JobdashError, NotFound
from jobdash.operations.session import Errors, Get
from jobdash.operations.work import Work
from jobdash.providers.base import RemoteJob

ERRORS_MOST = 1_000
"""Errors read of one job: what they say repeats itself."""
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
    if row.local:
        reason = f"its errors are kept with its items: jobdash show {row.public_id} --items"
        return Refreshed(row, row, Result.SKIPPED, reason)
    if row.remote_status not in TERMINAL:
        reason = f"still {LABELS[row.remote_status]}; its provider tells errors when it has ended"
        return Refreshed(row, row, Result.SKIPPED, reason)
    if row.remote_status is not Status.FAILED and not row.failed:
        return Refreshed(row, row, Result.SKIPPED, "no request of it failed")
    if row.remote_id is None:
        return Refreshed(row, row, Result.SKIPPED, "it never reached its provider")
    if work.stop.is_set():
        return Refreshed(row, row, Result.SKIPPED, "stopped")
    try:
        remote = await _with_errors(row.remote_id, row, work)
    except NotFound:
        return Refreshed(row, row, Result.FAILED, "the provider keeps it no more (404)")
    after = await work.store.write(lambda writer: writer.set_errors(row.id, remote))
    told = f"{len(remote.errors):,} errors" if len(remote.errors) != 1 else "1 error"
    why = after.error if row.remote_status is Status.FAILED else None
    return Refreshed(row, after, Result.DONE, why or told)


async def _with_errors(remote_id: str, row: JobRow, work: Work) -> RemoteJob:
    """Return a batch with its errors: those of the batch itself, else those of its failed requests."""
    caller = work.caller(row)
    remote = await caller.call(Get(remote_id), stop=work.stop)
    if remote.errors or not remote.failed:
        return remote
    # Where errors have a file of their own, the results need not be read to find them.
    files = {role: file_id for role, file_id in remote.files.items() if role == "error"} or remote.files
    errors = await caller.call(Errors(replace(remote, files=files), ERRORS_MOST), stop=work.stop)
    return replace(remote, errors=errors)
