"""Batches at Together, which has OpenAI's paths, and its own way to upload a file.

Facts are from https://docs.together.ai/docs/batch-inference and Together's Python client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin

from jobdash.domain.remote_job import RemoteJob
from jobdash.errors import BadResponse
from jobdash.providers.base import RemotePage, Submission
from jobdash.providers.http import REDIRECT_EXPECTED, bearer, opened
from jobdash.providers.json_values import mapping, text, unwrapped_object
from jobdash.providers.openai.batches import OpenAIBatches

_PIECE = 1024 * 1024
"""How much of a file is read at once while it is sent, in bytes."""


class TogetherBatches(OpenAIBatches):
    """One Together account."""

    def _read_job(self, value: object) -> RemoteJob:
        """Return a batch: Together counts no requests, and says how many percent of them are done."""
        job = super()._read_job(value)
        return replace(job, percent=_percent(unwrapped_object(value).get("progress")))

    async def list(self, cursor: str | None = None, limit: int | None = None) -> RemotePage:
        """Return all batches: an array, or null where there is none."""
        answered = await self._at_home(self._client.batches.list())
        return RemotePage((), None, promised=False) if answered is None else self._read_page(answered)

    async def upload(self, submission: Submission) -> str:
        """Ask for the upload address, send the file there, and have it processed."""
        path, wait = submission.path, self._deadlines.upload
        key = bearer(self._key)
        with opened(path):
            size = path.stat().st_size
        place = self._http.client.request(
            "POST",
            f"{self.origin}/files",
            data={"purpose": "batch-api", "file_name": submission.file_name, "file_type": "jsonl"},
            headers=key,
            follow_redirects=False,
            extensions={REDIRECT_EXPECTED: True},
        )
        answer = mapping(await self._at_home(place))
        target, file_id = text(answer.get("location")), text(answer.get("x-together-file-id"))
        if target is None or file_id is None:
            raise BadResponse("the server does not say where the file goes")
        # To a store of files, as a rule: it is not given the key.
        await self._http.ask(
            self._http.client.put(
                urljoin(self.origin, target), content=_Pieces(path), headers={"content-length": str(size)}
            ),
            deadline=wait,
        )
        seen = self._http.client.post(f"{self.origin}/files/{file_id}/preprocess", headers=key)
        return self._uploaded(unwrapped_object(await self._http.ask(seen, deadline=wait)), file_id, None)


def _percent(progress: object) -> int | None:
    if isinstance(progress, bool) or not isinstance(progress, int | float) or not 0 <= progress <= 100:
        return None
    return int(progress)


class _Pieces:
    """The content of a file, piece by piece, and again if need be."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with opened(self._path) as file:
            while piece := await asyncio.to_thread(file.read, _PIECE):
                yield piece
