"""Cancel one job: the intent, one request, and the question when the answer leaves doubt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from jobdash.domain.decide import decide
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, ActionOutcome, ActionResult, Choices, Decision, Plan
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
from jobdash.operations.limiter import NotSent
from jobdash.operations.session import Cancel, Get
from jobdash.operations.work import Work
from jobdash.providers.base import RemoteJob
from jobdash.store.records import Intent, Precondition, Refusal

DEADLINE_MS = 5 * 60 * 1000
"""After this long a request has certainly ended, one way or the other."""
NO_ANSWER = "no answer: it may or may not be cancelled"


class End(Enum):
    """How the asking ended."""

    ACCEPTED = auto()
    """The provider stops it, or has."""
    FINISHED = auto()
    """It had finished already."""
    REFUSED = auto()
    """Certainly not applied."""
    DOUBT = auto()
    """Nobody can tell."""
    CHANGED = auto()
    """The store says it does not accept a cancel any more; nothing was sent."""
    STOPPED = auto()
    """Stopped before it was sent."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking a provider to cancel one job."""

    end: End
    reason: str
    row: JobRow | None
    """The job afterwards, where it was read."""


class Changed(JobdashError):
    """The store refused the action at the moment of acting."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


async def cancel_job(decision: Decision, plan: Plan, work: Work) -> ActionOutcome:
    """Carry out a planned cancel of one job."""
    job = decision.job

    def accept(row: JobRow) -> str | None:
        again = decide(Action.CANCEL, row, work.situation(named=plan.scope is None), Choices())
        return None if again.acts else again.reason

    asked = await ask_cancel(job, work, accept, bulk=plan.bulk, reason=plan.choices.reason)
    after = asked.row.status if asked.row is not None else None
    result = {
        End.ACCEPTED: ActionResult.DONE,
        End.FINISHED: ActionResult.SKIPPED,
        End.CHANGED: ActionResult.SKIPPED,
        End.STOPPED: ActionResult.SKIPPED,
    }.get(asked.end, ActionResult.FAILED)
    return ActionOutcome(job, result, asked.reason, after, stopped=asked.end is End.STOPPED)


async def ask_cancel(
    job: JobRow, work: Work, accept: Precondition | None, *, bulk: str, reason: str | None = None
) -> Asked:
    """Ask a job's provider to cancel it, once, with an intent written right before the request."""
    intent: Intent | None = None
    asked_at = work.clock()

    async def before() -> None:
        nonlocal intent, asked_at
        asked_at = work.clock()  # now it is sent: what was answered to anybody before is older
        deadline = asked_at + DEADLINE_MS
        if intent is not None and await renewed(intent, deadline, work):
            return
        begun = await work.store.write(
            lambda writer: writer.begin_cancel(
                job.id, fence=job.fence, accept=accept, deadline=deadline, bulk=bulk, reason=reason
            )
        )
        if isinstance(begun, Refusal):
            raise Changed(begun)
        intent = begun

    assert job.remote_id is not None, "a plan lets no job without a remote id pass"
    try:
        answer = await work.caller(job).call(Cancel(job.remote_id), before=before, stop=work.stop)
    except NotSent:
        if intent is not None:  # it waited out a 429 and was stopped: certainly not applied
            await _withdraw(intent, "stopped", work)
        return Asked(End.STOPPED, "stopped", None)
    except Changed as error:
        return Asked(End.CHANGED, str(error), error.refusal.row)
    except ConfigError as error:
        return Asked(End.REFUSED, f"not sent: {error}", None)
    except ProviderError as error:
        if intent is None:
            return Asked(End.REFUSED, str(error), None)
        return await _after_error(job, intent, error, work)
    assert intent is not None
    return await _answered(intent, answer, asked_at, work)


async def renewed(intent: Intent, deadline: int, work: Work) -> bool:
    """Give an intent its time anew before its request goes out again; False when a rival has closed it."""
    return await work.store.write(lambda writer: writer.renew_intent(intent.id, deadline))


async def _answered(intent: Intent, answer: RemoteJob | None, asked_at: int, work: Work) -> Asked:
    status = answer.status if answer is not None else None
    finished = status in TERMINAL and status is not Status.CANCELLED
    try:
        row = await work.store.write(
            lambda writer: writer.close_cancel(
                intent.id, result="skipped" if finished else "done", remote=answer, asked_at=asked_at
            )
        )
    except StoreError as error:
        if finished:
            raise
        # The provider has said yes; the intent stays open, and a sync finds out and writes it.
        return Asked(End.ACCEPTED, f"cancel accepted, not yet written: {error}", None)
    if finished and status is not None:
        return Asked(End.FINISHED, f"already {LABELS[status]}", row)
    return Asked(End.ACCEPTED, "", row)


async def _after_error(job: JobRow, intent: Intent, error: ProviderError, work: Work) -> Asked:
    """Decide what an error means: certainly not applied, or a question."""
    told = said(error)
    unsent = isinstance(error, Unavailable) and not error.sent
    if unsent or isinstance(error, AuthRejected | QuotaExhausted | RateLimited):
        return Asked(End.REFUSED, told, await _withdraw(intent, told, work))
    assert job.remote_id is not None
    unclear = isinstance(error, Unavailable | BadResponse)
    asked_at = work.clock()
    try:
        remote = await work.caller(job).call(Get(job.remote_id))
    except NotFound:
        await work.store.write(lambda writer: writer.mark_not_found(job.id, asked_at))
        reason = "the provider knows no such batch (404)"
        return Asked(End.REFUSED, reason, await _withdraw(intent, reason, work))
    except (ProviderError, NotSent):
        if not unclear:
            return Asked(End.REFUSED, told, await _withdraw(intent, told, work))
        return await _doubt(intent, None, asked_at, work)
    if remote.status in TERMINAL or remote.status is Status.CANCELLING:
        return await _answered(intent, remote, asked_at, work)
    if unclear and not work.caller(job).capabilities.tells_cancelling:
        return await _doubt(intent, remote, asked_at, work)
    row = await work.store.write(
        lambda writer: writer.withdraw_cancel(intent.id, told, remote=remote, asked_at=asked_at)
    )
    return Asked(End.REFUSED, told, row)


async def _withdraw(intent: Intent, reason: str, work: Work) -> JobRow | None:
    return await work.store.write(lambda writer: writer.withdraw_cancel(intent.id, reason))


async def _doubt(intent: Intent, remote: RemoteJob | None, asked_at: int, work: Work) -> Asked:
    row = await work.store.write(
        lambda writer: writer.leave_cancelling(intent.id, NO_ANSWER, remote=remote, asked_at=asked_at)
    )
    return Asked(End.DOUBT, NO_ANSWER, row)


def said(error: ProviderError) -> str:
    """Return an error's sentence with the provider's own words, where it does not hold them already."""
    text = str(error)
    return f"{text}: {error.detail}" if error.detail and error.detail not in text else text
