"""Submit: a checked file becomes a batch, once; after a crash it is found again by its key."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import replace

from jobdash.domain.job import JobRow
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import LABELS, TERMINAL, Status
from jobdash.domain.time import MINUTE
from jobdash.errors import (
    AuthRejected,
    BadResponse,
    ConfigError,
    InvalidRequest,
    JobdashError,
    NotFound,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    StoreError,
    Unavailable,
)
from jobdash.operations.accounts.rate_limiter import NotSent, Sleep, sleep_until_cancelled
from jobdash.operations.accounts.session import CreateBatch, FileReady, ListPage, UploadFile
from jobdash.operations.actions.cancel import renew_intent
from jobdash.operations.actions.reconcile import LISTING_LAG_MS, Reconciled, find_keyless
from jobdash.operations.context import AccountClient, OperationContext
from jobdash.operations.results.input_copies import drop_input_copy, input_copy, keep_input_copy
from jobdash.operations.submission.outcome import SubmitAbandoned, SubmitEnd, SubmitOutcome, SubmitRefused
from jobdash.operations.submission.request import SubmitRequest, new_job, new_submit_key
from jobdash.providers.base import RemotePage, Submission
from jobdash.store.merge import is_older
from jobdash.store.records import ActionRequest, Intent, Refusal
from jobdash.store.writer import Writer

DEADLINE_MS = 45 * MINUTE
"""An upload may take half an hour; after this long both requests have certainly ended."""
_KEYLESS_POLLS = 3
"""How often the list is polled for a batch without a key, as it may lag behind."""
_BY_KEY, _BY_TIME = "its key or its input file", "its time and number of requests"
_DOUBT = f"the batch may or may not exist; the next syncs find it by {_BY_KEY}, if it does"
NO_ANSWER = f"no answer: {_DOUBT}"
GIVEN_UP = "given up meanwhile by another jobdash; look with jobdash sync"
PROCESSED_WITHIN_MS = 10 * MINUTE
"""How long an uploaded file may be processed before its submit is given up."""
_FIRST_POLL_S, _LONGEST_POLL_S = 1.0, 15.0
_NOT_PROCESSED = re.compile(
    r"file.*(?:not (?:yet )?(?:in )?(?:\W?processed|ready|been processed)"
    r"|still (?:being )?(?:process|import|upload|validat)|(?:is|status\W+) ?pending)",
    re.IGNORECASE,
)
"""The reason where no batch can be made of a file yet."""


async def submit(
    wanted: SubmitRequest, account: AccountClient, work: OperationContext, *, sleep: Sleep = asyncio.sleep
) -> SubmitOutcome:
    """Upload the file, wait until it is processed, and create the batch; nothing is sent twice.

    The job and the intent are on disk before the upload. A refusal fails the job; without an answer to the
    creation it stays pending until a sync finds its key, or ten minutes have passed. Raises
    SubmitRefused when the same requests were sent meanwhile.
    """
    submission = Submission(
        path=wanted.check.path,
        key=new_submit_key(),
        name=wanted.name,
        model=wanted.model,
        endpoint=wanted.endpoint,
        embeddings=wanted.check.embeddings,
        tags=wanted.tags,
    )
    return await _DirectSubmit(wanted, submission, account, work, sleep).run()


class SubmitRun(ABC):
    """One submit under way."""

    def __init__(
        self, submission: Submission, caller: AccountClient, work: OperationContext, sleep: Sleep
    ) -> None:
        self._submission = submission
        self._caller = caller
        self._work = work
        self._sleep = sleep
        self._row: JobRow | None = None
        self._intent: Intent | None = None
        self._unwritten: str | None = None
        """The uploaded file's id, while it could not be written."""
        self._note = ""
        """What went wrong with the copy of the file."""
        self._file_id = ""
        """The uploaded file's id, once its upload was answered."""
        self._may_exist = False
        """Whether the creation of the batch was begun, and not refused."""

    async def run(self) -> SubmitOutcome:
        """Submit; see `submit`.

        Where the task is cancelled before the batch may exist, the job fails as one that was stopped.
        """
        try:
            return await self._run()
        except NotSent:
            return await self._stopped()
        except SubmitAbandoned as error:
            return await self._given_up(f"{error}{_left(self._file_id)}")
        except asyncio.CancelledError:
            if not self._may_exist:
                await self._stopped()
            raise

    async def _run(self) -> SubmitOutcome:
        try:
            file_id = self._file_id = await self._caller.call(
                UploadFile(self._submission), before=self._begin, stop=self._work.stop
            )
        except (ProviderError, ConfigError) as error:
            return await self._upload_failed(error)
        await self._uploaded(file_id)
        await self._keep_input()
        try:
            remote, asked_at = await self._create(file_id)
        except StoreError as error:  # raised before it was sent
            return await self._failed(f"not sent: {error}{_left(file_id)}", error=error)
        except ProviderError as error:
            if _certainly_not_created(error):
                return await self._failed(f"{error.full_text}{_left(file_id)}", error=error)
            answered = isinstance(error, BadResponse)
            return await self._find_batch(f"{error.full_text}: {_DOUBT}" if answered else NO_ANSWER, file_id)
        return await self._created(remote, asked_at)

    async def _create(self, file_id: str) -> tuple[RemoteJob, int]:
        """Create the batch as soon as its file is processed; return it, and when that was asked for.

        A server that refuses because the file is not ready has created nothing: the request may be sent
        again.
        """
        create, until = CreateBatch(self._submission, file_id), self._work.clock() + PROCESSED_WITHIN_MS
        pause = _FIRST_POLL_S
        while True:
            if await self._processed(file_id):
                asked_at = self._work.clock()
                try:
                    remote = await self._caller.call(create, before=self._before, stop=self._work.stop)
                except InvalidRequest as error:
                    self._may_exist = False
                    if not _NOT_PROCESSED.search(error.full_text) or self._work.clock() >= until:
                        raise
                else:
                    return remote, asked_at
            elif self._work.clock() >= until:
                minutes = PROCESSED_WITHIN_MS // MINUTE
                raise InvalidRequest(f"its file was still not processed after {minutes} minutes")
            await self._begin()  # no other process takes this submit for dead meanwhile
            await sleep_until_cancelled(pause, self._sleep, self._work.stop)
            pause = min(2 * pause, _LONGEST_POLL_S)

    async def _processed(self, file_id: str) -> bool:
        """Whether the uploaded file is processed, as far as the server reports."""
        try:
            return await self._caller.call(FileReady(file_id), stop=self._work.stop)
        except (NotFound, BadResponse):
            return True  # a server that does not report on files may make a batch of them all the same
        except InvalidRequest as error:
            if error.status is None:
                raise
            return True

    async def _before(self) -> None:
        """Note, and write, that the batch may exist from now on."""
        await self._begin_creation()
        self._may_exist = True

    @abstractmethod
    async def _begin(self) -> None:
        """Write the job and the intent, once; later sendings extend the intent's deadline.

        Raises `SubmitAbandoned` when the intent was closed elsewhere.
        """

    async def _begin_creation(self) -> None:
        """Extend the intent's deadline before the batch is created."""
        await self._begin()

    async def _uploaded(self, file_id: str) -> None:
        """Store the uploaded file's id: without a batch it is recorded nowhere else.

        Where it cannot be written, it is tried again if there will be no batch.
        """
        assert self._row is not None
        if not file_id:
            return
        job_id = self._row.id
        self._unwritten = file_id
        with suppress(StoreError):
            await self._work.store.write(Writer.set_uploaded_file, job_id, file_id)
            self._unwritten = None

    @abstractmethod
    async def _keep_input(self) -> None:
        """Keep a copy of the uploaded file, if one is wanted."""

    async def _created(self, remote: RemoteJob, asked_at: int) -> SubmitOutcome:
        assert self._intent is not None
        intent_id = self._intent.id
        row = await self._work.store.write(Writer.close_submit, intent_id, remote, asked_at)
        row = row or await self._row_now()
        if row is not None and row.unconfirmed:
            return SubmitOutcome(SubmitEnd.UNCONFIRMED, row.error or NO_ANSWER, row)
        if remote.status in TERMINAL and remote.status is not Status.COMPLETED:
            why = row.error if row is not None else None
            return SubmitOutcome(SubmitEnd.ENDED, f"{LABELS[remote.status]}{f': {why}' if why else ''}", row)
        return SubmitOutcome(SubmitEnd.CREATED, self._note, row)

    async def _stopped(self) -> SubmitOutcome:
        return await self._failed(f"stopped{_left(self._file_id, 'at the provider')}", SubmitEnd.STOPPED)

    async def _upload_failed(self, error: ProviderError | ConfigError) -> SubmitOutcome:
        end = SubmitEnd.REJECTED if isinstance(error, AuthRejected | ConfigError) else SubmitEnd.FAILED
        if self._intent is None or not isinstance(error, ProviderError):
            return await self._failed(str(error), end, error)
        return await self._failed(f"upload: {error.full_text}", end, error)

    async def _failed(
        self, reason: str, end: SubmitEnd = SubmitEnd.FAILED, error: JobdashError | None = None
    ) -> SubmitOutcome:
        """End a submit of which certainly no batch came, for an ``error``; without one it was stopped.

        A copy of its input stays, of which it can be sent again, unless the provider refused the requests.
        """
        if self._intent is None:  # it never had its turn: nothing was written, nothing was sent
            return SubmitOutcome(end, reason, None)
        intent_id = self._intent.id
        store, key = self._work.store.path, self._submission.key
        if isinstance(error, InvalidRequest) and error.status is not None:
            drop_input_copy(store, key)
        elif not input_copy(store, key).exists():
            await self._keep_input()
        if self._unwritten is not None:
            await self._uploaded(self._unwritten)
        try:
            row = await self._work.store.write(Writer.fail_submit, intent_id, reason)
        except StoreError as failure:
            return SubmitOutcome(end, f"{reason}; not yet written: {failure}", self._row)
        return SubmitOutcome(end, reason, row or await self._row_now())

    async def _given_up(self, reason: str) -> SubmitOutcome:
        """Nothing more was sent: the state that another process or a sync has written holds."""
        if self._unwritten is not None:
            await self._uploaded(self._unwritten)
        row = await self._row_now()
        if row is not None and row.remote_id is not None:
            return SubmitOutcome(SubmitEnd.CREATED, "", row)
        return SubmitOutcome(SubmitEnd.UNCONFIRMED, reason, row)

    async def _row_now(self) -> JobRow | None:
        assert self._row is not None
        request = ActionRequest(self._row.id, self._row.fence)
        found = await self._work.store.write(Writer.recheck, request)
        return found.row if isinstance(found, Refusal) else found

    async def _find_batch(self, doubt: str, file_id: str) -> SubmitOutcome:
        """Ask for the newest batches once; what is not there yet is left to the syncs, never sent again."""
        asked_at = self._work.clock()
        try:
            page = await self._caller.call(ListPage())
        except (ProviderError, NotSent):
            return SubmitOutcome(SubmitEnd.UNCONFIRMED, doubt, self._row)
        key = self._submission.key
        # A server that keeps no metadata still names the file, which was uploaded for this batch alone.
        ours = next((job for job in page.jobs if key == job.submit_key), None) or next(
            (job for job in page.jobs if job.submit_key is None and self._is_of_file(job, file_id)), None
        )
        if ours is not None:
            return await self._created(ours, asked_at)
        if not self._caller.capabilities.carries_key:
            return await self._find_keyless_batch(doubt, page)
        return SubmitOutcome(SubmitEnd.UNCONFIRMED, doubt, self._row)

    async def _find_keyless_batch(self, doubt: str, page: RemotePage) -> SubmitOutcome:
        """Look for a batch by its time and its number of requests; what is found later, a sync finds."""
        assert self._row is not None
        assert self._intent is not None
        # Its turn may have come late: whatever was sent, went out before now.
        until = max(self._intent.deadline, self._work.clock())
        row, intent = self._row, replace(self._intent, deadline=until)
        found: Reconciled | str = ""
        for poll in range(_KEYLESS_POLLS):
            if poll:
                await sleep_until_cancelled(2.0**poll, self._sleep, self._work.stop)
                try:
                    page = await self._caller.call(ListPage())
                except (ProviderError, NotSent):
                    continue
            alike = [
                job
                for job in page.jobs
                if job.total == row.total and not is_older(job.created_at, intent.opened_at)
            ]
            origin, now = self._caller.origin, self._work.clock()
            await self._work.store.write(Writer.upsert, row.account, row.provider, origin, alike, now)
            with suppress(ProviderError, NotSent):
                found = await find_keyless(intent, self._caller, self._work, action="submit")
            if found:
                break
        if isinstance(found, Reconciled):
            return SubmitOutcome(SubmitEnd.CREATED, self._note, found.row or await self._row_now())
        until = self._work.clock() + LISTING_LAG_MS
        await self._work.store.write(Writer.set_listing_deadline, intent.id, until)
        return SubmitOutcome(SubmitEnd.UNCONFIRMED, found or doubt.replace(_BY_KEY, _BY_TIME), row)

    def _is_of_file(self, job: RemoteJob, file_id: str) -> bool:
        """Whether a batch was made of the file; an older one of the same file is of another submit."""
        assert self._row is not None
        return job.files.get("input") == file_id and not is_older(job.created_at, self._row.created_at)


