"""The adapter Protocol, and the frozen values an adapter returns."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from jobdash.domain.items import ItemStatus
from jobdash.domain.provider_info import Capabilities
from jobdash.domain.remote_job import RemoteError, RemoteFile, RemoteJob
from jobdash.domain.text import encodable


@dataclass(frozen=True, slots=True)
class RemotePage:
    """One page of a list; ``cursor`` asks for the next one, None at the end."""

    jobs: tuple[RemoteJob, ...]
    cursor: str | None
    promised: bool = True
    """Whether the server promises more; else the next page may be asked for, and may repeat this one."""


@dataclass(frozen=True, slots=True)
class FilePage:
    """One page of the files; ``cursor`` asks for the next one, None at the end."""

    files: tuple[RemoteFile, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Submission:
    """What a submit sends."""

    path: Path
    key: str
    """jobdash's key of this submit, found again in metadata or display name after a crash."""
    name: str
    model: str | None
    endpoint: str | None
    tags: dict[str, str]
    embeddings: bool = False
    """The file asks for embeddings, where these have a call of their own."""

    @property
    def file_name(self) -> str:
        """The name of its file, which any bytes may make up, as text."""
        return encodable(self.path.name)


class ResultLine(NamedTuple):
    """One request's answer: ``body`` when it succeeded, ``error`` when not; never both."""

    key: str
    body: Any
    error: RemoteError | None
    finish_reason: str | None = None
    """Why the answer ends where it does, in the provider's word; None where it names no reason."""
    cut_off: bool = False
    """The answer is not a whole one: its length was limited, or a content filter stopped it."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    """Those of the input tokens that came out of a cache."""
    readable: bool = True
    """Whether the line could be read; else ``key`` is made up from its place."""

    @property
    def outcome(self) -> ItemStatus:
        """The outcome of the request."""
        if self.error is not None:
            return ItemStatus.ERROR
        return ItemStatus.CUT_OFF if self.cut_off else ItemStatus.OK


class Adapter(Protocol):
    """One account of one provider, open in one event loop; constructed with the `Account` alone.

    Every method is one request (results, input, and an upload in parts, excepted), is never re-sent by the
    SDK, has a deadline, and raises only the `ProviderError` tree. Retrying is the caller's business.
    """

    capabilities: Capabilities
    origin: str
    """The server's identity, scheme and host with any path: with provider and remote id it names a job."""

    async def __aenter__(self) -> Self:
        """Open the one client this adapter uses."""

    async def __aexit__(self, *exc: object) -> None:
        """Close the client."""

    async def list(self, cursor: str | None = None, limit: int | None = None) -> RemotePage:
        """Return one page of batches."""

    async def get(self, remote_id: str) -> RemoteJob:
        """Return one batch; NotFound when the provider knows none."""

    async def cancel(self, remote_id: str) -> RemoteJob | None:
        """Ask for a cancel; the batch as answered, None where the provider answers nothing."""

    async def delete(self, remote_id: str) -> None:
        """Remove the batch's record at the provider; NotFound when it is gone already."""

    async def delete_file(self, file_id: str) -> None:
        """Delete one file; NotFound when it is gone already.

        ExpiresByItself, without asking, for one that the API cannot delete and that goes by itself.
        """

    async def files(self, cursor: str | None = None) -> FilePage:
        """Return one page of the files that the account keeps; InvalidRequest where there is no such list."""

    async def upload(self, submission: Submission) -> str:
        """Upload the file of a submit; its provider's file id, empty where it goes with the creation."""

    async def file_ready(self, file_id: str) -> bool:
        """Whether a batch can be made of an uploaded file; InvalidRequest when the provider refuses it."""

    async def create(self, submission: Submission, file_id: str) -> RemoteJob:
        """Create the batch from an uploaded file."""

    def results(self, job: RemoteJob) -> AsyncGenerator[ResultLine, None]:
        """Stream results and errors line by line, in the provider's order; to be closed if not read whole."""

    def result_roles(self, job: RemoteJob) -> tuple[str, ...]:
        """Return which files of results a batch has now, of ``output`` and ``error``; asks nothing."""

    def result_lines(self, job: RemoteJob, role: str) -> AsyncGenerator[bytes, None]:
        """Stream a file of results as it was sent: whole lines with their line ends, in bounded memory.

        `ProviderInfo.result_reader` reads such a line. NotFound when the provider deleted the file.
        """

    async def results_expire_at(self, job: RemoteJob) -> int | None:
        """Return when the provider deletes the results, milliseconds UTC; None where it does not say."""

    def input_lines(self, job: RemoteJob) -> AsyncGenerator[bytes, None]:
        """Stream the batch's input file likewise; NotFound where the provider does not hand it out."""
