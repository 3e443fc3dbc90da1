"""Message Batches at Anthropic.

Facts are from https://platform.claude.com/docs/en/api/messages/batches unless noted otherwise.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from urllib.parse import quote, urlsplit

from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import Status
from jobdash.domain.time import DAY
from jobdash.errors import BadResponse
from jobdash.providers.anthropic.info import INFO
from jobdash.providers.base import RemotePage, Submission
from jobdash.providers.http_adapter import DirectAdapter, InlineRequests, WithoutFiles, created, expected
from jobdash.providers.json_values import items, mapping, readable, rfc3339_ms, text, whole, yes_or_no
from jobdash.providers.refusals import not_expected

VERSION = "2023-06-01"
"""The version that the documentation has; the SDK sends a later one, and the same batches come back."""
PAGE = 100
"""The list gives up to 1,000: too much for a poll that looks for what is new."""
RESULTS_KEPT_MS = 29 * DAY
"""From a batch's creation on."""
_UNDER_WAY = {"in_progress": Status.IN_PROGRESS, "canceling": Status.CANCELLING}
_ENDED = "ended"
_COUNTS = ("processing", "succeeded", "errored", "canceled", "expired")


class AnthropicBatches(WithoutFiles, DirectAdapter):
    """One Anthropic account; ``Account.api_version`` is the header ``anthropic-version``.

    A batch has no name, no metadata and no model, and its requests cannot be had back: all that is known of
    these is ours.
    """

    info = INFO

    def _headers(self) -> dict[str, str]:
        return {"x-api-key": self._key, "anthropic-version": self._account.api_version or VERSION}

    async def list(self, cursor: str | None = None, limit: int | None = None) -> RemotePage:
        """Return one page of batches, newest first; ``limit`` is at most 100."""
        asked = {"limit": str(min(limit or PAGE, PAGE))} | ({"after_id": cursor} if cursor else {})
        page = mapping(await self._ask("GET", "messages/batches", params=asked))
        if not isinstance(page.get("data"), list):
            raise not_expected("a list of batches", page)
        jobs = readable(items(page.get("data")), read_job)
        if not yes_or_no(page.get("has_more")):
            return RemotePage(jobs, None)
        last = text(page.get("last_id")) or (jobs[-1].remote_id if jobs else None)
        if last is None:
            raise BadResponse("the list promises more after an empty page, and does not say where")
        return RemotePage(jobs, last)

    async def get(self, remote_id: str) -> RemoteJob:
        """Return one batch; a 404 may pass, right after its creation and its end."""
        return expected(read_job(await self._ask("GET", _path(remote_id))), remote_id)

    async def cancel(self, remote_id: str) -> RemoteJob:
        """Ask for a cancel; what is being processed may still finish, and is charged."""
        return expected(read_job(await self._ask("POST", f"{_path(remote_id)}/cancel")), remote_id)

    async def delete(self, remote_id: str) -> None:
        """Delete a batch with its results; refused before it has ended."""
        answered = await self._ask("DELETE", _path(remote_id))
        if answered is not None and text(mapping(answered).get("id")) != remote_id:
            raise BadResponse(f"the provider does not say that {remote_id} is deleted")

    async def create(self, submission: Submission, file_id: str) -> RemoteJob:
        """Create the batch from the file's lines, which are read as they are sent."""
        body = InlineRequests(submission.path)
        answered = await self._ask(
            "POST",
            "messages/batches",
            content=body,
            headers=await body.headers(),
            deadline=self._deadlines.upload,
        )
        return created(answered, read_job)

    def result_roles(self, job: RemoteJob) -> tuple[str, ...]:
        """Return that an ended batch has one file, which has its errors, too."""
        return ("output",) if "output" in job.files else ()

    def result_lines(self, job: RemoteJob, role: str) -> AsyncGenerator[bytes, None]:
        """Stream the results; from the address that the batch names only if the key belongs there."""
        named = job.files[role]
        own = urlsplit(named)[:2] == urlsplit(self.origin)[:2]
        return self._lines(named if own else self._url(f"{_path(job.remote_id)}/results"))

    async def results_expire_at(self, job: RemoteJob) -> int | None:
        """Return when the results expire; the record stays."""
        if "output" not in job.files or job.created_at is None:
            return None
        return job.created_at + RESULTS_KEPT_MS


def _path(remote_id: str) -> str:
    return f"messages/batches/{quote(remote_id, safe='')}"


def read_job(value: object) -> RemoteJob:
    """Return a batch in common words; BadResponse when it is none."""
    batch = mapping(value)
    remote_id = text(batch.get("id"))
    raw = text(batch.get("processing_status"))
    if remote_id is None or raw is None:
        raise not_expected("a batch", value)
    ended, tally = raw == _ENDED, mapping(batch.get("request_counts"))
    processing, *counts = (whole(tally.get(name)) for name in _COUNTS)
    total = sum(count or 0 for count in (processing, *counts))
    # Until the end all of them are "processing": nothing is known of how far it is.
    known = counts if ended or any(counts) else [None] * len(counts)
    succeeded, errored, canceled, expired = known
    if ended:
        status = _outcome(canceled, expired, cancelled=bool(batch.get("cancel_initiated_at")))
    else:
        status = _UNDER_WAY.get(raw, Status.UNKNOWN)
    results = text(batch.get("results_url"))
    if ended and results is None:
        results = f"/v1/{_path(remote_id)}/results"
    return RemoteJob(
        remote_id=remote_id,
        status=status,
        raw_status=raw,
        name=None,
        created_at=rfc3339_ms(batch.get("created_at")),
        finished_at=rfc3339_ms(batch.get("ended_at")) if ended else None,
        expires_at=rfc3339_ms(batch.get("expires_at")),
        total=total or None,
        succeeded=succeeded,
        failed=errored,
        cancelled=canceled,
        expired=expired,
        files={"output": results} if results else {},
    )


def _outcome(canceled: int | None, expired: int | None, *, cancelled: bool) -> Status:
    """Return the status of an ended batch: the provider says no more than how its requests ended."""
    if cancelled and canceled:
        return Status.CANCELLED
    if expired and not canceled:
        return Status.EXPIRED
    return Status.COMPLETED
