"""Cancel one job: write the intent, send one request, and ask for the batch where the answer leaves doubt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionOutcome, ActionResult, Decision, Plan
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import LABELS, TERMINAL, Status
from jobdash.errors import (
    AuthRejected,
    BadResponse,
    ConfigError,
    JobdashError,
    NotFound,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    StoreError,
    Unavailable,
)
from jobdash.operations.accounts.rate_limiter import NotSent
from jobdash.operations.accounts.session import CancelBatch, GetBatch
from jobdash.operations.context import OperationContext
from jobdash.operations.recheck import action_request, refused
from jobdash.store.commands.cancel import CancelResult
from jobdash.store.commands.queue import NEVER_SENT
from jobdash.store.records import ActionRequest, Intent, Refusal
from jobdash.store.writer import Writer

DEADLINE_MS = 5 * 60 * 1000
"""After this long a request has certainly ended, one way or the other."""
NO_ANSWER = "no answer: it may or may not be cancelled"


class CancelEnd(Enum):
    """The result of a cancel request."""

    ACCEPTED = auto()
    """The provider stops it, or has."""
    FINISHED = auto()
    """It had finished already."""
    REFUSED = auto()
    """Certainly not applied."""
    DOUBT = auto()
    """Unknown: the answer was lost."""
    CHANGED = auto()
    """The job in the store accepts no cancel any more; nothing was sent."""
    STOPPED = auto()
    """Stopped before it was sent."""


@dataclass(frozen=True, slots=True)
class CancelAttempt:
    """The outcome of a cancel request for one job."""

    end: CancelEnd
    reason: str
    row: JobRow | None
    """The job afterwards, where it was read."""


class JobChanged(JobdashError):
    """The store refused the action at the moment of acting."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


async def cancel_job(decision: Decision, plan: Plan, work: OperationContext) -> ActionOutcome:
    """Carry out a planned cancel of one job."""
    job, request = decision.job, action_request(decision.job, plan, work)
    if job.queued_here:
        ended = await work.store.write(Writer.cancel_queued, request)
        if isinstance(ended, Refusal):
            return refused(job, ended)
        return ActionOutcome(job, ActionResult.DONE, NEVER_SENT, ended.status)
    asked = await ask_cancel(job, request, work)
    after = asked.row.status if asked.row is not None else None
    result = {
        CancelEnd.ACCEPTED: ActionResult.DONE,
        CancelEnd.FINISHED: ActionResult.SKIPPED,
        CancelEnd.CHANGED: ActionResult.SKIPPED,
        CancelEnd.STOPPED: ActionResult.SKIPPED,
    }.get(asked.end, ActionResult.FAILED)
    return ActionOutcome(job, result, asked.reason, after, stopped=asked.end is CancelEnd.STOPPED)


async def ask_cancel(job: JobRow, request: ActionRequest, work: OperationContext) -> CancelAttempt:
    """Ask a job's provider to cancel it, once, with an intent written right before the request."""
    intent: Intent | None = None
    asked_at = work.clock()

    async def before() -> None:
        nonlocal intent, asked_at
        asked_at = work.clock()  # now it is sent: any answer before is older
        deadline = asked_at + DEADLINE_MS
        if intent is not None and await renew_intent(intent, deadline, work):
            return
        begun = await work.store.write(Writer.begin_cancel, request, deadline=deadline)
        if isinstance(begun, Refusal):
            raise JobChanged(begun)
        intent = begun

    assert job.remote_id is not None, "a plan lets no job without a remote id pass"
    try:
        answer = await work.caller(job).call(CancelBatch(job.remote_id), before=before, stop=work.stop)
    except NotSent:
        if intent is not None:  # it waited out a 429 and was stopped: certainly not applied
            await _withdraw(intent, "stopped", work)
        return CancelAttempt(CancelEnd.STOPPED, "stopped", None)
    except JobChanged as error:
        return CancelAttempt(CancelEnd.CHANGED, str(error), error.refusal.row)
    except ConfigError as error:
        return CancelAttempt(CancelEnd.REFUSED, f"not sent: {error}", None)
    except ProviderError as error:
        if intent is None:
            return CancelAttempt(CancelEnd.REFUSED, str(error), None)
        return await _after_error(job, intent, error, work)
    assert intent is not None
    return await _answered(intent, answer, asked_at, work)