class _DirectSubmit(SubmitRun):
    """A submit of a person's own file, at once."""

    def __init__(
        self,
        wanted: SubmitRequest,
        submission: Submission,
        caller: AccountClient,
        work: OperationContext,
        sleep: Sleep,
    ) -> None:
        super().__init__(submission, caller, work, sleep)
        self._wanted = wanted

    async def _begin(self) -> None:
        deadline = self._work.clock() + DEADLINE_MS
        if self._intent is not None:
            if not await renew_intent(self._intent, deadline, self._work):
                raise SubmitAbandoned(GIVEN_UP)
            return
        new = new_job(self._wanted, self._caller.origin, self._submission.key)
        bulk = self._wanted.bulk
        begun = await self._work.store.write(Writer.begin_submit, new, deadline=deadline, bulk=bulk)
        if isinstance(begun, Refusal):
            raise SubmitRefused(begun.reason)
        self._row, self._intent = begun

    async def _keep_input(self) -> None:
        """Keep a copy of the file; a submit does not fail over it."""
        if not self._wanted.keep_input:
            return
        try:
            await asyncio.to_thread(
                keep_input_copy, self._submission.path, self._work.store.path, self._submission.key
            )
        except OSError as error:
            self._note = f"no copy of its input is kept: {error.strerror or error}"


def _left(file_id: str, where: str = "there") -> str:
    """Return that the uploaded file stays, where one was."""
    return f"; the uploaded file {file_id} stays {where}" if file_id else ""


def _certainly_not_created(error: ProviderError) -> bool:
    """Whether an error means that no batch was made: a refusal, a 429 or 503, no connection."""
    if isinstance(error, AuthRejected | QuotaExhausted | RateLimited):
        return True
    if isinstance(error, Unavailable):
        return error.retry_after is not None or not error.sent
    return not isinstance(error, BadResponse)
