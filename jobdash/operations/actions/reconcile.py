"""Reconciliation of intents whose process died between the request and its answer."""

from __future__ import annotations

from dataclasses import dataclass

from jobdash.domain.describe.result_text import batches
from jobdash.domain.job import JobRow
from jobdash.domain.status import TERMINAL, Status
from jobdash.domain.text import clean, quantity
from jobdash.domain.time import MINUTE
from jobdash.errors import NotFound, ProviderError
from jobdash.operations.accounts.session import GetBatch, NotSent
from jobdash.operations.actions.cancel import DEADLINE_MS
from jobdash.operations.context import AccountClient, OperationContext
from jobdash.store.commands.cancel import CancelResult
from jobdash.store.reader import Reader
from jobdash.store.records import Intent, IntentKind
from jobdash.store.writer import Writer

LISTING_LAG_MS = 10 * MINUTE
"""A submit that no list shows this long after its process was found dead is unconfirmed."""
NOT_APPLIED = "its cancel got no answer, and the provider still runs it: not cancelled; press c again"
_CLOSED_FOR_MS = DEADLINE_MS + MINUTE
"""So long after it was asked for, a cancel has been applied or never will be."""
_BACK = "its submit was interrupted before its batch was created: queued here again"
_BY_TIME = "submit got no answer; the batch was found by its time and its number of requests"
_NAMED = 3
"""How many batches are named that a submit may have made."""
INTERRUPTED = "cancel was interrupted, not confirmed; press c again"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """One intent brought to its end; ``notice`` is for a person."""

    row: JobRow | None
    notice: str


async def reconcile(
    account: str, caller: AccountClient, reader: Reader, work: OperationContext, *, listed: bool = True
) -> list[Reconciled]:
    """End the intents of an account whose process is dead.

    Asks for the state; never sends a cancel, a delete or a submit again. Run by the poller of the account,
    after its list was read: a submit is found there by its key. Where that failed (not ``listed``), one
    without a key waits for the next sync.
    """
    ended: list[Reconciled] = []
    for intent in reader.open_intents(account):
        if intent.kind is IntentKind.REMOVE or not intent.abandoned(work.clock()):
            continue
        if _elsewhere(intent, caller, reader):  # this server knows nothing of it
            continue
        deadline = work.clock() + DEADLINE_MS
        if intent.kind is IntentKind.SUBMIT:
            done = await _submit(intent, caller, reader, work, listed=listed)
        elif not await work.store.write(Writer.take_over, intent, deadline):
            continue
        elif intent.kind is IntentKind.CANCEL:
            done = await _cancel(intent, caller, reader, work)
        else:
            await work.store.write(Writer.close_intent, intent.id, "interrupted")
            done = None
        if done is not None:
            ended.append(done)
    return ended


async def withdraw_unanswered(
    account: str, caller: AccountClient, work: OperationContext
) -> list[Reconciled]:
    """Withdraw the cancels without an answer of jobs that were seen running long after the request."""
    origin = caller.origin
    rows = await work.store.write(Writer.withdraw_unanswered, account, origin, NOT_APPLIED, _CLOSED_FOR_MS)
    return [Reconciled(row, NOT_APPLIED) for row in rows]


def _elsewhere(intent: Intent, caller: AccountClient, reader: Reader) -> bool:
    """Whether an intent is about a job at another server than the account's."""
    row = reader.rows([intent.job_id]).get(intent.job_id)
    return row is not None and row.origin != caller.origin


async def _submit(
    intent: Intent, caller: AccountClient, reader: Reader, work: OperationContext, *, listed: bool
) -> Reconciled | None:
    row = reader.rows([intent.job_id]).get(intent.job_id) if intent.job_id is not None else None
    if row is None or row.remote_id is not None:
        await work.store.write(Writer.close_intent, intent.id, "found by its key")
        return Reconciled(row, "submit was interrupted; the batch was found by its key") if row else None
    back = await work.store.write(Writer.return_interrupted, intent, _BACK)
    if back is not None:
        return Reconciled(back, _BACK)
    doubt = ""
    if not caller.capabilities.carries_key:
        if not listed:  # an unconfirmed submit is not searched for again
            return None
        try:
            found = await find_keyless(intent, caller, work)
        except (ProviderError, NotSent):
            return None
        if isinstance(found, Reconciled):
            return found
        doubt = found
    now = work.clock()
    if now < intent.deadline:
        # Its process is dead: whatever it sent, perhaps after a long upload, went out before now.
        await work.store.write(Writer.set_listing_deadline, intent.id, now + LISTING_LAG_MS)
        return None
    reason = doubt or (
        "its submit was interrupted, and no list shows it: it may or may not exist at the provider"
    )
    left = await work.store.write(Writer.leave_unconfirmed, intent.id, reason)
    return Reconciled(left, reason)


async def find_keyless(
    intent: Intent, caller: AccountClient, work: OperationContext, *, action: str = "reconcile"
) -> Reconciled | str:
    """End a submit whose provider keeps no key, if one batch alone can be its own; never by a guess.

    Else return why not; empty where there is none that could be. Raises ProviderError and NotSent where the
    one batch cannot be asked for now.
    """
    candidates, rivals = await work.store.write(Writer.batches_like, intent)
    if not candidates:
        return ""
    if len(candidates) > 1 or rivals:
        names = ", ".join(clean(each, 60) for each in candidates[:_NAMED])
        others = f", and {quantity(rivals, 'other submit')} got no answer" if rivals else ""
        return (
            f"which batch is its own is not known: {batches(len(candidates))} of as many requests began "
            f"then ({names}){others}"
        )
    asked_at = work.clock()
    try:
        remote = await caller.call(GetBatch(candidates[0]))
    except NotFound as error:
        return f"its batch may be {clean(candidates[0], 60)}, which the provider does not know: {error}"
    row = await work.store.write(Writer.close_submit, intent.id, remote, asked_at, action=action)
    return Reconciled(row, _BY_TIME)


async def _cancel(
    intent: Intent, caller: AccountClient, reader: Reader, work: OperationContext
) -> Reconciled | None:
    row = reader.rows([intent.job_id]).get(intent.job_id) if intent.job_id is not None else None
    if row is None or row.remote_id is None:
        await work.store.write(Writer.close_intent, intent.id, "no job")
        return None
    asked_at = work.clock()
    try:
        remote = await caller.call(GetBatch(row.remote_id))
    except NotFound:
        reason = "the provider knows no such batch (404)"
        left = await work.store.write(
            Writer.close_cancel, intent.id, CancelResult.WITHDRAWN, reason, action="reconcile"
        )
        return Reconciled(left, reason)
    except ProviderError:
        left = await work.store.write(
            Writer.close_cancel, intent.id, CancelResult.NO_ANSWER, INTERRUPTED, action="reconcile"
        )
        return Reconciled(left, INTERRUPTED)
    if remote.status in TERMINAL or remote.status is Status.CANCELLING:
        closed = await work.store.write(
            Writer.close_cancel, intent.id, remote=remote, asked_at=asked_at, action="reconcile"
        )
        return Reconciled(closed, "") if closed else None
    certain = caller.capabilities.reports_cancelling
    left = await work.store.write(
        Writer.close_cancel,
        intent.id,
        CancelResult.WITHDRAWN if certain else CancelResult.NO_ANSWER,
        INTERRUPTED,
        remote=remote,
        asked_at=asked_at,
        action="reconcile",
    )
    return Reconciled(left, INTERRUPTED)
