"""Batch jobs at Mistral.

Facts are from https://docs.mistral.ai/api/#tag/batch and the SDK's own types unless noted otherwise.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from urllib.parse import quote

from jobdash.domain.remote_job import RemoteError, RemoteFile, RemoteJob
from jobdash.domain.status import Status
from jobdash.errors import BadResponse, InvalidRequest, NotFound
from jobdash.providers.base import FilePage, RemotePage, Submission
from jobdash.providers.http import bearer, opened
from jobdash.providers.http_adapter import DirectAdapter, created, expected, listed_file
from jobdash.providers.json_values import identifier, items, mapping, readable, text, time_ms, whole
from jobdash.providers.mistral.info import INFO
from jobdash.providers.refusals import not_expected
from jobdash.providers.results import remote_error

PAGE = 100
SUBMIT_KEY = "jobdash_key"
"""The metadata entry that carries jobdash's key of a submit."""
TIMEOUT_HOURS = 24
LONGEST_NAME = 512

STATUSES = {
    "QUEUED": Status.PENDING,
    "RUNNING": Status.IN_PROGRESS,
    "SUCCESS": Status.COMPLETED,
    "FAILED": Status.FAILED,
    "TIMEOUT_EXCEEDED": Status.EXPIRED,
    "CANCELLATION_REQUESTED": Status.CANCELLING,
    "CANCELLED": Status.CANCELLED,
}
"""The API may send others: those count as unfinished."""
_RESULTS = {"output": "output_file", "error": "error_file"}
_INLINE = "inline"
"""In the place of an output file: the batch has its results in itself."""


class MistralBatches(DirectAdapter):
    """One Mistral account."""

    info = INFO

    def _headers(self) -> dict[str, str]:
        return bearer(self._key)

    async def list(self, cursor: str | None = None, limit: int | None = None) -> RemotePage:
        """Return one page of batches, newest first; ``limit`` is at most 100."""
        size, number = min(limit or PAGE, PAGE), int(cursor or 0)
        asked = {"page": str(number), "page_size": str(size), "order_by": "-created"}
        page = mapping(await self._ask("GET", "batch/jobs", params=asked))
        total = whole(page.get("total"))
        if not isinstance(page.get("data"), list) and total != 0:
            raise not_expected("a list of batches", page)
        entries = items(page.get("data"))
        jobs = readable(entries, read_job)
        return RemotePage(jobs, _after(number, size, len(entries), total), promised=total is not None)

    async def get(self, remote_id: str) -> RemoteJob:
        """Return one batch, without inline results."""
        return expected(read_job(await self._ask("GET", _path(remote_id))), remote_id)

    async def cancel(self, remote_id: str) -> RemoteJob:
        """Ask for a cancel."""
        return expected(read_job(await self._ask("POST", f"{_path(remote_id)}/cancel")), remote_id)

    async def delete(self, remote_id: str) -> None:
        """Remove the batch's record; its files stay."""
        _check_deleted(await self._ask("DELETE", _path(remote_id)), remote_id)

    async def delete_file(self, file_id: str) -> None:
        """Delete one file."""
        _check_deleted(await self._ask("DELETE", _file(file_id)), file_id)

    async def files(self, cursor: str | None = None) -> FilePage:
        """Return one page of the account's files."""
        number = int(cursor or 0)
        asked = {"page": str(number), "page_size": str(PAGE)}
        page = mapping(await self._ask("GET", "files", params=asked))
        if not isinstance(page.get("data"), list):
            raise not_expected("a list of files", page)
        found = readable(items(page.get("data")), _read_file)
        return FilePage(found, _after(number, PAGE, len(found), whole(page.get("total"))))

    async def upload(self, submission: Submission) -> str:
        """Upload the file of a submit, read piece by piece as it is sent."""
        with opened(submission.path) as file:
            answer = await self._ask(
                "POST",
                "files",
                data={"purpose": "batch"},
                files={"file": (submission.file_name, file, "application/jsonl")},
                deadline=self._deadlines.upload,
            )
        uploaded = mapping(answer)
        return self._uploaded(uploaded, identifier(uploaded.get("id")), answer)

    async def _get_file(self, file_id: str) -> Mapping[str, object]:
        return mapping(await self._ask("GET", _file(file_id)))

    async def create(self, submission: Submission, file_id: str) -> RemoteJob:
        """Create the batch from an uploaded file; our key, its name and its tags go into the metadata."""
        if not (submission.model and submission.endpoint):
            raise InvalidRequest("not sent: a Mistral batch needs a model and an endpoint")
        wanted = {
            "endpoint": submission.endpoint,
            "input_files": [file_id],
            "model": submission.model,
            "metadata": submission.tags
            | {"name": submission.name[:LONGEST_NAME], SUBMIT_KEY: submission.key},
            "timeout_hours": TIMEOUT_HOURS,
        }
        return created(await self._ask("POST", "batch/jobs", json=wanted), read_job)

    def result_roles(self, job: RemoteJob) -> tuple[str, ...]:
        """Return the files a batch names; an answer is in the one, an error in the other."""
        return tuple(role for role in _RESULTS if role in job.files)

    async def result_lines(self, job: RemoteJob, role: str) -> AsyncGenerator[bytes, None]:
        """Stream the output or the error file as it was sent; inline results as lines."""
        if job.files[role] == _INLINE:
            value = mapping(await self._ask("GET", _path(job.remote_id), params={"inline": "true"}))
            for entry in items(value.get("outputs")):
                yield json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
            return
        async with aclosing(self._lines(self._url(f"{_file(job.files[role])}/content"))) as lines:
            async for line in lines:
                yield line

    async def results_expire_at(self, job: RemoteJob) -> int | None:
        """Return when the output file expires; None where it does not say, and for inline results."""
        return None if job.files.get("output") == _INLINE else await super().results_expire_at(job)

    def input_lines(self, job: RemoteJob) -> AsyncGenerator[bytes, None]:
        """Stream the input file, where there is one."""
        if "input" not in job.files:
            raise NotFound(f"{job.remote_id} names no input file, or several")
        return self.result_lines(job, "input")


