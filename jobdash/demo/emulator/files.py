"""The files of one account: uploaded ones with their bytes, and those of batches, made when they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from jobdash.demo.emulator.batch import Batch


class Role(StrEnum):
    """What a file is to its batch."""

    INPUT = "input"
    OUTPUT = "output"
    ERRORS = "errors"


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file somebody uploaded."""

    id: str
    name: str
    created: float
    content: bytes
    purpose: str = ""
    mime_type: str = ""


@dataclass(frozen=True, slots=True)
class BatchFile:
    """A file that follows from a batch. It may not exist yet: the batch decides when it is asked for."""

    id: str
    batch: Batch
    role: Role


class FileStore:
    """Files by id, in the order they were made."""

    def __init__(self) -> None:
        self._files: dict[str, UploadedFile | BatchFile] = {}

    def add(self, file: UploadedFile | BatchFile) -> None:
        """Keep a file."""
        self._files[file.id] = file

    def get(self, file_id: str) -> UploadedFile | BatchFile | None:
        """The file of that id, unless it was deleted."""
        return self._files.get(file_id)

    def remove(self, file_id: str) -> None:
        """Delete a file; its batch goes on naming it, as at the providers."""
        self._files.pop(file_id, None)

    def newest_first(self, *, after: str | None = None) -> Iterator[UploadedFile | BatchFile]:
        """All files made before the file `after`; all, if there is none of that id."""
        files = list(self._files.values())
        if after in self._files:
            files = files[: list(self._files).index(after)]
        return reversed(files)
