"""Asking for the error details of jobs: why they failed, or why requests of theirs did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from jobdash.domain.backends.registry import rules_of
from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionResult
from jobdash.domain.remote_job import FailedRequest, RemoteJob
from jobdash.domain.status import Status
from jobdash.errors import JobdashError, NotFound, ProviderError
from jobdash.operations.accounts.session import GetBatch, GetErrors
from jobdash.operations.context import OperationContext
from jobdash.store.commands.errors import MOST_FAILED
from jobdash.store.writer import Writer

AT_ONCE = 16
"""Requests under way at once; the limiter of an account may admit fewer."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The outcome of one job."""

    before: JobRow
    row: JobRow
    result: ActionResult
    reason: str


async def refresh_errors(
    rows: Sequence[JobRow], work: OperationContext, report: Callable[[Refreshed], None]
) -> list[Refreshed]:
    """Ask for each job once and store its errors as its provider reports them; one failure stops no other.

    Of failed requests the keys are kept, too, so that a person finds out which ones they were.
    """
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(row: JobRow) -> Refreshed:
        async with turns:
            try:
                done = await _refresh(row, work)
            except JobdashError as error:
                done = Refreshed(row, row, ActionResult.FAILED, str(error))
        report(done)
        return done

    return list(await asyncio.gather(*(one(row) for row in rows)))


async def _refresh(row: JobRow, work: OperationContext) -> Refreshed:
    refusal = rules_of(row).error_refusal(row)
    if refusal is not None or row.remote_id is None:
        return Refreshed(row, row, ActionResult.SKIPPED, refusal or "")
    if work.stop.is_set():
        return Refreshed(row, row, ActionResult.SKIPPED, "stopped")
    try:
        remote, failed = await _with_failed(row.remote_id, row, work)
    except NotFound:
        return await _withheld(row, "the provider keeps it no more (404)", work)
    except ProviderError as error:
        return await _withheld(row, error.full_text, work)
    complete = failed is None or len(failed) <= MOST_FAILED
    after = await work.store.write(Writer.set_errors, row.id, remote, failed, complete=complete)
    number = len(remote.errors) + min(len(failed or ()), MOST_FAILED)
    summary = f"{number:,} errors" if number != 1 else "1 error"
    if not complete:
        summary = f"the first {MOST_FAILED:,} failed requests; there are more"
    why = after.error if row.remote_status is Status.FAILED else None
    return Refreshed(row, after, ActionResult.DONE, why or summary)


async def _withheld(row: JobRow, reason: str, work: OperationContext) -> Refreshed:
    after = await work.store.write(Writer.log_errors_unavailable, row.id, reason)
    return Refreshed(row, after, ActionResult.FAILED, reason)


async def _with_failed(
    remote_id: str, row: JobRow, work: OperationContext
) -> tuple[RemoteJob, tuple[FailedRequest, ...] | None]:
    """Return a batch with its own errors, and its failed requests; None where it certainly has none."""
    caller = work.caller(row)
    remote = await caller.call(GetBatch(remote_id), stop=work.stop)
    # Where errors have a file of their own, the results need not be read to find them.
    files = {role: file_id for role, file_id in remote.files.items() if role == "error"}
    if not (files or remote.failed or (remote.failed is None and "output" in remote.files)):
        return remote, None
    asked = GetErrors(replace(remote, files=files or remote.files), MOST_FAILED + 1)
    return remote, await caller.call(asked, stop=work.stop)
