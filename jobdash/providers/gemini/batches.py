"""Batches at the Gemini Developer API.

Facts are from https://ai.google.dev/gemini-api/docs/batch-api and its REST reference unless noted otherwise.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Self
from urllib.parse import quote

from google import genai
from google.genai import types

from jobdash.domain.remote_job import RemoteError, RemoteFile, RemoteJob
from jobdash.domain.status import TERMINAL, Status
from jobdash.errors import ExpiresByItself, InvalidRequest, NotFound, Unavailable
from jobdash.providers.base import FilePage, RemotePage, Submission
from jobdash.providers.gemini.info import INFO
from jobdash.providers.gemini.inline import OperationReader
from jobdash.providers.http import opened
from jobdash.providers.http_adapter import HttpAdapter, created, expected
from jobdash.providers.json_values import items, mapping, readable, rfc3339_ms, text, whole
from jobdash.providers.refusals import answered_error, not_expected
from jobdash.providers.results import remote_error

API_VERSION = "v1beta"
"""What the public documentation of batches uses; the SDK's own default is v1."""
PAGE = 50
"""Batches with inline results make a list heavy: small pages."""
FILES_PAGE = 100
"""The largest page of the list of files."""

WINDOW_MS = 48 * 3600 * 1000
"""A batch that has not ended 48 hours after its creation expires; the API names no time."""
LONGEST_DELETABLE_FILE_ID = 40
"""Result files have longer ids, and the Files API refuses those (issues of googleapis/python-genai)."""

TOO_LARGE = "its inline results are too large for Gemini to hand out; submit by file"
_TOO_LARGE = frozenset({503, 504})
"""Answered for ever where a batch carries some gigabyte of inline results."""

_LONGEST_NAME = 400
_VERSIONED = re.compile(r"/v\d+\w*$")
_SIGNED = re.compile(r"(?P<name>.*?)\s*\[jobdash:(?P<key>[^\[\]\s]+)\]", re.DOTALL)

STATUSES = {
    "UNSPECIFIED": Status.PENDING,
    "PENDING": Status.PENDING,
    "QUEUED": Status.PENDING,
    "RUNNING": Status.IN_PROGRESS,
    "UPDATING": Status.IN_PROGRESS,
    "CANCELLING": Status.CANCELLING,
    "SUCCEEDED": Status.COMPLETED,
    "PARTIALLY_SUCCEEDED": Status.COMPLETED,
    "FAILED": Status.FAILED,
    "CANCELLED": Status.CANCELLED,
    "EXPIRED": Status.EXPIRED,
}
"""By the state without its prefix: ``BATCH_STATE_`` on the wire, ``JOB_STATE_`` in the SDK and at Vertex."""

_CANCELLED_CODE = 1
"""google.rpc.Code.CANCELLED, https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto"""


