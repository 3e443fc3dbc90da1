"""What adapters over HTTP share: the account's client, and uploaded files that are processed before use."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, ClassVar, Self

from jobdash.domain.account import Account, query_of
from jobdash.domain.provider_info import ProviderInfo
from jobdash.domain.remote_job import RemoteFile, RemoteJob
from jobdash.domain.text import redact
from jobdash.domain.time import Clock, system_clock
from jobdash.errors import BadResponse, InvalidRequest, NotFound
from jobdash.providers.base import FilePage, ResultLine, Submission
from jobdash.providers.http import Deadlines, HttpClient, opened
from jobdash.providers.json_values import (
    PENDING_FILE,
    REFUSED_FILE,
    mapping,
    rfc3339_ms,
    shown,
    text,
    time_ms,
    whole,
)
from jobdash.providers.refusals import not_expected
from jobdash.providers.registry import load_object
from jobdash.providers.results import ReadLine, result_line
from jobdash.providers.servers import key_of, origin_of

_PIECE = 1024 * 1024
"""How much of a file is read at once while it is sent, in bytes."""


class HttpAdapter(ABC):
    """One account of a provider whose API is asked through one `HttpClient`."""

    info: ClassVar[ProviderInfo]

    def __init__(
        self, account: Account, *, deadlines: Deadlines | None = None, clock: Clock = system_clock
    ) -> None:
        self._account = account
        self._key = key_of(account)
        self._deadlines = deadlines or Deadlines()
        self._clock = clock
        self._unprocessed: set[str] = set()
        """The uploaded files that are not processed yet."""
        self.profile = self.info.profile_of(account)
        here = self.info.with_profile(self.profile)
        self.capabilities = here.capabilities
        self._title = here.title
        self.origin = origin_of(account.base_url or here.base_url)

    async def __aenter__(self) -> Self:
        """Open the one client this adapter uses."""
        self._http = HttpClient(
            self.origin,
            deadlines=self._deadlines,
            clock=self._clock,
            query=query_of(self._account.base_url),
            headers=self._account.headers,
            key_header=self.profile.key_header,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the client."""
        await self._http.aclose()

    async def file_ready(self, file_id: str) -> bool:
        """Whether a batch can be made of a file; asks only for one whose upload was answered as pending.

        InvalidRequest when the provider has refused the file meanwhile.
        """
        if file_id not in self._unprocessed:
            return True
        file = await self._get_file(file_id)
        state = _file_state(file)
        if state in REFUSED_FILE:
            why = text(file.get("status_details")) or text(mapping(file.get("error")).get("message")) or state
            raise InvalidRequest(f"the provider refused the uploaded file: {redact(why)}")
        if state not in PENDING_FILE:
            self._unprocessed.discard(file_id)
        return file_id not in self._unprocessed

    @abstractmethod
    async def _get_file(self, file_id: str) -> Mapping[str, object]:
        """Return an uploaded file as the provider describes it."""

    def _uploaded(self, file: Mapping[str, object], file_id: str | None, answer: object) -> str:
        """Return the id of a file that was uploaded; BadResponse, with the answer, when there is none."""
        if file_id is None:
            raise shown(BadResponse("the provider answered an upload without the file's id"), answer)
        if _file_state(file) in PENDING_FILE:
            self._unprocessed.add(file_id)
        return file_id

    async def files(self, cursor: str | None = None) -> FilePage:
        """Refuse: unless an adapter says otherwise, its provider lists no files."""
        raise InvalidRequest(f"not sent: {self._title} has no list of files")

    @abstractmethod
    def result_roles(self, job: RemoteJob) -> tuple[str, ...]:
        """Return which files of results a batch has now, of ``output`` and ``error``."""

    @abstractmethod
    def result_lines(self, job: RemoteJob, role: str) -> AsyncGenerator[bytes, None]:
        """Stream a file of results as it was sent, line by line."""

    async def results(self, job: RemoteJob) -> AsyncGenerator[ResultLine, None]:
        """Stream results and errors line by line, those lines too that cannot be read."""
        read: ReadLine = load_object(self.info.result_reader)
        for role in self.result_roles(job):
            number = 0
            async with aclosing(self.result_lines(job, role)) as lines:
                async for raw in lines:
                    number += 1
                    line = result_line(raw, where=f"line {number} of the {role} file", read=read)
                    if line is not None:
                        yield line

    async def results_expire_at(self, job: RemoteJob) -> int | None:
        """Return when the output file expires, as the provider describes it; None where it does not say."""
        if "output" not in job.files:
            return None
        file = await self._get_file(job.files["output"])
        return time_ms(file.get("expires_at")) or rfc3339_ms(file.get("expirationTime"))

    def input_lines(self, job: RemoteJob) -> AsyncGenerator[bytes, None]:
        """Raise NotFound: unless an adapter says otherwise, its provider hands no input file out."""
        raise NotFound(f"{self._title} does not hand out the input file of {job.remote_id}")


