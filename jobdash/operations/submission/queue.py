"""The queue of submits: parts of a file, and batches that wait for room under an enqueued limit.

What waits is in the store, its input beside it, so that any process that polls the account sends it.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path

from jobdash.domain.account import Account
from jobdash.domain.job import JobRow
from jobdash.domain.time import MINUTE
from jobdash.errors import (
    AuthRejected,
    ConfigError,
    JobdashError,
    ProviderError,
    RateLimited,
    StoreError,
    Unavailable,
    UsageError,
)
from jobdash.operations.accounts.rate_limiter import Sleep
from jobdash.operations.context import AccountClient, OperationContext
from jobdash.operations.results.input_copies import drop_input_copy, input_copy, keep_input_copy
from jobdash.operations.submission.outcome import SubmitAbandoned, SubmitEnd, SubmitOutcome, SubmitRefused
from jobdash.operations.submission.request import SubmitRequest, new_job, new_submit_key, requests_of
from jobdash.operations.submission.submit import DEADLINE_MS, GIVEN_UP, SubmitRun, submit
from jobdash.providers.base import Submission
from jobdash.store.commands.queue import NO_ROOM
from jobdash.store.records import NewJob, QueuedOptions, Refusal, TakenSubmit
from jobdash.store.writer import Writer

BACK_OFF_MS = MINUTE
"""How long a batch waits that its provider had no room for; twice as long each further time."""
_MOST_DOUBLINGS = 5
_CHUNK = 1024 * 1024
_WAITS = "queued here; it is sent when there is room, by the process that polls the account"


async def submit_file(
    wanted: SubmitRequest, caller: AccountClient, work: OperationContext, *, sleep: Sleep = asyncio.sleep
) -> tuple[SubmitOutcome, ...]:
    """Submit a file; return an outcome for each of its parts, in their order, or the one of the whole.

    Parts, and batches of an account with an enqueued limit, are queued first, and sent as far as there is
    room. OSError or UsageError when the file cannot be copied, or has changed since it was checked;
    SubmitRefused when the same requests were sent meanwhile.
    """
    if not wanted.queues:
        return (await submit(wanted, caller, work, sleep=sleep),)
    if work.stop.is_set():
        return (SubmitOutcome(SubmitEnd.STOPPED, "stopped", None),)
    rows = await enqueue(wanted, caller, work)
    sent = await send_queued(wanted.account, caller, work, sleep=sleep)
    ends = {done.row.id: done for done in sent if done.row is not None}
    return tuple(ends.get(row.id, SubmitOutcome(SubmitEnd.QUEUED, _WAITS, row)) for row in rows)


async def enqueue(wanted: SubmitRequest, caller: AccountClient, work: OperationContext) -> list[JobRow]:
    """Copy the parts of a file beside the store, and queue them as one family.

    The copies are complete before the store knows of any, so that a crash leaves no job without its input.
    """
    origin = caller.origin
    queued: list[tuple[NewJob, QueuedOptions]] = []
    try:
        for part in requests_of(wanted):
            key = new_submit_key()
            new = new_job(part, origin, key)
            options = QueuedOptions(part.check.digest, part.check.embeddings, part.keep_input, part.bulk)
            queued.append((new, options))
            await asyncio.to_thread(_keep, part, work.store.path, key)
        rows = await work.store.write(Writer.enqueue, queued)
        if isinstance(rows, Refusal):
            raise SubmitRefused(rows.reason)
    except BaseException:
        for new, _ in queued:
            drop_input_copy(work.store.path, new.key)
        raise
    return rows


def _keep(part: SubmitRequest, store: Path, key: str) -> None:
    """Copy a part; UsageError when it is not what was checked any more."""
    start = part.part.start if part.part is not None else 0
    keep_input_copy(part.check.path, store, key, start=start, size=part.check.size)
    digest = hashlib.sha256()
    with input_copy(store, key).open("rb") as copy:
        while chunk := copy.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != part.check.digest:
        raise UsageError(f"{part.check.name} has changed since it was checked")


async def send_queued(
    account: Account, caller: AccountClient, work: OperationContext, *, sleep: Sleep = asyncio.sleep
) -> list[SubmitOutcome]:
    """Send the queued batches of an account, as long as there is room; return the outcome of each.

    Several processes may do so at once: each batch is taken by one of them.
    """
    await _settle(account, work)
    sent: list[SubmitOutcome] = []
    while not work.stop.is_set():
        origin, deadline = caller.origin, work.clock() + DEADLINE_MS
        taken = await work.store.write(
            Writer.take_queued, account.name, origin, account.enqueued_limit, deadline=deadline
        )
        if taken is None:
            break
        run = _QueuedRun(taken, caller, work, sleep)
        sent.append(await run.run())
        if run.returned and not run.no_room:  # the same would happen to the next
            break
    return sent


async def _settle(account: Account, work: OperationContext) -> None:
    """Drop copies that are not needed any more, and queue again what its provider had no room for."""
    settled = await work.store.write(Writer.settle_queue, account.name)
    store = work.store.path
    for key in settled.done:
        drop_input_copy(store, key)
    for job_id, key in settled.refused:
        again = new_submit_key()
        try:
            await asyncio.to_thread(keep_input_copy, input_copy(store, key), store, again)
        except OSError:
            await work.store.write(Writer.forget_queued, job_id)
            continue
        if await work.store.write(Writer.requeue, job_id, again, BACK_OFF_MS) is None:
            drop_input_copy(store, again)


class _QueuedRun(SubmitRun):
    """The submit of a batch taken from the queue; one that its provider has no room for goes back."""

    def __init__(
        self, taken: TakenSubmit, caller: AccountClient, work: OperationContext, sleep: Sleep
    ) -> None:
        row, options = taken.row, taken.options
        submission = Submission(
            path=input_copy(work.store.path, taken.key),
            key=taken.key,
            name=row.name,
            model=row.model,
            endpoint=row.endpoint,
            tags=taken.tags,
            embeddings=options.embeddings,
        )
        super().__init__(submission, caller, work, sleep)
        self._row, self._intent = row, taken.intent
        self._tries, self._keeps = options.tries, options.keep_input
        self.returned = False
        """Whether the batch went back into the queue."""
        self.no_room = False
        """Whether its provider had no room for it."""

    async def _begin(self) -> None:
        assert self._intent is not None
        deadline, intent_id = self._work.clock() + DEADLINE_MS, self._intent.id
        if not await self._work.store.write(Writer.renew_intent, intent_id, deadline):
            raise SubmitAbandoned(GIVEN_UP)

    async def _begin_creation(self) -> None:
        """Write that the batch may exist from now on: until then a crash puts it back into the queue."""
        assert self._intent is not None
        deadline, intent_id = self._work.clock() + DEADLINE_MS, self._intent.id
        if not await self._work.store.write(Writer.renew_creation, intent_id, deadline):
            raise SubmitAbandoned(GIVEN_UP)

    async def _keep_input(self) -> None:
        """Keep the copy from which the batch was queued."""

    async def _failed(
        self, reason: str, end: SubmitEnd = SubmitEnd.FAILED, error: JobdashError | None = None
    ) -> SubmitOutcome:
        self.no_room = _no_room(error)
        if not (self.no_room or _passes_by(error)):
            if not self._keeps:
                drop_input_copy(self._work.store.path, self._submission.key)
            return await super()._failed(reason, end, error)
        assert self._intent is not None
        intent = self._intent
        wait = BACK_OFF_MS * 2 ** min(self._tries, _MOST_DOUBLINGS) if error is not None else 0
        self.returned = True
        row: JobRow | None = self._row
        with suppress(StoreError):  # its intent stays open, and the next poll reconciles it
            row = await self._work.store.write(
                Writer.return_to_queue, intent, reason, wait, no_room=self.no_room
            )
        return SubmitOutcome(SubmitEnd.QUEUED, f"queued here: {reason}", row or self._row)


def _no_room(error: JobdashError | None) -> bool:
    """Whether a provider has refused a batch because too many tokens are enqueued."""
    return isinstance(error, ProviderError) and NO_ROOM in error.full_text


def _passes_by(error: JobdashError | None) -> bool:
    """Whether a submit that failed with this error may succeed later; without an error it was stopped."""
    return error is None or isinstance(
        error, Unavailable | RateLimited | AuthRejected | ConfigError | StoreError
    )