async def renew_intent(intent: Intent, deadline: int, work: OperationContext) -> bool:
    """Extend an intent's deadline before its request is sent again; False when another process closed it."""
    return await work.store.write(Writer.renew_intent, intent.id, deadline)


async def _answered(
    intent: Intent, answer: RemoteJob | None, asked_at: int, work: OperationContext
) -> CancelAttempt:
    status = answer.status if answer is not None else None
    finished = status in TERMINAL and status is not Status.CANCELLED
    result = CancelResult.SKIPPED if finished else CancelResult.DONE
    try:
        row = await work.store.write(Writer.close_cancel, intent.id, result, remote=answer, asked_at=asked_at)
    except StoreError as error:
        if finished:
            raise
        # The provider has accepted; the intent stays open, and a sync records the outcome.
        return CancelAttempt(CancelEnd.ACCEPTED, f"cancel accepted, not yet written: {error}", None)
    if finished and status is not None:
        return CancelAttempt(CancelEnd.FINISHED, f"already {LABELS[status]}", row)
    return CancelAttempt(CancelEnd.ACCEPTED, "", row)


async def _after_error(
    job: JobRow, intent: Intent, error: ProviderError, work: OperationContext
) -> CancelAttempt:
    """Return the outcome of a cancel that failed; ask for the batch where it may have been applied."""
    reason = error.full_text
    unsent = isinstance(error, Unavailable) and not error.sent
    if unsent or isinstance(error, AuthRejected | QuotaExhausted | RateLimited):
        return CancelAttempt(CancelEnd.REFUSED, reason, await _withdraw(intent, reason, work))
    assert job.remote_id is not None
    unclear = isinstance(error, Unavailable | BadResponse)
    asked_at = work.clock()
    try:
        remote = await work.caller(job).call(GetBatch(job.remote_id))
    except NotFound:
        await work.store.write(Writer.mark_not_found, job.id, asked_at)
        reason = "the provider knows no such batch (404)"
        if await work.store.write(Writer.is_unseen_by_key, job.id):
            reason = f"not found (404) with the present key of {job.account}: it was seen with another one"
        return CancelAttempt(CancelEnd.REFUSED, reason, await _withdraw(intent, reason, work))
    except (ProviderError, NotSent):
        if not unclear:
            return CancelAttempt(CancelEnd.REFUSED, reason, await _withdraw(intent, reason, work))
        return await _doubt(intent, None, asked_at, work)
    if remote.status in TERMINAL or remote.status is Status.CANCELLING:
        return await _answered(intent, remote, asked_at, work)
    if unclear and not work.caller(job).capabilities.reports_cancelling:
        return await _doubt(intent, remote, asked_at, work)
    row = await work.store.write(
        Writer.close_cancel, intent.id, CancelResult.WITHDRAWN, reason, remote=remote, asked_at=asked_at
    )
    return CancelAttempt(CancelEnd.REFUSED, reason, row)


async def _withdraw(intent: Intent, reason: str, work: OperationContext) -> JobRow | None:
    return await work.store.write(Writer.close_cancel, intent.id, CancelResult.WITHDRAWN, reason)


async def _doubt(
    intent: Intent, remote: RemoteJob | None, asked_at: int, work: OperationContext
) -> CancelAttempt:
    row = await work.store.write(
        Writer.close_cancel, intent.id, CancelResult.NO_ANSWER, NO_ANSWER, remote=remote, asked_at=asked_at
    )
    return CancelAttempt(CancelEnd.DOUBT, NO_ANSWER, row)