def _after(number: int, size: int, found: int, total: int | None) -> str | None:
    """Return the cursor after a page of ``size`` that has ``found`` entries; None at the end."""
    more = found == size if total is None else (number + 1) * size < total and found > 0
    return str(number + 1) if more else None


def _path(remote_id: str) -> str:
    return f"batch/jobs/{quote(remote_id, safe='')}"


def _file(file_id: str) -> str:
    return f"files/{quote(file_id, safe='')}"


def _check_deleted(answer: object, what: str) -> None:
    """Raise BadResponse for an answer that does not say so; one without a word (204) is a yes."""
    deleted = mapping(answer)
    if answer is not None and (deleted.get("id") != what or deleted.get("deleted") is False):
        raise BadResponse(f"the provider does not say that {what} is deleted")


def read_job(value: object) -> RemoteJob:
    """Return a batch in common words; BadResponse when it is none."""
    batch = mapping(value)
    remote_id, raw = text(batch.get("id")), text(batch.get("status"))
    if remote_id is None or raw is None:
        raise not_expected("a batch", value)
    metadata = {key: word for key, entry in mapping(batch.get("metadata")).items() if (word := text(entry))}
    status = STATUSES.get(raw.upper(), Status.UNKNOWN)
    counts = [whole(batch.get(f"{word}_requests")) for word in ("total", "succeeded", "failed")]
    # All are zero before the file has been read: unknown.
    total, succeeded, failed = counts if any(counts) else (None, None, None)
    return RemoteJob(
        remote_id=remote_id,
        status=status,
        raw_status=raw,
        name=metadata.get("name"),
        created_at=time_ms(batch.get("created_at")),
        started_at=time_ms(batch.get("started_at")),
        finished_at=time_ms(batch.get("completed_at")),
        model=text(batch.get("model")) or text(batch.get("agent_id")),
        endpoint=text(batch.get("endpoint")),
        total=total,
        succeeded=succeeded,
        failed=failed,
        errors=tuple(_error(entry) for entry in items(batch.get("errors"))),
        files=_files(batch, status),
        metadata=metadata,
        submit_key=metadata.get(SUBMIT_KEY),
    )


def _error(value: object) -> RemoteError:
    """Read ``{message, count}``."""
    error = remote_error(value, fallback="an error without a reason")
    count = whole(mapping(value).get("count")) or 1
    return error if count == 1 else RemoteError(f"{error.message} ({count:,} times)", code=error.code)


def _files(batch: Mapping[str, object], status: Status) -> dict[str, str]:
    """Return the files of a batch; of several inputs none is the requests."""
    found = {role: word for role, name in _RESULTS.items() if (word := text(batch.get(name)))}
    inputs = [word for entry in items(batch.get("input_files")) if (word := text(entry))]
    if len(inputs) == 1:
        found["input"] = inputs[0]
    if not found and not inputs and status is Status.COMPLETED:
        found["output"] = _INLINE
    return found


def _read_file(value: object) -> RemoteFile:
    return listed_file(value, lambda purpose: purpose == "batch")
