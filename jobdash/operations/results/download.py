"""The download of a batch's results: written, scanned and hashed as they arrive."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from jobdash.domain.remote_job import RemoteJob
from jobdash.errors import JobdashError, NotFound
from jobdash.operations.accounts.downloads import DownloadResults, OnLine, ResultRoles
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.context import AccountClient
from jobdash.operations.private_files import BUFFER, new_private_file
from jobdash.operations.results.file_digest import FileDigest
from jobdash.operations.results.folder import MISSING, RAW, RESULTS, ResultFolder
from jobdash.operations.results.held_folder import HeldFolder
from jobdash.operations.results.join import JoinedResults, ResultScan, join_results
from jobdash.providers.results import ReadLine

DELETED = "results were deleted at the provider (404)"
_ADVANCED_EVERY = 8 * 1024 * 1024
"""Bytes between two readings of what has been written."""


class ResultDownload:
    """One download of a batch's raw files into its folder, with the scan of their lines."""

    def __init__(
        self, folder: ResultFolder, held: HeldFolder, read: ReadLine, on_progress: Callable[[int], None]
    ) -> None:
        self._folder = folder
        self._held = held
        self._on_progress = on_progress
        self._digests: dict[str, FileDigest] = {}
        self._advanced = 0
        self._closed = False
        self.scan = ResultScan(read, folder.part(RESULTS))
        self.size = 0
        """Bytes of the raw files that are whole."""
        self.note = ""
        """What a person should know of it; empty for nothing."""

    async def run(self, remote: RemoteJob, caller: AccountClient, stop: CancelToken) -> list[str]:
        """Download the output and the error file; return the roles of those that hold something."""
        found: list[str] = []
        for role in await caller.call(ResultRoles(remote), stop=stop):
            target = self._folder.part(RAW[role])
            begin, progress = partial(self._begin, role), partial(self._progress, role)
            ask = DownloadResults(remote, target, stop, progress, begin, role=role)
            try:
                size = await caller.call(ask, stop=stop)
            except NotFound:
                self._restart(role)
                if await self._held.run(self._folder.take_earlier, RAW[role]):
                    await self._held.run(self.scan.scan, role, target)
                    found.append(role)
                    continue
                if role == "output":
                    raise JobdashError(DELETED) from None
                self.note = "its error file was deleted at the provider"
                continue
            self.size += size
            if size:
                found.append(role)
        return found

    def synced(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the facts of files, as the manifest has them, once they are on disk. Raises OSError."""
        facts: dict[str, Any] = {}
        for name in names:
            digest = self._digests.pop(name, None) or FileDigest(self._folder.part(name))
            with closing(digest):
                facts[name] = asdict(digest.facts())
        return facts

    def join(self, requests: Path | None, key_field: str, total: int | None) -> JoinedResults:
        """Join the results with their requests, in `RESULTS` and `MISSING`. Raises OSError."""
        part = self._folder.part(MISSING)
        with os.fdopen(new_private_file(part), "wb", buffering=BUFFER) as missing:
            joined = join_results(self.scan, missing, requests=requests, key_field=key_field, total=total)
        if not self.scan.in_arrival:
            self._forget(RESULTS)
        return joined

    def _forget(self, name: str) -> None:
        """Drop what is known of a file that is written anew."""
        if (digest := self._digests.pop(name, None)) is not None:
            # In a thread: it waits for the disk, and this may be in a loop that others need.
            threading.Thread(target=digest.close, name="jobdash-digest-end", daemon=True).start()

    def close(self) -> None:
        """Close all files; waits for what is on its way to the disk."""
        self._closed = True
        self.scan.close()
        for digest in list(self._digests.values()):  # an account's thread may just add one
            digest.close()

    def _begin(self, role: str) -> OnLine:
        self._restart(role)
        return self.scan.begin(role)

    def _restart(self, role: str) -> None:
        """Forget what an earlier try has brought."""
        self._advanced = self.size
        self._forget(RAW[role])
        if self.scan.drop(role):
            self._forget(RESULTS)

    def _progress(self, role: str, size: int) -> None:
        self._on_progress(self.size + size)
        if not self._closed and self.size + size >= self._advanced + _ADVANCED_EVERY:
            self._advanced = self.size + size
            for name in (RAW[role], RESULTS):
                if name not in self._digests:
                    self._digests[name] = FileDigest(self._folder.part(name))
                self._digests[name].advance()
