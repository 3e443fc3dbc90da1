"""Batches at OpenAI, and at servers that speak its API.

Facts are from https://platform.openai.com/docs/api-reference/batch and the batch guide, or name their source.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Self
from urllib.parse import quote

import openai

from jobdash.domain.account import query_of
from jobdash.domain.remote_job import RemoteError, RemoteFile, RemoteJob
from jobdash.domain.status import TERMINAL, Status
from jobdash.errors import BadResponse, InvalidRequest, NotFound
from jobdash.providers.base import FilePage, RemotePage, Submission
from jobdash.providers.http import bearer, opened
from jobdash.providers.http_adapter import HttpAdapter, created, expected, listed_file
from jobdash.providers.json_values import (
    NOT_JSON,
    error_words,
    identifier,
    items,
    mapping,
    readable,
    text,
    time_ms,
    unwrapped_object,
    whole,
    yes_or_no,
)
from jobdash.providers.openai.info import INFO
from jobdash.providers.openai.input import LONGEST_VALUE, wrong_tags
from jobdash.providers.openai.results import token_counts
from jobdash.providers.refusals import not_expected
from jobdash.providers.results import remote_error

OWN_KEY_ENV = "OPENAI_API_KEY"
PAGE = 100
"""The largest page the list gives."""

FILES_PAGE = 1_000
"""Files asked for at once; the list gives up to 10,000."""

SUBMIT_KEY = "jobdash_key"
"""The metadata entry that carries jobdash's key of a submit."""

STATUSES = {
    "validating": Status.VALIDATING,
    "in_progress": Status.IN_PROGRESS,
    "finalizing": Status.FINALIZING,
    "cancelling": Status.CANCELLING,
    "completed": Status.COMPLETED,
    "failed": Status.FAILED,
    "expired": Status.EXPIRED,
    "cancelled": Status.CANCELLED,
    # words of compatible servers
    "pending": Status.PENDING,
    "queued": Status.PENDING,
    "scheduled": Status.PENDING,
    "scheduling": Status.PENDING,
    "submitted": Status.PENDING,
    "created": Status.PENDING,
    "not_started": Status.PENDING,
    "running": Status.IN_PROGRESS,
    "processing": Status.IN_PROGRESS,
    "progress": Status.IN_PROGRESS,
    "in-progress": Status.IN_PROGRESS,
    "finalising": Status.FINALIZING,
    "canceling": Status.CANCELLING,
    "canceled": Status.CANCELLED,
}
"""Only words whose meaning is plain; every other one stays unknown and is shown raw."""

_VERSIONED = re.compile(r"/v\d+(?:[a-z]+\d*)?(?:/|$)")
_FINISHED = ("completed_at", "failed_at", "expired_at", "cancelled_at", "finalized_at")
_FILES = {"input": "input_file_id", "output": "output_file_id", "error": "error_file_id"}


def _plain_yes(answered: object) -> bool:
    """Whether a 2xx is a yes without the batch; gateways answer errors and lists with 200, too."""
    if identifier(unwrapped_object(answered).get("id")) is not None:
        return False
    if answered is None:
        return True
    return isinstance(answered, dict) and not answered.keys() & {"id", "error", "errors", "data"}


