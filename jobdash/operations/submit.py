"""Submit: a checked file becomes a batch, once; after a crash it is found again by its key."""

from __future__ import annotations

import asyncio
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from jobdash.domain.account import Account
from jobdash.domain.job import JobRow
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import LABELS, TERMINAL, Status
from jobdash.domain.text import encodable
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
from jobdash.operations.account_clients import LazyAccountClient
from jobdash.operations.account_session import CreateBatch, FileReady, ListPage, UploadFile
from jobdash.operations.cancel import error_text, renewed
from jobdash.operations.context import AccountClient, OperationContext
from jobdash.operations.input_copies import drop_input_copy, keep_input_copy
from jobdash.operations.rate_limiter import NotSent, Sleep, sleep_until_cancelled
from jobdash.providers.base import Submission
from jobdash.providers.input_check import FileCheck, SubmitWishes, input_rules
from jobdash.providers.registry import provider_of
from jobdash.store.merge import is_older
from jobdash.store.records import Intent, NewJob, Refusal
from jobdash.store.writer import Writer

DEADLINE_MS = 45 * MINUTE
"""An upload may take half an hour; after this long both requests have certainly ended."""
_DOUBT = "the batch may or may not exist; the next syncs find it by its key or its input file, if it does"
NO_ANSWER = f"no answer: {_DOUBT}"
_GIVEN_UP = "given up meanwhile by another jobdash; look with jobdash sync"
_KEY_BYTES = 6
PROCESSED_WITHIN_MS = 10 * MINUTE
"""How long an uploaded file may be processed before its submit is given up."""
_FIRST_LOOK_S, _LONGEST_LOOK_S = 1.0, 15.0
_NOT_PROCESSED = re.compile(
    r"file.*(?:not (?:yet )?(?:in )?(?:\W?processed|ready|been processed)"
    r"|still (?:being )?(?:process|import|upload|validat)|(?:is|status\W+) ?pending)",
    re.IGNORECASE,
)
"""The reason where no batch can be made of a file yet."""


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """What a person wants submitted, after the file was checked."""

    account: Account
    check: FileCheck
    name: str
    model: str | None
    endpoint: str | None
    tags: dict[str, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    """What a person should confirm before it is sent."""
    keep_input: bool = True
    """Keep a copy of the file, with which results are joined and what is missing can be sent again."""
    parent_id: int | None = None
    """Retry: the job whose requests these are."""
    bulk: str | None = None
    """Retry: the id of the action that it is a part of."""


class SubmitEnd(Enum):
    """How a submit ended."""

    CREATED = auto()
    FAILED = auto()
    """There certainly is no such batch."""
    REJECTED = auto()
    """There is none: the account's key or settings were rejected."""
    ENDED = auto()
    """There is one, and it had failed, expired or been cancelled when it was created."""
    UNCONFIRMED = auto()
    """Unknown yet."""
    STOPPED = auto()
    """Stopped before it was sent."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The outcome of a submit."""

    end: SubmitEnd
    reason: str
    row: JobRow | None
    """The job here; None when nothing was written."""


def order(
    path: Path,
    account: Account,
    *,
    name: str | None = None,
    model: str | None = None,
    endpoint: str | None = None,
    tags: dict[str, str] | None = None,
    file_name: str | None = None,
    keep_input: bool = True,
) -> SubmitRequest:
    """Check a file and the wishes that come with it; UsageError with what is wrong, and where.

    ``file_name`` is what to call the file where its path is not the person's own. A copy of it is kept if
    ``keep_input`` and the account's setting say so.
    """
    rules = input_rules(provider_of(account))
    check = rules(path, file_name or str(path)).check()
    wishes = SubmitWishes(model, endpoint, tags or {}, account.base_url)
    doubts = tuple(rules.check_wishes(check, wishes))
    return SubmitRequest(
        account=account,
        check=check,
        name=encodable(name or path.stem),
        model=model or check.model,
        endpoint=endpoint or check.endpoint,
        tags={encodable(key): encodable(value) for key, value in (tags or {}).items()},
        doubts=doubts,
        keep_input=keep_input and account.keep_input,
    )


async def submit(
    wanted: SubmitRequest, account: LazyAccountClient, work: OperationContext, *, sleep: Sleep = asyncio.sleep
) -> Submitted:
    """Upload the file, wait until it is processed, and create the batch; nothing is sent twice.

    The job and the intent are on disk before the upload. A refusal fails the job; without an answer to the
    creation it stays pending until a sync finds its key, or ten minutes have passed.
    """
    try:
        await account.open()
    except (ProviderError, ConfigError) as error:
        rejected = isinstance(error, AuthRejected | ConfigError)
        return Submitted(SubmitEnd.REJECTED if rejected else SubmitEnd.FAILED, str(error), None)
    return await send(wanted, account, work, sleep=sleep)


async def send(
    wanted: SubmitRequest, caller: AccountClient, work: OperationContext, *, sleep: Sleep = asyncio.sleep
) -> Submitted:
    """Submit as `submit` does, to an account in whichever loop.

    Raises ConfigError when its settings cannot be used, and SubmitRefused when another retry was faster.
    """
    submission = Submission(
        path=wanted.check.path,
        key=secrets.token_hex(_KEY_BYTES),
        name=wanted.name,
        model=wanted.model,
        endpoint=wanted.endpoint,
        embeddings=wanted.check.embeddings,
        tags=wanted.tags,
    )
    return await _Submit(wanted, submission, caller, work, sleep).run()


class SubmitRefused(JobdashError):
    """The store refused a submit before anything was sent: another retry of the same requests was faster."""


class _SubmitAbandoned(JobdashError):
    """Another process took this submit for dead and closed its intent."""


class _Submit:
    """One submit under way."""

    def __init__(
        self,
        wanted: SubmitRequest,
        submission: Submission,
        caller: AccountClient,
        work: OperationContext,
        sleep: Sleep,
    ) -> None:
        self._wanted = wanted
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

    async def run(self) -> Submitted:
        try:
            file_id = await self._caller.call(
                UploadFile(self._submission), before=self._begin, stop=self._work.stop
            )
        except NotSent:
            return await self._failed("stopped", SubmitEnd.STOPPED)
        except _SubmitAbandoned as error:
            return await self._given_up(str(error))
        except ProviderError as error:
            end = SubmitEnd.REJECTED if isinstance(error, AuthRejected) else SubmitEnd.FAILED
            return await self._failed(f"upload: {error_text(error)}", end)
        await self._uploaded(file_id)
        await self._keep_input()
        try:
            remote, asked_at = await self._create(file_id)
        except NotSent:
            return await self._failed(f"stopped; the uploaded file {file_id} stays at the provider")
        except _SubmitAbandoned as error:
            return await self._given_up(f"{error}; the uploaded file {file_id} stays there")
        except StoreError as error:  # raised before it was sent
            return await self._failed(f"not sent: {error}; the uploaded file {file_id} stays there")
        except ProviderError as error:
            if _certainly_not_created(error):
                return await self._failed(f"{error_text(error)}; the uploaded file {file_id} stays there")
            answered = isinstance(error, BadResponse)
            return await self._look_for_it(
                f"{error_text(error)}: {_DOUBT}" if answered else NO_ANSWER, file_id
            )
        return await self._created(remote, asked_at)

    async def _create(self, file_id: str) -> tuple[RemoteJob, int]:
        """Create the batch as soon as its file is processed; also return when that was asked for.

        A server that will not have the file yet has refused, so that the same may be asked again.
        """
        create, until = CreateBatch(self._submission, file_id), self._work.clock() + PROCESSED_WITHIN_MS
        pause = _FIRST_LOOK_S
        while True:
            if await self._processed(file_id):
                asked_at = self._work.clock()
                try:
                    remote = await self._caller.call(create, before=self._begin, stop=self._work.stop)
                except InvalidRequest as error:
                    if not _NOT_PROCESSED.search(error_text(error)) or self._work.clock() >= until:
                        raise
                else:
                    return remote, asked_at
            elif self._work.clock() >= until:
                minutes = PROCESSED_WITHIN_MS // MINUTE
                raise InvalidRequest(f"its file was still not processed after {minutes} minutes")
            await self._begin()  # no other process takes this submit for dead meanwhile
            await sleep_until_cancelled(pause, self._sleep, self._work.stop)
            pause = min(2 * pause, _LONGEST_LOOK_S)

    async def _processed(self, file_id: str) -> bool:
        """Whether the uploaded file is processed, as far as the server reports it."""
        try:
            return await self._caller.call(FileReady(file_id), stop=self._work.stop)
        except (NotFound, BadResponse):
            return True  # a server that does not report on files may make a batch of them all the same
        except InvalidRequest as error:
            if error.status is None:
                raise
            return True

    async def _begin(self) -> None:
        """Write the job and the intent, once; later sendings have their time anew."""
        deadline = self._work.clock() + DEADLINE_MS
        if self._intent is not None:
            if not await renewed(self._intent, deadline, self._work):
                raise _SubmitAbandoned(_GIVEN_UP)
            return
        wanted, origin = self._wanted, self._caller.origin
        new = NewJob(
            account=wanted.account.name,
            provider=wanted.account.provider,
            origin=origin,
            name=wanted.name,
            key=self._submission.key,
            model=wanted.model,
            endpoint=wanted.endpoint,
            total=wanted.check.requests,
            digest=wanted.check.digest,
            tags=wanted.tags,
            parent_id=wanted.parent_id,
        )
        begun = await self._work.store.write(Writer.begin_submit, new, deadline=deadline, bulk=wanted.bulk)
        if isinstance(begun, Refusal):
            raise SubmitRefused(begun.reason)
        self._row, self._intent = begun

    async def _uploaded(self, file_id: str) -> None:
        """Store the file's id: without a batch it is recorded nowhere else.

        Where it cannot be written it is tried again if there will be no batch.
        """
        assert self._row is not None
        job_id = self._row.id
        self._unwritten = file_id
        with suppress(StoreError):
            await self._work.store.write(Writer.set_uploaded_file, job_id, file_id)
            self._unwritten = None

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

    async def _created(self, remote: RemoteJob, asked_at: int) -> Submitted:
        assert self._intent is not None
        intent_id = self._intent.id
        row = await self._work.store.write(Writer.close_submit, intent_id, remote, asked_at)
        row = row or await self._row_now()
        if remote.status in TERMINAL and remote.status is not Status.COMPLETED:
            why = row.error if row is not None else None
            return Submitted(SubmitEnd.ENDED, f"{LABELS[remote.status]}{f': {why}' if why else ''}", row)
        return Submitted(SubmitEnd.CREATED, self._note, row)

    async def _failed(self, reason: str, end: SubmitEnd = SubmitEnd.FAILED) -> Submitted:
        if self._intent is None:  # it never had its turn: nothing was written, nothing was sent
            return Submitted(end, reason, None)
        intent_id = self._intent.id
        drop_input_copy(self._work.store.path, self._submission.key)
        if self._unwritten is not None:
            await self._uploaded(self._unwritten)
        try:
            row = await self._work.store.write(Writer.fail_submit, intent_id, reason)
        except StoreError as error:
            return Submitted(end, f"{reason}; not yet written: {error}", self._row)
        return Submitted(end, reason, row or await self._row_now())

    async def _given_up(self, reason: str) -> Submitted:
        """Nothing more was sent: the state that another process or a sync has written holds."""
        if self._unwritten is not None:
            await self._uploaded(self._unwritten)
        row = await self._row_now()
        if row is not None and row.remote_id is not None:
            return Submitted(SubmitEnd.CREATED, "", row)
        return Submitted(SubmitEnd.UNCONFIRMED, reason, row)

    async def _row_now(self) -> JobRow | None:
        assert self._row is not None
        job_id, fence = self._row.id, self._row.fence
        found = await self._work.store.write(Writer.recheck, job_id, fence=fence, accept=None)
        return found.row if isinstance(found, Refusal) else found

    async def _look_for_it(self, doubt: str, file_id: str) -> Submitted:
        """Ask for the newest batches once; what is not there yet is left to the syncs, never sent again."""
        asked_at = self._work.clock()
        try:
            page = await self._caller.call(ListPage())
        except (ProviderError, NotSent):
            return Submitted(SubmitEnd.UNCONFIRMED, doubt, self._row)
        key = self._submission.key
        # A server that keeps no metadata still names the file, which was uploaded for this batch alone.
        ours = next((job for job in page.jobs if key == job.submit_key), None) or next(
            (job for job in page.jobs if job.submit_key is None and self._is_of_file(job, file_id)), None
        )
        if ours is None:
            return Submitted(SubmitEnd.UNCONFIRMED, doubt, self._row)
        return await self._created(ours, asked_at)

    def _is_of_file(self, job: RemoteJob, file_id: str) -> bool:
        """Whether a batch was made of the file; an older one of the same file is of another submit."""
        assert self._row is not None
        return job.files.get("input") == file_id and not is_older(job.created_at, self._row.created_at)


def _certainly_not_created(error: ProviderError) -> bool:
    """Whether an error means that no batch was made: a refusal, a 429 or 503, no connection."""
    if isinstance(error, AuthRejected | QuotaExhausted | RateLimited):
        return True
    if isinstance(error, Unavailable):
        return error.retry_after is not None or not error.sent
    return not isinstance(error, BadResponse)