class DirectAdapter(HttpAdapter):
    """One account of a provider whose API is asked without an SDK."""

    @abstractmethod
    def _headers(self) -> dict[str, str]:
        """Return what every request carries: the key, first of all."""

    def _url(self, path: str) -> str:
        """Return the address of a path after the version; a ``base_url`` may name that or not."""
        root = self.origin if self.origin.endswith("/v1") else f"{self.origin}/v1"
        return f"{root}/{path}"

    async def _ask(self, method: str, path: str, *, deadline: float | None = None, **more: Any) -> object:
        headers = self._headers() | more.pop("headers", {})
        call = self._http.client.request(method, self._url(path), headers=headers, **more)
        return await self._http.ask(call, deadline=deadline)

    def _lines(self, url: str) -> AsyncGenerator[bytes, None]:
        """Stream a download line by line."""
        return self._http.lines(self._http.download(url, self._headers()))


class WithoutFiles(HttpAdapter):
    """One account of a provider that keeps no files: a batch has its requests and its results in itself."""

    async def upload(self, submission: Submission) -> str:
        """Return that there is no file: its requests go with the creation."""
        return ""

    files = HttpAdapter.files

    async def delete_file(self, file_id: str) -> None:
        """Refuse: a batch has no files of its own."""
        raise InvalidRequest(
            f"not sent: {file_id} is not a file; {self._title} deletes results with their batch"
        )

    async def _get_file(self, file_id: str) -> Mapping[str, object]:
        raise NotFound(f"{self._title} keeps no file {file_id}")


class InlineRequests:
    """The body of a creation: an object that ends with the lines of a file as its ``requests``.

    It is made piece by piece as it is sent, and again if need be.
    """

    def __init__(
        self, path: Path, head: bytes = b"{", convert: Callable[[bytes], bytes] = bytes.strip
    ) -> None:
        """``head`` is what comes first; ``convert`` returns a line as a request, empty to leave it out."""
        self._path = path
        self._head = head
        self._convert = convert

    async def headers(self) -> dict[str, str]:
        """Return its type and length; raises where the file cannot be read, before anything is sent."""
        with opened(self._path):
            size = await asyncio.to_thread(lambda: sum(map(len, self._pieces())))
        return {"content-type": "application/json", "content-length": str(size)}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces."""
        pieces = self._pieces()
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece

    def _pieces(self) -> Iterator[bytes]:
        """Yield pieces of bounded size; none is empty."""
        with opened(self._path) as file:
            between = self._head + b'"requests":['
            while lines := file.readlines(_PIECE):
                found = [request for line in lines if (request := self._convert(line))]
                if found:
                    yield between + b",".join(found)
                    between = b","
            yield b"]}" if between == b"," else between + b"]}"


def expected(job: RemoteJob, remote_id: str) -> RemoteJob:
    """Return a batch that was asked for; BadResponse for another one."""
    if job.remote_id != remote_id:
        raise BadResponse(f"asked for {remote_id}, the provider answered {job.remote_id}")
    return job


def created(answer: object, read: Callable[[object], RemoteJob]) -> RemoteJob:
    """Read the answer to a creation; BadResponse, with the answer, when no batch is in it."""
    try:
        return read(answer)
    except BadResponse as error:
        raise shown(error, answer) from None


def listed_file(value: object, is_for_batches: Callable[[str], bool]) -> RemoteFile:
    """Read a file as OpenAI lists it, and others after it; BadResponse where it has no id.

    ``is_for_batches`` is asked with the file's purpose.
    """
    file = mapping(value)
    file_id = text(file.get("id"))
    if file_id is None:
        raise not_expected("a file", value)
    return RemoteFile(
        file_id,
        text(file.get("filename")),
        whole(file.get("bytes")) if "bytes" in file else whole(file.get("size_bytes")),
        time_ms(file.get("created_at")),
        time_ms(file.get("expires_at")),
        is_for_batches(text(file.get("purpose")) or ""),
    )


def _file_state(file: Mapping[str, object]) -> str:
    return (text(file.get("status")) or text(file.get("state")) or "").lower()