class GeminiBatches(HttpAdapter):
    """One Gemini account; ``Account.api_version`` is the API's version, v1beta when it names none."""

    info = INFO

    async def __aenter__(self) -> Self:
        """Open the client, and the SDK over it."""
        await super().__aenter__()
        self._version = self._account.api_version or API_VERSION
        self._sdk = genai.Client(
            api_key=self._key,
            vertexai=False,  # else GOOGLE_GENAI_USE_VERTEXAI in the environment would choose another API
            http_options=types.HttpOptions(
                base_url=self.origin,
                api_version=self._version,
                httpx_async_client=self._http.client,
                client_args={"verify": self._http.trust},
                async_client_args={"ssl": self._http.trust},
            ),
        )
        self._batches, self._files = self._sdk.aio.batches, self._sdk.aio.files
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the client, and the unused synchronous one the SDK made beside it."""
        self._sdk.close()
        await super().__aexit__(*exc)

    async def list(self, cursor: str | None = None, limit: int | None = None) -> RemotePage:
        """Return one page of batches; ``limit`` is at most 50."""
        config = types.ListBatchJobsConfig(page_size=min(limit or PAGE, PAGE), page_token=cursor)
        try:
            page = await self._http.ask(self._batches.list(config=config))
        except NotFound as error:
            if not _VERSIONED.search(self.origin):
                raise
            words = (
                f"{error}; base_url {self._account.shown_url} names a version: leave it out, set api_version"
            )
            raise error.reworded(words) from None
        if not isinstance(page, dict):
            raise not_expected("a list of batches", page)
        jobs = readable(items(page.get("operations")), read_job)
        return RemotePage(jobs, text(page.get("nextPageToken")))

    async def get(self, remote_id: str) -> RemoteJob:
        """Return one batch. Inline results that come with it are passed over, never held."""
        reader = OperationReader()
        try:
            async with (
                asyncio.timeout(self._deadlines.call),
                aclosing(self._inline(remote_id, reader)) as lines,
            ):
                async for _line in lines:
                    pass
        except TimeoutError:
            raise Unavailable("no answer in time") from None
        value = reader.rest()
        if (refused := answered_error(value)) is not None:
            raise refused
        return expected(read_job(value), remote_id)

    async def cancel(self, remote_id: str) -> None:
        """Ask for a cancel; the provider answers nothing, and knows no word for a cancel under way."""
        await self._http.ask(self._batches.cancel(name=remote_id))

    async def delete(self, remote_id: str) -> None:
        """Remove the batch's record; this does not stop a batch that is still running."""
        await self._http.ask(self._batches.delete(name=remote_id))

    async def delete_file(self, file_id: str) -> None:
        """Delete one file; ExpiresByItself, without asking, for a result file, whose id is too long."""
        if len(file_id.removeprefix("files/")) > LONGEST_DELETABLE_FILE_ID:
            raise ExpiresByItself(
                f"not sent: Gemini cannot delete {file_id}, ids over {LONGEST_DELETABLE_FILE_ID} characters "
                "are refused; it expires by itself"
            )
        await self._http.ask(self._files.delete(name=file_id))

    async def files(self, cursor: str | None = None) -> FilePage:
        """Return one page of the project's files; that one is of a batch shows in its type alone."""
        config = types.ListFilesConfig(page_size=FILES_PAGE, page_token=cursor)
        page = mapping(await self._http.ask(self._files.list(config=config)))
        files = readable(items(page.get("files")), _read_file)
        return FilePage(files, text(page.get("nextPageToken")))

    async def upload(self, submission: Submission) -> str:
        """Upload the file of a submit, read piece by piece as it is sent."""
        config = types.UploadFileConfig(display_name=signed_name(submission), mime_type="jsonl")
        with opened(submission.path) as file:
            call = self._files.upload(file=file, config=config)
            answer = await self._http.ask(call, deadline=self._deadlines.upload)
        uploaded = mapping(mapping(answer).get("file")) or mapping(answer)
        return self._uploaded(uploaded, text(uploaded.get("name")), answer)

    async def _get_file(self, file_id: str) -> Mapping[str, object]:
        return mapping(await self._http.ask(self._files.get(name=file_id)))

    async def create(self, submission: Submission, file_id: str) -> RemoteJob:
        """Create the batch from an uploaded file; our key goes into the display name, tags have no place."""
        if not submission.model:
            raise InvalidRequest("not sent: a Gemini batch needs a model")
        if submission.embeddings:
            return read_job(await self._http.ask(self._create_embeddings(submission, file_id)))
        call = self._batches.create(
            model=submission.model,
            src=file_id,
            config=types.CreateBatchJobConfig(display_name=signed_name(submission)),
        )
        return created(await self._http.ask(call), read_job)

    async def _create_embeddings(self, submission: Submission, file_id: str) -> None:
        # The SDK's own call for it warns on standard error that it is experimental.
        model = (submission.model or "").removeprefix("models/")
        batch = {"displayName": signed_name(submission), "inputConfig": {"fileName": file_id}}
        await self._http.client.post(
            f"{self.origin}/{self._version}/models/{quote(model, safe='')}:asyncBatchEmbedContent",
            json={"batch": batch},
            headers={"x-goog-api-key": self._key},
        )

    def result_roles(self, job: RemoteJob) -> tuple[str, ...]:
        """Return that an ended batch has one file; a list does not show whether its results are inline."""
        return ("output",) if "output" in job.files or job.status in TERMINAL else ()

    async def result_lines(self, job: RemoteJob, role: str) -> AsyncGenerator[bytes, None]:
        """Stream the result file; where none is known, the answers that the batch carries inline.

        Unavailable, with what to do, where Gemini cannot hand inline results out for their size.
        """
        file_id = job.files.get(role)
        if file_id is None:
            reader = OperationReader()
            try:
                async with aclosing(self._inline(job.remote_id, reader)) as lines:
                    async for line in lines:
                        yield line
            except Unavailable as error:
                if error.status not in _TOO_LARGE:
                    raise
                raise error.reworded(f"{TOO_LARGE} ({error.status})") from None
            file_id = None if reader.answers else read_job(reader.rest()).files.get(role)
        if file_id is not None:
            path = f"files/{file_id.removeprefix('files/')}:download"
            async with aclosing(self._http.lines(self._download(path, alt="media"))) as lines:
                async for line in lines:
                    yield line

    async def _inline(self, remote_id: str, reader: OperationReader) -> AsyncGenerator[bytes, None]:
        """Stream a batch through a reader; yields its inline answers, and reads no further than needed."""
        if not self.info.claims(remote_id):
            raise InvalidRequest(f"not sent: {remote_id} is not the id of a batch at Gemini")
        async with aclosing(self._http.chunks(self._download(remote_id))) as chunks:
            async for chunk in chunks:
                for line in reader.feed(chunk):
                    yield line
                if reader.complete:
                    return

    def _download(self, path: str, **params: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        url = f"{self.origin}/{self._version}/{path}"
        return self._http.download(url, {"x-goog-api-key": self._key}, **params)


def signed_name(submission: Submission) -> str:
    """Return the display name a submit gives: ``nightly-eval [jobdash:KEY]``."""
    return f"{submission.name[:_LONGEST_NAME].strip()} [jobdash:{submission.key}]".strip()


def unsigned_name(display_name: str | None) -> tuple[str | None, str | None]:
    """Return the name and our key from a display name; the key is None where jobdash did not sign."""
    match = _SIGNED.fullmatch(display_name or "")
    return (match["name"] or None, match["key"]) if match else (display_name, None)


def _read_file(value: object) -> RemoteFile:
    file = mapping(value)
    name = text(file.get("name"))
    if name is None:
        raise not_expected("a file", value)
    lines = "json" in (text(file.get("mimeType")) or "")
    return RemoteFile(
        name,
        text(file.get("displayName")),
        whole(file.get("sizeBytes")),
        rfc3339_ms(file.get("createTime")),
        rfc3339_ms(file.get("expirationTime")),
        lines or text(file.get("source")) == "GENERATED",
    )


def read_job(value: object) -> RemoteJob:
    """Read a batch, which is an operation, into common words; BadResponse when it is none."""
    operation = mapping(value)
    remote_id = text(operation.get("name"))
    if remote_id is None or not remote_id.startswith("batches/"):
        raise not_expected("a batch", value)
    metadata = mapping(operation.get("metadata"))
    status, raw = _status(operation, metadata)
    name, submit_key = unsigned_name(text(metadata.get("displayName")))
    created = rfc3339_ms(metadata.get("createTime"))
    total, succeeded, failed = _counts(mapping(metadata.get("batchStats")))
    return RemoteJob(
        remote_id=remote_id,
        status=status,
        raw_status=raw,
        name=name,
        created_at=created,
        finished_at=rfc3339_ms(metadata.get("endTime")) if status in TERMINAL else None,
        expires_at=created + WINDOW_MS if created is not None and status not in TERMINAL else None,
        model=_model(metadata.get("model")),
        total=total,
        succeeded=succeeded,
        failed=failed,
        # That it was cancelled is no error of a cancelled batch.
        errors=() if status is Status.CANCELLED else _errors(operation.get("error")),
        files=_file_ids(operation, metadata),
        submit_key=submit_key,
    )


def _status(operation: Mapping[str, object], metadata: Mapping[str, object]) -> tuple[Status, str]:
    """The common and the raw word. An operation without a state still shows whether, and how, it ended."""
    raw = text(metadata.get("state"))
    if raw is not None:
        word = raw.removeprefix("BATCH_STATE_").removeprefix("JOB_STATE_")
        return STATUSES.get(word, Status.UNKNOWN), raw
    if operation.get("done") is not True:
        return Status.UNKNOWN, ""
    if not operation.get("error"):
        return Status.COMPLETED, "done"
    cancelled = mapping(operation["error"]).get("code") == _CANCELLED_CODE
    return (Status.CANCELLED if cancelled else Status.FAILED), "done with an error"


def _counts(stats: Mapping[str, object]) -> tuple[int | None, int | None, int | None]:
    """Total, succeeded, failed. Google leaves a zero out, so what is missing beside a total is 0."""
    total = whole(stats.get("requestCount"))
    if not total:
        return None, None, None
    return total, whole(stats.get("successfulRequestCount", 0)), whole(stats.get("failedRequestCount", 0))


def _outputs(operation: Mapping[str, object]) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """Where a result may stand: in ``metadata.output``, or in ``response`` alone."""
    return mapping(mapping(operation.get("metadata")).get("output")), mapping(operation.get("response"))


def _file_ids(operation: Mapping[str, object], metadata: Mapping[str, object]) -> dict[str, str]:
    outputs = (text(output.get("responsesFile")) for output in _outputs(operation))
    found = {
        "input": text(mapping(metadata.get("inputConfig")).get("fileName")),
        "output": next((name for name in outputs if name), None),
    }
    return {role: name for role, name in found.items() if name}


def _model(value: object) -> str | None:
    model = text(value)
    return model.removeprefix("models/") if model else None


def _errors(value: object) -> tuple[RemoteError, ...]:
    return (remote_error(value, fallback="an error without a reason"),) if value else ()
