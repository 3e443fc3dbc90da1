"""Cancel, force-fail, retry and remove one job that a script runs here, through the store alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from jobdash.domain.describe.job_text import WAITS, WAITS_FOR_WORKER, done_words, runner
from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionOutcome, ActionResult, Decision, Plan
from jobdash.domain.status import LABELS, TERMINAL, Status
from jobdash.domain.time import system_clock
from jobdash.errors import StoreError
from jobdash.operations.context import OperationContext
from jobdash.operations.job_lookup import Browser
from jobdash.operations.person import current_actor, is_elsewhere
from jobdash.operations.recheck import action_request, refused, stopped
from jobdash.operations.scripts.control import StartedScript, start_again, stop_process
from jobdash.operations.scripts.processes import log_file
from jobdash.store.location import StoreLocation
from jobdash.store.owner import owner_of
from jobdash.store.records import EndedLocally, Refusal
from jobdash.store.writer import Writer

_SCRIPT_ENDS, _WORKERS_END = "its script ends at its next item", "its workers end at their next item"
_START_POLLS, _START_POLL_S = 50, 0.1
"""A started script is polled for five seconds; one whose imports take longer is not waited for."""


@dataclass(frozen=True, slots=True)
class _CleanedUp:
    """What was deleted on this computer, and what was not, with reasons."""

    deleted: int = 0
    kept: tuple[str, ...] = ()


async def cancel_local(decision: Decision, plan: Plan, work: OperationContext) -> ActionOutcome:
    """Cancel: the worker is asked to stop, a job without one is cancelled at once."""
    job = decision.job
    row = await work.store.write(Writer.cancel_local, action_request(decision.job, plan, work))
    if isinstance(row, Refusal):
        return refused(job, row)
    if row.status is Status.CANCELLING:
        note = "items under way finish"
    else:
        note = "no process ran it" if job.status is Status.PENDING else f"{runner(job)} not heard of"
    return ActionOutcome(job, ActionResult.DONE, f"{note}; {done_words(row)}", row.status)


async def force_fail_local(decision: Decision, plan: Plan, work: OperationContext) -> ActionOutcome:
    """Carry out a planned force-fail; whatever the worker still writes is refused."""
    job = decision.job
    ended = await work.store.write(Writer.force_fail_local, action_request(decision.job, plan, work))
    if isinstance(ended, Refusal):
        return refused(job, ended)
    note = [f"failed here; {done_words(ended.row)}"]
    if plan.choices.stop_process:
        note.append(await _stop(ended, plan, work))
    elif job.lease_until is not None and job.lease_until >= work.clock():
        note.append(_WORKERS_END if job.function else _SCRIPT_ENDS)
    return ActionOutcome(job, ActionResult.DONE, "; ".join(note), ended.row.status)


async def remove_local(decision: Decision, plan: Plan, work: OperationContext) -> ActionOutcome:
    """Carry out a planned removal: files on this computer if that was chosen, then the record."""
    job, choices = decision.job, plan.choices
    request, cleaned = action_request(decision.job, plan, work), _CleanedUp()
    if choices.local_files:
        # Deleting cannot be undone, so the job is checked before that as well.
        row = await work.store.write(Writer.recheck, request)
        if isinstance(row, Refusal):
            return refused(job, row)
        cleaned = await _clean_up(job, work)
    hides = choices.record and (choices.force or not cleaned.kept)
    note = _clean_up_text(cleaned, "record removed" if hides else "record kept", files=choices.local_files)
    if not hides:
        return ActionOutcome(
            job, ActionResult.FAILED if cleaned.kept else ActionResult.DONE, note, job.status
        )
    ended = await work.store.write(Writer.remove_local, request, detail=note)
    if isinstance(ended, Refusal):
        return refused(job, ended)
    if choices.stop_process and job.unfinished:
        note += "; " + await _stop(ended, plan, work)
    return ActionOutcome(
        job, ActionResult.FAILED if cleaned.kept else ActionResult.DONE, note, ended.row.status
    )


async def _stop(ended: EndedLocally, plan: Plan, work: OperationContext) -> str:
    """End the process of a job that was taken from it; return its end in words, which the log keeps, too."""
    note = await stop_process(ended.owner, host=ended.host, grace_s=work.grace_s, stop=work.stop)
    with suppress(StoreError):  # what was done to the process is done all the same
        await work.store.write(Writer.log_process_end, ended.row.id, note, bulk=plan.bulk)
    return note


async def retry_local(decision: Decision, plan: Plan, work: OperationContext) -> ActionOutcome:
    """Carry out a planned retry: pending with the items that are left, and started again if that is meant."""
    job, request = decision.job, action_request(decision.job, plan, work)
    while True:
        if work.stop.is_set():
            return stopped(job)
        retried = await work.store.write(
            Writer.retry_local, request, only=plan.choices.only, starting=plan.choices.restart
        )
        if isinstance(retried, Refusal):
            return refused(job, retried)
        if not retried.more:
            break
        # One check is enough: the fence ensures that it has not changed.
        request = replace(request, fence=retried.row.fence, accept=None)
    note = left_words(retried.row)
    if not plan.choices.restart:
        return ActionOutcome(
            job,
            ActionResult.DONE,
            f"{note}; {WAITS_FOR_WORKER if job.function else WAITS}",
            retried.row.status,
        )
    started = await start_again(retried, work.store.location)
    owner = None if started.pid is None else owner_of(started.pid)
    how = f"pid {started.pid}, output in {started.log_file}" if owner else f"not started: {started.error}"
    await work.store.write(Writer.set_started, job.id, fence=retried.row.fence, owner=owner, detail=how)
    if started.error is not None:
        reason = f"{note}; not started: {started.error}; it waits for its script"
        return ActionOutcome(job, ActionResult.FAILED, reason, retried.row.status)
    status, code = await _taken_up(job.id, started, work)
    if status is Status.PENDING and code is not None:
        ended = f"its script ended with exit code {code} before it began; see {started.log_file}"
        await work.store.write(Writer.set_started, job.id, fence=retried.row.fence, owner=None, detail=ended)
        reason = f"{note}; its script ended with exit code {code} before it began; see {started.log_file}"
        return ActionOutcome(job, ActionResult.FAILED, reason, status)
    begun = f"started as pid {started.pid}"
    how = f"{begun} and {LABELS[status]} since" if status in TERMINAL else f"{note}; {begun}"
    return ActionOutcome(job, ActionResult.DONE, f"{how}, its output is in {started.log_file}", status)


async def _taken_up(job_id: int, started: StartedScript, work: OperationContext) -> tuple[Status, int | None]:
    """Wait until a started script claims its job; return the job's status, and an exit code if it ended."""
    for _ in range(_START_POLLS):
        # In this order: a script that takes the job up and is done with it at once did not fail.
        code = started.exit_code()
        status = await work.store.write(Writer.status, job_id)
        if status is not Status.PENDING or code is not None:
            break
        await asyncio.sleep(_START_POLL_S)
    return status, code


