"""The adapter: ACME's seven calls, in jobdash's words."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from jobdash_acme import INFO

from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import Status
from jobdash.providers.base import RemotePage, Submission
from jobdash.providers.http_adapter import HttpAdapter
from jobdash.providers.json_values import items, mapping, readable, text, unix_ms, whole
from jobdash.providers.refusals import not_expected

STATUSES = {
    "waiting": Status.PENDING,
    "working": Status.IN_PROGRESS,
    "stopping": Status.CANCELLING,
    "stopped": Status.CANCELLED,
    "done": Status.COMPLETED,
}


class AcmeBatches(HttpAdapter):
    """One ACME account."""

    info = INFO

    @property
    def _sent(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"}

    async def _ask(self, method: str, path: str, **more: Any) -> object:
        call = self._http.client.request(method, self.origin + path, headers=self._sent, **more)
        return await self._http.ask(call)

    async def list(self, cursor: str | None = None, limit: int | None = None) -> RemotePage:
        asked = {"limit": str(limit or 100)} | ({"after": cursor} if cursor else {})
        page = mapping(await self._ask("GET", "/jobs", params=asked))
        return RemotePage(readable(items(page.get("jobs")), read_job), text(page.get("next")))

    async def get(self, remote_id: str) -> RemoteJob:
        return read_job(await self._ask("GET", f"/jobs/{remote_id}"))

    async def cancel(self, remote_id: str) -> RemoteJob:
        return read_job(await self._ask("POST", f"/jobs/{remote_id}/stop"))

    async def delete(self, remote_id: str) -> None:
        await self._ask("DELETE", f"/jobs/{remote_id}")

    async def delete_file(self, file_id: str) -> None:
        await self._ask("DELETE", f"/files/{file_id}")

    async def upload(self, submission: Submission) -> str:
        """Upload the input file; return its id."""
        content = submission.path.read_bytes()
        uploaded = mapping(await self._ask("POST", "/files", content=content))
        return self._uploaded(uploaded, text(uploaded.get("id")), uploaded)

    async def _get_file(self, file_id: str) -> Mapping[str, object]:
        return mapping(await self._ask("GET", f"/files/{file_id}"))

    async def create(self, submission: Submission, file_id: str) -> RemoteJob:
        wanted = {"file": file_id, "name": submission.name, "tag": submission.key}
        return read_job(await self._ask("POST", "/jobs", json=wanted))

    def result_roles(self, job: RemoteJob) -> tuple[str, ...]:
        return ("output",)

    def result_lines(self, job: RemoteJob, role: str) -> AsyncGenerator[bytes, None]:
        url = f"{self.origin}/jobs/{job.remote_id}/answers"
        return self._http.lines(self._http.download(url, self._sent))


def read_job(value: object) -> RemoteJob:
    """Return a job of ACME in common words."""
    job = mapping(value)
    remote_id, word = text(job.get("id")), text(job.get("state")) or ""
    if remote_id is None:
        raise not_expected("a job", value)
    return RemoteJob(
        remote_id=remote_id,
        status=STATUSES.get(word, Status.UNKNOWN),
        raw_status=word,
        name=text(job.get("name")),
        created_at=unix_ms(job.get("created")),
        total=whole(job.get("total")),
        succeeded=whole(job.get("answered")),
        submit_key=text(job.get("tag")),
    )