class _ClientOfOtherKey(openai.AsyncOpenAI):
    """The SDK without what the environment says of the key in OPENAI_API_KEY.

    That is OPENAI_ORG_ID, OPENAI_PROJECT_ID, and OPENAI_CUSTOM_HEADERS, which may hold the key of a gateway.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.organization = self.project = None
        self._custom_headers = {}


class OpenAIBatches(HttpAdapter):
    """One OpenAI account. ``Account.api_version`` means nothing here: the version is in the base URL."""

    info = INFO

    async def __aenter__(self) -> Self:
        """Open the client, and the SDK over it."""
        await super().__aenter__()
        kind = openai.AsyncOpenAI if self._account.key_env == OWN_KEY_ENV else _ClientOfOtherKey
        self._client = kind(
            api_key=self._key,
            base_url=self.origin,  # without a query, which the HTTP client adds after the path
            http_client=self._http.client,
            # The SDK would re-send a create after a reset, with no idempotency key: two batches, two bills.
            max_retries=0,
        )
        self._client.organization = self._account.organization or self._client.organization
        self._client.project = self._account.project or self._client.project
        return self

    async def list(self, cursor: str | None = None, limit: int | None = None) -> RemotePage:
        """Return one page of batches, newest first; ``limit`` is at most 100."""
        size = min(limit or PAGE, PAGE)
        call = self._client.batches.list(after=cursor or openai.omit, limit=size)
        return self._read_page(await self._at_home(call))

    def _read_job(self, value: object) -> RemoteJob:
        return read_job(value, self.profile.name)

    def _read_page(self, answered: object) -> RemotePage:
        page = _page(answered, self._read_job)
        # What a server promises is asked for, whatever its profile says.
        return page if self.profile.pages or page.promised else replace(page, cursor=None)

    async def get(self, remote_id: str) -> RemoteJob:
        """Return one batch."""
        return expected(
            self._read_job(await self._http.ask(self._client.batches.retrieve(remote_id))), remote_id
        )

    async def cancel(self, remote_id: str) -> RemoteJob | None:
        """Ask for a cancel; the batch is ``cancelling`` for up to ten minutes, and may still complete.

        None for a yes without the batch, which compatible servers answer.
        """
        if not self.capabilities.cancels:
            raise InvalidRequest(f"not sent: {self.profile.title} has no call that cancels a batch")
        answered = await self._http.ask(self._client.batches.cancel(remote_id))
        return None if _plain_yes(answered) else expected(self._read_job(answered), remote_id)

    async def delete(self, remote_id: str) -> None:
        """Refuse: OpenAI has no call that removes a batch, only its files can go."""
        raise InvalidRequest(f"not sent: OpenAI keeps the record of {remote_id}, only its files can go")

    async def delete_file(self, file_id: str) -> None:
        """Delete one file; a yes without a word (204) is one."""
        answered = await self._http.ask(self._client.files.delete(file_id))
        if answered is not None and mapping(answered).get("deleted") is not True:
            raise BadResponse(f"the provider does not say that {file_id} is deleted")

    async def files(self, cursor: str | None = None) -> FilePage:
        """Return one page of the account's files, whatever their purpose, newest first."""
        call = self._client.files.list(after=cursor or openai.omit, limit=FILES_PAGE)
        page = mapping(await self._http.ask(call))
        if not isinstance(page.get("data"), list):
            raise not_expected("a list of files", page)
        files = readable(items(page.get("data")), _read_file)
        more = yes_or_no(page.get("has_more")) and files
        return FilePage(files, files[-1].id if more else None)

    async def upload(self, submission: Submission) -> str:
        """Upload the file of a submit, read piece by piece as it is sent."""
        with opened(submission.path) as file:
            call = self._client.files.create(
                file=(submission.file_name, file), purpose="batch", expires_after=self._expiry or openai.omit
            )
            answer = await self._at_home(call, deadline=self._deadlines.upload)
        uploaded = unwrapped_object(answer, "file")
        return self._uploaded(uploaded, identifier(uploaded.get("id")), answer)

    async def _get_file(self, file_id: str) -> Mapping[str, object]:
        return unwrapped_object(await self._http.ask(self._client.files.retrieve(file_id)), "file")

    async def create(self, submission: Submission, file_id: str) -> RemoteJob:
        """Create the batch from an uploaded file.

        Our key, its name and its tags go into the metadata, where the server keeps one.
        """
        if not submission.endpoint:
            raise InvalidRequest("not sent: an OpenAI batch needs an endpoint, like /v1/chat/completions")
        endpoint: Any = submission.endpoint  # the SDK lists OpenAI's own; compatible servers have others
        window: Any = self._account.completion_window or next(iter(self.profile.windows), "24h")
        call = self._client.batches.create(
            completion_window=window,
            endpoint=endpoint,
            input_file_id=file_id,
            metadata=metadata_of(submission) if self.capabilities.carries_key else openai.omit,
            output_expires_after=self._expiry or openai.omit,
        )
        return created(await self._at_home(call), self._read_job)

    @property
    def _expiry(self) -> Any:
        """How long a new file is kept, as the API has it; None where the account does not say."""
        kept = self._account.files_expire_ms
        return None if kept is None else {"anchor": "created_at", "seconds": kept // 1000}

    def result_roles(self, job: RemoteJob) -> tuple[str, ...]:
        """Return the files a batch names; their lines are not in the order of the requests."""
        return tuple(role for role in ("output", "error") if role in job.files)

    def result_lines(self, job: RemoteJob, role: str) -> AsyncGenerator[bytes, None]:
        """Stream the output or the error file as it was sent."""
        url = f"{self.origin}/files/{quote(job.files[role], safe='')}/content"
        return self._http.lines(self._http.download(url, self._headers()))

    def input_lines(self, job: RemoteJob) -> AsyncGenerator[bytes, None]:
        """Stream the input file; it can be had until it expires or is deleted."""
        if "input" not in job.files:
            raise NotFound(f"{job.remote_id} names no input file")
        return self.result_lines(job, "input")

    async def _at_home(self, call: Awaitable[object], *, deadline: float | None = None) -> object:
        """Ask for what every server has; one that knows of no such path may have a wrong address."""
        try:
            return await self._http.ask(call, deadline=deadline)
        except (NotFound, BadResponse, InvalidRequest) as error:
            unknown = isinstance(error, NotFound) or error.status == 405 or str(error).startswith(NOT_JSON)
            if not unknown or _VERSIONED.search(self.origin) or query_of(self._account.base_url):
                raise
            address = self._account.shown_url or self.origin
            words = f"{error}; base_url {address} has no /v1: is it {self.origin}/v1?"
            raise error.reworded(words) from None

    def _headers(self) -> dict[str, str]:
        """Return what the SDK sends with each request: the key, whose it is, headers of the environment."""
        given = self._client.default_headers.items()
        known = {name: value for name, value in given if isinstance(value, str)}
        return bearer(self._key) | known | {"Accept": "application/binary"}


def metadata_of(submission: Submission) -> dict[str, str]:
    """Return what a submit puts into the batch's metadata; InvalidRequest when the tags do not fit."""
    wrong = wrong_tags(submission.tags)
    if wrong is not None:
        raise InvalidRequest(f"not sent: {wrong}")
    return submission.tags | {"name": submission.name[:LONGEST_VALUE], SUBMIT_KEY: submission.key}


def read_job(value: object, profile: str | None = None) -> RemoteJob:
    """Return a batch object of a server with that profile in common words; BadResponse when it is none."""
    batch = unwrapped_object(value)
    # A number alone may be anything's; with a status it is a batch's.
    remote_id = text(batch.get("id")) or (identifier(batch.get("id")) if text(batch.get("status")) else None)
    if remote_id is None:
        raise not_expected("a batch", value)
    raw = text(batch.get("status")) or ""
    status = STATUSES.get(raw.lower(), Status.UNKNOWN)
    metadata = {key: word for key, value in mapping(batch.get("metadata")).items() if (word := text(value))}
    total, succeeded, failed = _counts(mapping(batch.get("request_counts")))
    return RemoteJob(
        remote_id=remote_id,
        status=status,
        raw_status=raw,
        name=metadata.get("name") or metadata.get("job") or metadata.get("description"),
        created_at=time_ms(batch.get("created_at")),
        started_at=time_ms(batch.get("in_progress_at")),
        finished_at=_finished(batch) if status in TERMINAL else None,
        expires_at=time_ms(batch.get("expires_at")) or time_ms(batch.get("job_deadline")),
        model=text(batch.get("model")) or text(batch.get("model_id")),
        endpoint=text(batch.get("endpoint")),
        total=total,
        succeeded=succeeded,
        failed=failed,
        errors=_errors(batch.get("errors")) or _errors(batch.get("error")),
        usage=dict(mapping(batch.get("usage"))) or None,
        **_tokens(mapping(batch.get("usage")), status, succeeded),
        files={role: word for role, key in _FILES.items() if (word := text(batch.get(key)))},
        metadata=metadata,
        submit_key=metadata.get(SUBMIT_KEY),
        profile=profile,
    )


def _read_file(value: object) -> RemoteFile:
    return listed_file(value, lambda purpose: purpose.startswith("batch"))


def _page(value: object, read: Callable[[object], RemoteJob]) -> RemotePage:
    page = mapping(value)
    # A bare array is all there is, or a page of it: where nothing is promised, the next page shows.
    data = value if isinstance(value, list) else page.get("data")
    more = yes_or_no(page.get("has_more"))
    if data is None and more is False:  # an empty list, as some servers write it
        return RemotePage((), None)
    if not isinstance(data, list):
        raise not_expected("a list of batches", value)
    jobs = readable(items(data), read)
    if more is False:
        return RemotePage(jobs, None)
    if jobs:
        # Servers that leave ``has_more`` out: an empty page, or a repeated one, ends the list.
        return RemotePage(jobs, jobs[-1].remote_id, promised=bool(more))
    cursor = identifier(page.get("last_id"))
    if more and cursor is None:
        raise BadResponse("the list promises more after an empty page, and does not say where")
    return RemotePage((), cursor if more else None)


def _counts(counts: Mapping[str, object]) -> tuple[int | None, int | None, int | None]:
    """Total, succeeded, failed. All are zero before the file has been counted: unknown."""
    total, succeeded, failed = (whole(counts.get(key)) for key in ("total", "completed", "failed"))
    return (total, succeeded, failed) if total or succeeded or failed else (None, None, None)


def _tokens(usage: Mapping[str, object], status: Status, succeeded: int | None) -> dict[str, int | None]:
    """Return the tokens of a batch.

    Zeros are written before anything is counted, too: unknown, unless it has ended and nothing of it
    succeeded.
    """
    found = token_counts(usage)
    counted = any(found.values()) or (status in TERMINAL and not succeeded)
    return found if counted else {}


def _finished(batch: Mapping[str, object]) -> int | None:
    times = (time_ms(batch.get(key)) for key in _FINISHED)
    return max((moment for moment in times if moment is not None), default=None)


def _errors(value: object) -> tuple[RemoteError, ...]:
    """Read ``errors``.

    Documented is a list object with ``data``; some servers have a bare list, one error, or a plain text.
    """
    data = mapping(value).get("data")
    entries = items(data) or items(value)
    if not entries:
        entries = [error for error in (data, value) if error_words(error)][:1]
    return tuple(remote_error(entry, fallback="an error without a reason") for entry in entries)
