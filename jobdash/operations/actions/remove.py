"""Remove one job: its files and batch at the provider, then the record; or wait for a cancel first."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace

from jobdash.domain.job import BATCH, JobRow
from jobdash.domain.plan import ActionOutcome, ActionResult, Choices, Decision, Plan
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import LABELS, TERMINAL, Status
from jobdash.domain.text import quantity
from jobdash.errors import ConfigError, ExpiresByItself, InvalidRequest, JobdashError, NotFound, ProviderError
from jobdash.operations.accounts.rate_limiter import NotSent
from jobdash.operations.accounts.session import DeleteBatch, DeleteFile, GetBatch, Request
from jobdash.operations.actions.cancel import (
    DEADLINE_MS,
    NO_ANSWER,
    CancelEnd,
    JobChanged,
    ask_cancel,
    renew_intent,
)
from jobdash.operations.actions.force_fail import cancel_at_provider
from jobdash.operations.context import OperationContext
from jobdash.operations.recheck import action_request, checked_request, refused, stopped
from jobdash.operations.results.batch_files import delete_batch_files
from jobdash.store.records import ActionRequest, Intent, InUse, Refusal
from jobdash.store.writer import Writer

WAIT_MS = 15 * 60 * 1000
"""How long a removal waits for its cancel to be confirmed."""


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """What was deleted at the provider, and what was not, with reasons."""

    deleted: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    """What had been deleted before: the roles of files, and `BATCH`."""
    kept: tuple[str, ...] = ()
    expiring: tuple[str, ...] = ()
    """What no request can delete and what expires by itself, which is no failure."""
    here: int = 0
    """How many files were deleted on this computer."""
    refusal: Refusal | None = None
    """Why it went no further: the job was not what was planned for any more."""


class _FilesKept(JobdashError):
    """A file or a record could not be deleted; the message says why."""

    def __init__(self, reason: str, *, again: bool, expires: bool = False) -> None:
        super().__init__(reason)
        self.again = again
        """Whether a later attempt may succeed."""
        self.expires = expires
        """Whether it cannot be deleted and expires by itself."""


async def remove_job(decision: Decision, plan: Plan, work: OperationContext) -> ActionOutcome:
    """Carry out a planned removal of one job."""
    job, request = decision.job, action_request(decision.job, plan, work)
    if job.queued_here and job.unfinished:
        ended = await work.store.write(Writer.cancel_queued, request)
        if isinstance(ended, Refusal):
            return refused(job, ended)
        job, request = ended, replace(request, fence=ended.fence)
    elif job.unfinished and not job.gone and plan.choices.cancel_first:
        act = _cancel_and_remove if plan.choices.force else _cancel_first
        return await act(job, request, plan, work)
    return await _remove_now(job, request, plan.choices, work)


async def _cancel_and_remove(
    job: JobRow, request: ActionRequest, plan: Plan, work: OperationContext
) -> ActionOutcome:
    """Ask for a cancel where possible, then remove the job whatever the answer; the outcome has both."""
    row = await work.store.write(Writer.recheck, request)
    if isinstance(row, Refusal):
        return refused(job, row)
    summary = await cancel_at_provider(row, plan, work)
    outcome = await _remove_now(job, request, plan.choices, work)
    return outcome._replace(reason=f"{outcome.reason}; provider: {summary}")


async def _cancel_first(
    job: JobRow, request: ActionRequest, plan: Plan, work: OperationContext
) -> ActionOutcome:
    """Write that the removal waits, then ask for the cancel; whichever sync sees it confirmed goes on."""
    choices, deadline = asdict(plan.choices), work.clock() + WAIT_MS
    begun = await work.store.write(Writer.begin_waiting_removal, request, choices=choices, deadline=deadline)
    if isinstance(begun, Refusal):
        return refused(job, begun)
    if job.status is Status.CANCELLING and not job.cancel_doubt:
        return ActionOutcome(job, ActionResult.DONE, "removed when the cancel is confirmed", job.status)
    asked = await ask_cancel(job, checked_request(job, plan), work)
    ended = asked.row is not None and asked.row.terminal
    if asked.end in {CancelEnd.ACCEPTED, CancelEnd.DOUBT} and not ended:
        after = asked.row.status if asked.row else Status.CANCELLING
        if asked.end is CancelEnd.DOUBT:
            return ActionOutcome(
                job, ActionResult.FAILED, f"{asked.reason}; removed if it turns out so", after
            )
        return ActionOutcome(job, ActionResult.DONE, "cancel asked; removed when it is confirmed", after)
    if asked.row is not None and ended:
        return await finish_waiting(begun, asked.row, work, planned=job)
    reason = asked.reason or NO_ANSWER
    await work.store.write(Writer.end_waiting_removal, begun.id, reason)
    stopped = asked.end is CancelEnd.STOPPED
    result = ActionResult.SKIPPED if stopped else ActionResult.FAILED
    return ActionOutcome(job, result, reason, asked.row.status if asked.row else job.status, stopped=stopped)


async def finish_waiting(
    intent: Intent, row: JobRow, work: OperationContext, planned: JobRow | None = None
) -> ActionOutcome:
    """End a removal that waited, now that the job has ended; a completed job stays."""
    job = planned or row
    if row.remote_status is Status.COMPLETED:  # also when it was force-failed meanwhile: there are results
        reason = "finished before the cancel; x removes it"
        await work.store.write(Writer.end_waiting_removal, intent.id, reason)
        return ActionOutcome(job, ActionResult.SKIPPED, reason, row.status)
    known = {field.name for field in fields(Choices)}
    choices = Choices(**{name: value for name, value in intent.choices.items() if name in known})
    request = ActionRequest(row.id, row.fence, bulk=intent.bulk)
    outcome = await _remove_now(row, request, choices, work, waiting=intent.id)
    if outcome.result is ActionResult.FAILED:
        await work.store.write(Writer.end_waiting_removal, intent.id, outcome.reason)
    return outcome


async def give_up_waiting(intent: Intent, row: JobRow, work: OperationContext) -> ActionOutcome:
    """End a removal whose cancel was not confirmed in time; the job stays."""
    reason = "the cancel was not confirmed in time; the job stays"
    await work.store.write(Writer.end_waiting_removal, intent.id, reason)
    return ActionOutcome(row, ActionResult.FAILED, reason, row.status)


async def _remove_now(
    job: JobRow, request: ActionRequest, choices: Choices, work: OperationContext, waiting: int | None = None
) -> ActionOutcome:
    """Clean up what was chosen, then hide the record, last and only if all parts went (or by force)."""
    try:
        fresh = await _asked_first(job, choices, work)
    except NotSent:
        return stopped(job)
    except JobdashError as error:
        return ActionOutcome(
            job, ActionResult.FAILED, f"could not ask {job.account}: {error}; --force skips the question"
        )
    if isinstance(fresh, NotFound):
        cleaned = CleanedUp(kept=(f"what {job.account} keeps (its batch is not known to have ended)",))
    elif isinstance(fresh, ProviderError):
        cleaned = CleanedUp(kept=(f"what {job.account} keeps (could not ask: {fresh.full_text})",))
    elif fresh is not None and fresh.status not in TERMINAL and not choices.force:
        return ActionOutcome(
            job, ActionResult.SKIPPED, f"the provider says it is {LABELS[fresh.status]}", refused=True
        )
    elif choices.remote:
        cleaned = await _CleanUp(job, request, work, waiting).run(fresh)
    else:
        cleaned = CleanedUp()
    if cleaned.refusal is not None:
        return _refused(job, cleaned.refusal, cleaned.deleted)
    if choices.local_files:
        here = await delete_batch_files(job, work)
        cleaned = replace(cleaned, here=here.deleted, kept=(*cleaned.kept, *here.kept))
    if choices.remote or (choices.local_files and cleaned.kept):
        left = ", ".join(cleaned.kept) or None
        await work.store.write(Writer.set_left_behind, job.id, left and f"{left} not deleted")
    hides = choices.record and (choices.force or not cleaned.kept)
    result = ActionResult.FAILED if cleaned.kept else ActionResult.DONE
    summary = _clean_up_text(cleaned, "record removed" if hides else "record kept", choices)
    if not hides:
        return ActionOutcome(job, result, summary, job.status)
    hidden = await work.store.write(Writer.hide, request, detail=summary, waiting=waiting)
    if isinstance(hidden, Refusal):
        return _refused(job, hidden, cleaned.deleted)
    return ActionOutcome(job, result, summary, hidden.status)


def _refused(job: JobRow, refusal: Refusal, deleted: tuple[str, ...]) -> ActionOutcome:
    """Return the outcome for a job that is not what was planned for any more, and what went before that."""
    outcome = refused(job, refusal)
    if not deleted:
        return outcome
    reason = f"{refusal.reason}; deleted before that: {', '.join(deleted)}"
    return outcome._replace(result=ActionResult.FAILED, reason=reason)


def _clean_up_text(cleaned: CleanedUp, record: str, choices: Choices) -> str:
    parts = [record]
    if choices.local_files:
        here = f"deleted {quantity(cleaned.here, 'file')} here"
        parts.append(here if cleaned.here else "no fetched files here")
    if cleaned.deleted:
        parts.append(f"deleted {', '.join(cleaned.deleted)}")
    if cleaned.earlier:
        parts.append(f"deleted earlier: {', '.join(cleaned.earlier)}")
    if cleaned.kept:
        parts.append(f"not deleted: {', '.join(cleaned.kept)}")
    parts += [f"{what} expires by itself" for what in cleaned.expiring]
    return "; ".join(parts)


async def _asked_first(
    job: JobRow, choices: Choices, work: OperationContext
) -> RemoteJob | ProviderError | None:
    """Ask how the job stands where that could have changed, or where its files have to be known.

    None when there is nothing to ask: its provider's word is final and only the record goes, it is gone, or
    it is forced. By force an error is returned and not raised: its files stay, which has to be reported. So
    is a first 404 of an unfinished batch, for a list may lag: it may run on, and need its input.
    """
    settled = job.remote_status in TERMINAL and not choices.remote
    if settled or job.remote_id is None or job.account not in work.accounts:
        return None
    if choices.force and not choices.remote:
        return None
    asked_at = work.clock()
    try:
        remote = await work.caller(job).call(GetBatch(job.remote_id), stop=work.stop)
    except NotFound as error:
        gone = await work.store.write(Writer.mark_not_found, job.id, asked_at)
        may_run = job.remote_status not in TERMINAL and not (gone or job.gone_at is not None)
        return error if choices.remote and may_run else None
    except ProviderError as error:
        if choices.force:
            return error
        raise
    account, configured = work.caller(job), work.configured
    await work.store.write(
        Writer.upsert,
        job.account,
        job.provider,
        account.origin,
        [remote],
        asked_at,
        configured=configured,
        makes_due=True,
    )
    return remote


@dataclass(frozen=True, slots=True)
class _CleanUp:
    """The deletion of what a provider keeps of one job: its files and, where there is one, its record."""

    job: JobRow
    request: ActionRequest
    work: OperationContext
    waiting: int | None

    async def run(self, remote: RemoteJob | None) -> CleanedUp:
        """Delete what is known of a batch, each thing with its own intent; None is one that is no more."""
        job = self.job
        status = job.remote_status if remote is None and job.remote_id is None else remote and remote.status
        if status is not None and status not in TERMINAL:
            return CleanedUp(kept=(f"what {job.account} keeps (its batch is not finished there)",))
        # A provider that has lost the batch, or never had it, may have the files all the same.
        observed = {} if remote is None else remote.files
        known = await self.work.store.write(Writer.remote_files, job.id, observed)
        files = {role: file_id for role, file_id in known.items() if file_id is not None}
        earlier = tuple(role for role in known if role not in files)
        if not files and remote is None:
            return CleanedUp(earlier=earlier)
        # A job that never got a batch was not asked about, so that nothing is known of its account yet; and
        # where its file could be uploaded, it can be asked to go.
        can = None if job.remote_id is None else self.work.caller(job).capabilities
        deletes_files = can is None or can.deletes_files
        parts: dict[str, tuple[str, Request[None]]] = {}
        if deletes_files:
            parts |= {role: (file_id, DeleteFile(file_id)) for role, file_id in files.items()}
        if can is not None and can.deletes_records and remote is not None:
            parts[BATCH] = (remote.remote_id, DeleteBatch(remote.remote_id))
        cleaned = await self._delete_all(parts)
        if cleaned.deleted and not deletes_files:  # they are the batch's own, and went with it
            for role in files:
                await self.work.store.write(Writer.set_deleted, job.id, role)
        return replace(cleaned, earlier=earlier)

    async def _delete_all(self, parts: dict[str, tuple[str, Request[None]]]) -> CleanedUp:
        deleted: list[str] = []
        kept: list[str] = []
        expiring: list[str] = []
        again = False
        for role, (name, request) in parts.items():
            what = f"{role} {name}"
            if again and isinstance(request, DeleteBatch):  # it is how its files are found
                kept.append(f"{what} (its files are still there)")
                continue
            try:
                await self._delete(what, request)
            except JobChanged as error:
                return CleanedUp(tuple(deleted), kept=tuple(kept), refusal=error.refusal)
            except _FilesKept as error:
                if error.expires:
                    expiring.append(what)
                else:
                    kept.append(f"{what} ({error})")
                again = again or error.again
            else:
                await self.work.store.write(Writer.set_deleted, self.job.id, role)
                deleted.append(what)
        return CleanedUp(tuple(deleted), kept=tuple(kept), expiring=tuple(expiring))

    async def _delete(self, what: str, request: Request[None]) -> None:
        """Delete one thing. Raises `_FilesKept` when it is still there, `JobChanged` when it must stay."""
        intent: Intent | None = None

        async def before() -> None:
            nonlocal intent
            deadline = self.work.clock() + DEADLINE_MS
            if intent is None or not await renew_intent(intent, deadline, self.work):
                intent = await self._begin(what, request, deadline)

        wrong: _FilesKept | None = None
        try:
            await self.work.caller(self.job).call(request, before=before, stop=self.work.stop)
        except NotFound:
            wrong = None
        except NotSent:
            wrong = _FilesKept("stopped", again=True)
        except ProviderError as error:
            never = isinstance(error, InvalidRequest) and error.status is None
            expires = isinstance(error, ExpiresByItself)
            wrong = _FilesKept(error.full_text, again=not never, expires=expires)
        except ConfigError as error:  # it could not even be opened
            wrong = _FilesKept(str(error), again=True)
        if intent is not None:
            intent_id, result = intent.id, str(wrong or "done")
            await self.work.store.write(Writer.close_intent, intent_id, result)
        if wrong is not None:
            raise wrong

    async def _begin(self, what: str, request: Request[None], deadline: int) -> Intent:
        begun = await self.work.store.write(
            Writer.begin_delete,
            self.request,
            deadline=deadline,
            target=what,
            file_id=request.file_id if isinstance(request, DeleteFile) else None,
            waiting=self.waiting,
        )
        if isinstance(begun, Refusal):
            raise JobChanged(begun)
        if isinstance(begun, InUse):
            raise _FilesKept(f"also the input of {begun.by}, which is not finished", again=False)
        return begun
