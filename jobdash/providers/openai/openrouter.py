"""Batches at OpenRouter: requests go with the creation, and results are in the batch.

Facts are from https://openrouter.ai/docs/guides/features/batch-api and its reference.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Mapping
from typing import Any
from urllib.parse import quote

from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import TERMINAL, Status
from jobdash.errors import BadResponse
from jobdash.providers.base import Submission
from jobdash.providers.http import bearer
from jobdash.providers.http_adapter import InlineRequests, WithoutFiles, created
from jobdash.providers.json_values import decode_line, items, mapping, text, unwrapped_object, yes_or_no
from jobdash.providers.openai.batches import OpenAIBatches

_WITH_RESULTS = TERMINAL - {Status.FAILED}


class OpenRouterBatches(WithoutFiles, OpenAIBatches):
    """One OpenRouter account. A batch carries no metadata: its name and tags are known here alone."""

    async def create(self, submission: Submission, file_id: str) -> RemoteJob:
        """Create the batch from the file's lines; its endpoint and model have to come before them."""
        head = {"endpoint": submission.endpoint, "model": submission.model}
        body = InlineRequests(submission.path, json.dumps(head).encode()[:-1] + b",", _request)
        call = self._asked("POST", "batches", content=body, headers=await body.headers())
        return created(await self._http.ask(call, deadline=self._deadlines.upload), self._read_job)

    async def delete(self, remote_id: str) -> None:
        """Delete a batch with its results; refused before it has ended."""
        answered = await self._http.ask(self._asked("DELETE", _path(remote_id)))
        named = mapping(answered)
        if (
            answered is not None
            and text(named.get("id")) != remote_id
            and not yes_or_no(named.get("deleted"))
        ):
            raise BadResponse(f"the server does not say that {remote_id} is deleted")

    def result_roles(self, job: RemoteJob) -> tuple[str, ...]:
        """Return that a batch that has ended has one list of results, which has its errors, too."""
        return ("output",) if job.status in _WITH_RESULTS else ()

    async def result_lines(self, job: RemoteJob, role: str) -> AsyncGenerator[bytes, None]:
        """Yield the results, which come in one answer, as lines."""
        call = self._asked("GET", _path(job.remote_id))
        batch = unwrapped_object(await self._http.ask(call, deadline=self._deadlines.upload))
        for line in items(batch.get("results")):
            yield json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"

    def _asked(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> Awaitable[object]:
        given = bearer(self._key) | dict(headers or {})
        return self._http.client.request(method, f"{self.origin}/{path}", headers=given, **more)


def _path(remote_id: str) -> str:
    return f"batches/{quote(remote_id, safe='')}"


def _request(line: bytes) -> bytes:
    """Return a line as it goes with the creation, without what the batch names for all of them."""
    fields = mapping(decode_line(line)) if line.strip() else {}
    return json.dumps({name: fields[name] for name in ("custom_id", "body")}).encode() if fields else b""
