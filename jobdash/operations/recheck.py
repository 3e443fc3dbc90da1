"""The check of a planned job at the moment of acting, and the outcomes of jobs to which nothing is done."""

from __future__ import annotations

from dataclasses import replace

from jobdash.domain.backends.registry import decide
from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionOutcome, ActionResult, Plan
from jobdash.operations.context import OperationContext
from jobdash.store.records import ActionRequest, Refusal


def action_request(job: JobRow, plan: Plan, work: OperationContext) -> ActionRequest:
    """Return what a plan does to one job; the store refuses it when the job does not accept it any more."""

    def accept(row: JobRow) -> str | None:
        here = replace(work.situation(named=plan.scope is None), dead=plan.dead)
        again = decide(plan.action, row, here, plan.choices)
        return None if again.acts else again.reason

    return ActionRequest(job.id, job.fence, accept, plan.choices.reason, plan.bulk)


def checked_request(job: JobRow, plan: Plan) -> ActionRequest:
    """Return the same for a job that was checked just now: its fence is enough."""
    return ActionRequest(job.id, job.fence, None, plan.choices.reason, plan.bulk)


def refused(job: JobRow, refusal: Refusal) -> ActionOutcome:
    """Return the outcome of a job that is not what was planned for any more."""
    after = None if refusal.row is None else refusal.row.status
    return ActionOutcome(job, ActionResult.SKIPPED, refusal.reason, after)


def stopped(job: JobRow) -> ActionOutcome:
    """Return the outcome of a job whose turn did not come."""
    return ActionOutcome(job, ActionResult.SKIPPED, "stopped", stopped=True)
