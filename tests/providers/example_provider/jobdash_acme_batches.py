"""The adapter: ACME's seven calls, in jobdash's words."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Self

from jobdash_acme import INFO

from jobdash.domain.account import Account
from jobdash.domain.status import Status
from jobdash.providers.base import RemoteError, RemoteJob, RemotePage, ResultLine, Submission
from jobdash.providers.http import Deadlines, HttpClient
from jobdash.providers.json_values import items, mapping, readable, text, unix_ms, whole
from jobdash.providers.refusals import not_expected
from jobdash.providers.servers import key_of, origin_of

STATUSES = {
    "waiting": Status.PENDING,
    "working": Status.IN_PROGRESS,
    "stopping": Status.CANCELLING,
    "stopped": Status.CANCELLED,
    "done": Status.COMPLETED,
}


class AcmeBatches:
    """One ACME account."""

    capabilities = INFO.capabilities

    def __init__(self, account: Account) -> None:
        self._account = account
        self._headers = {"Authorization": f"Bearer {key_of(account)}"}
        self.origin = origin_of(account.base_url or INFO.base_url)

    async def __aenter__(self) -> Self:
        self._http = HttpClient(self.origin, deadlines=Deadlines(), headers=self._account.headers)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._http.aclose()

    async def _ask(self, method: str, path: str, **more: Any) -> object:
        call = self._http.client.request(method, self.origin + path, headers=self._headers, **more)
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
        return text(uploaded.get("id")) or ""

    async def file_ready(self, file_id: str) -> bool:
        return True

    async def create(self, submission: Submission, file_id: str) -> RemoteJob:
        wanted = {"file": file_id, "name": submission.name, "tag": submission.key}
        return read_job(await self._ask("POST", "/jobs", json=wanted))

    async def results(self, job: RemoteJob) -> AsyncGenerator[ResultLine, None]:
        async with aclosing(self._http.lines(self._content(f"/jobs/{job.remote_id}/answers"))) as lines:
            async for raw in lines:
                line = json.loads(raw)
                error = RemoteError(line["error"]) if "error" in line else None
                yield ResultLine(line["id"], line.get("answer"), error)

    @asynccontextmanager
    async def _content(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._http.client.stream("GET", self.origin + path, headers=self._headers) as download:
            yield download.aiter_bytes()


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
