"""Requests that stream a batch's files from its provider into files here."""

from __future__ import annotations

import asyncio
import os
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from jobdash.domain.remote_job import RemoteJob
from jobdash.errors import BadResponse
from jobdash.operations.accounts.rate_limiter import CancelToken, NotSent, RequestKind
from jobdash.operations.accounts.session import Request
from jobdash.operations.private_files import BUFFER, new_private_file
from jobdash.providers.base import Adapter

OnBytes = Callable[[int], None]
"""Called with the number of bytes written so far, in the account's thread."""
OnLine = Callable[[bytes], None]
"""Called with each line, in the account's thread."""
_REPORTED_EVERY = 1024 * 1024
"""Bytes between two reports of progress."""


@dataclass(frozen=True, slots=True)
class ResultRoles(Request[tuple[str, ...]]):
    """Which files of results a batch has; the adapter knows it without asking."""

    kind: ClassVar = RequestKind.QUESTION
    job: RemoteJob

    async def send(self, adapter: Adapter) -> tuple[str, ...]:
        """Return the roles."""
        return adapter.result_roles(self.job)


@dataclass(frozen=True, slots=True)
class ResultsExpireAt(Request[int | None]):
    """When a batch's results are deleted at its provider, milliseconds UTC; None where that is not known."""

    kind: ClassVar = RequestKind.QUESTION
    job: RemoteJob

    async def send(self, adapter: Adapter) -> int | None:
        """Ask for the output file."""
        return await adapter.results_expire_at(self.job)


@dataclass(frozen=True, slots=True)
class Download(Request[int]):
    """A file of a batch, streamed into ``target``; answers its size.

    A second try begins anew: what of the file is there is overwritten. Raises OSError when it cannot be
    written, NotSent when ``stop`` is set meanwhile.
    """

    kind: ClassVar = RequestKind.QUESTION
    long: ClassVar = True
    job: RemoteJob
    target: Path
    stop: CancelToken
    on_bytes: OnBytes = lambda _size: None
    on_begin: Callable[[], OnLine] | None = None
    """Called as each try begins; what it returns is called with each line."""
    within: float = 6 * 3600.0
    """Seconds for all of it: a download that drips would hold its place in the account's queue for ever."""

    @abstractmethod
    def lines(self, adapter: Adapter) -> AsyncGenerator[bytes, None]:
        """Return the file's lines."""

    async def send(self, adapter: Adapter) -> int:
        """Stream the file, in bounded memory."""
        try:
            async with asyncio.timeout(self.within):
                return await self._write(adapter)
        except TimeoutError:
            raise BadResponse(f"the file was not read within {self.within:g} s") from None

    async def _write(self, adapter: Adapter) -> int:
        size = reported = 0
        on_line = None if self.on_begin is None else self.on_begin()
        with os.fdopen(new_private_file(self.target), "wb", buffering=BUFFER) as file:
            async with aclosing(self.lines(adapter)) as lines:
                async for line in lines:
                    if self.stop.is_set():
                        raise NotSent("stopped")
                    file.write(line)
                    size += len(line)
                    if on_line is not None:
                        on_line(line)
                    if size - reported >= _REPORTED_EVERY:
                        reported = size
                        self.on_bytes(size)
        self.on_bytes(size)
        return size


@dataclass(frozen=True, slots=True)
class DownloadResults(Download):
    """The output or the error file of a batch, or its inline results."""

    role: str = "output"

    def lines(self, adapter: Adapter) -> AsyncGenerator[bytes, None]:
        """Return the lines of the results, as they were sent."""
        return adapter.result_lines(self.job, self.role)


@dataclass(frozen=True, slots=True)
class DownloadInput(Download):
    """The input file of a batch, where its provider hands it out."""

    def lines(self, adapter: Adapter) -> AsyncGenerator[bytes, None]:
        """Return the lines of the requests."""
        return adapter.input_lines(self.job)