def close_abandoned(location: StoreLocation, browser: Browser, face: str) -> list[JobRow]:
    """End, as cancelled, the jobs that are asked to stop and whose worker is gone; return them.

    For commands, before they look at jobs; a dashboard has its store worker call
    `Writer.close_abandoned_cancels` now and then. Raises StoreError when the store cannot be written.
    """
    if not browser.abandoned_cancels():
        return []
    with Writer(location, system_clock, current_actor(face)) as writer:
        return writer.close_abandoned_cancels()


def left_words(row: JobRow) -> str:
    """Return what a retried job has left: ``62 of 100 left``."""
    if row.total is None or row.remaining is None:
        return f"{row.done or 0:,} done stay"
    return f"{row.remaining:,} of {row.total:,} left"


async def _clean_up(job: JobRow, work: OperationContext) -> _CleanedUp:
    """Delete the fetched files of a job, and the logs that jobdash itself had its script write."""
    files = await work.store.write(Writer.local_files, job.id)
    host = await work.store.write(Writer.files_host, job.id)
    if files and is_elsewhere(host):
        kept = tuple(f"{file} (on {host})" for file in files.values())
        await work.store.write(Writer.set_left_behind, job.id, f"{', '.join(kept)} not deleted")
        return _CleanedUp(0, kept)
    folder = log_file(work.store.path, job.public_id, 1).parent
    # By their names: one that a run of this job wrote to may be another job's, whose script runs both.
    ours = await asyncio.to_thread(lambda: [str(log) for log in folder.glob(f"{job.public_id}-*.log")])
    wrong = await asyncio.to_thread(_delete, [*files.values(), *ours])
    left = {role: file for role, file in files.items() if file in wrong}
    kept = tuple(f"{file} ({reason})" for file, reason in wrong.items())
    behind = f"{', '.join(kept)} not deleted" if kept else None
    await work.store.write(Writer.set_local_files, job.id, left)
    await work.store.write(Writer.set_left_behind, job.id, behind)
    return _CleanedUp(len(files) + len(ours) - len(kept), kept)


def _delete(files: Iterable[str]) -> dict[str, str]:
    """Delete files; return those that are still there, each with the reason."""
    wrong: dict[str, str] = {}
    for file in files:
        try:
            Path(file).unlink(missing_ok=True)
        except OSError as error:
            wrong[file] = error.strerror or str(error)
    return wrong


def _clean_up_text(cleaned: _CleanedUp, record: str, *, files: bool) -> str:
    parts = [record]
    if files and not cleaned.kept and not cleaned.deleted:
        parts.append("no fetched files here")
    if cleaned.deleted:
        parts.append(f"deleted {cleaned.deleted:,} file{'' if cleaned.deleted == 1 else 's'} here")
    if cleaned.kept:
        parts.append(f"not deleted: {', '.join(cleaned.kept)}")
    return "; ".join(parts)
