"""Force-fail one job: failed here at once, then a cancel at the provider where possible."""

from __future__ import annotations

from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionOutcome, ActionResult, Decision, Plan
from jobdash.domain.status import TERMINAL
from jobdash.operations.actions.cancel import CancelAttempt, CancelEnd, ask_cancel
from jobdash.operations.context import OperationContext
from jobdash.operations.recheck import action_request, checked_request, refused
from jobdash.store.records import Refusal
from jobdash.store.writer import Writer

_STILL = "it may still run and be billed"


async def force_fail_job(decision: Decision, plan: Plan, work: OperationContext) -> ActionOutcome:
    """Force-fail one job; the outcome describes it here and at the provider."""
    job = decision.job
    failed = await work.store.write(Writer.force_fail, action_request(job, plan, work))
    if isinstance(failed, Refusal):
        return refused(job, failed)
    answer = await cancel_at_provider(failed, plan, work)
    return ActionOutcome(job, ActionResult.DONE, f"failed here; provider: {answer}", failed.status)


async def cancel_at_provider(row: JobRow, plan: Plan, work: OperationContext) -> str:
    """Ask for a cancel as far as that goes; return what came of it."""
    if row.queued_here:
        return "never sent"
    if row.remote_id is None:
        return "nothing to cancel, its submit is not confirmed"
    if row.gone_at is not None:
        return "does not know it any more"
    if row.remote_status in TERMINAL:
        return f"already {row.remote_status}"
    if row.cancel_requested_at is not None and not row.cancel_doubt:
        return "a cancel was asked before"
    asked = await ask_cancel(row, checked_request(row, plan), work)
    return _words(asked)


def _words(asked: CancelAttempt) -> str:
    if asked.end is CancelEnd.ACCEPTED:
        return "cancel accepted"
    if asked.end is CancelEnd.FINISHED:
        return asked.reason
    if asked.end is CancelEnd.DOUBT:
        return f"no answer: {_STILL}"
    if asked.end is CancelEnd.STOPPED:
        return f"not asked: {_STILL}"
    return f"{asked.reason}; {_STILL}"
