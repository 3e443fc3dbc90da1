"""The size and the SHA-256 of files, also of one that is still being written."""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

_READ = 1024 * 1024
"""Bytes that are hashed at once."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file as a manifest has it."""

    bytes: int
    sha256: str


class FileDigest:
    """The facts of a file, taken in a thread while another one writes it.

    The thread brings what is written to disk, too, so that little is left to do when the file is whole. It
    is started by `advance`: a small file is read at the end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = hashlib.sha256()
        self._size = 0
        self._file: FileIO | None = None
        self._buffer = memoryview(bytearray(_READ))
        self._thread: threading.Thread | None = None
        self._written = threading.Event()
        self._closed = False
        self._failed: OSError | None = None

    def advance(self) -> None:
        """Let the thread read what has been written since. Raises OSError."""
        if self._thread is None:
            self._file = FileIO(self._path)
            self._thread = threading.Thread(target=self._follow, name="jobdash-digest", daemon=True)
            self._thread.start()
        self._written.set()

    def facts(self) -> FileFacts:
        """Return the facts of the file, which is whole now, once it is on disk. Raises OSError."""
        self._end_thread()
        if self._failed is not None:
            raise self._failed
        if self._file is None:
            self._file = FileIO(self._path)
        self._read()
        if self._size:
            os.fsync(self._file.fileno())
        return FileFacts(self._size, self._digest.hexdigest())

    def close(self) -> None:
        """End the thread, and close its file; waits for what is on its way to the disk."""
        self._end_thread()
        if self._file is not None:
            self._file.close()

    def _end_thread(self) -> None:
        self._closed = True
        if self._thread is not None:
            self._written.set()
            self._thread.join()

    def _follow(self) -> None:
        assert self._file is not None
        to_disk = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync
        while self._written.wait() and not self._closed:
            self._written.clear()
            try:
                self._read()
                to_disk(self._file.fileno())
            except OSError as error:  # the system reports a failed write once
                self._failed = error
                return

    def _read(self) -> None:
        assert self._file is not None
        while size := self._file.readinto(self._buffer):
            self._digest.update(self._buffer[:size])
            self._size += size


def file_facts(path: Path) -> FileFacts:
    """Return the facts of a file. Raises OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return FileFacts(os.fstat(file.fileno()).st_size, digest.hexdigest())
