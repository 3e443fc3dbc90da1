"""The size and the SHA-256 of files that are still being written."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import closing
from pathlib import Path

import pytest

from jobdash.operations.results.file_digest import FileDigest, FileFacts, file_facts


@pytest.mark.parametrize("pieces", [0, 1, 40])
def test_it_is_that_of_the_whole_file_however_it_grew(tmp_path: Path, pieces: int) -> None:
    path, expected = tmp_path / "file", hashlib.sha256()
    size = 0
    with path.open("wb", buffering=0) as file, closing(FileDigest(path)) as digest:
        for number in range(pieces):
            piece = bytes([number]) * (100_000 + number)
            file.write(piece)
            expected.update(piece)
            size += len(piece)
            if number % 3:
                digest.advance()
        assert digest.facts() == FileFacts(size, expected.hexdigest())
    assert file_facts(path) == FileFacts(size, expected.hexdigest())


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with closing(FileDigest(tmp_path / "none")) as digest:
        with pytest.raises(FileNotFoundError):
            digest.advance()
        with pytest.raises(FileNotFoundError):
            digest.facts()


def test_it_is_brought_to_disk_where_the_system_has_no_fdatasync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = threading.Event(), os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        synced.set()

    monkeypatch.delattr(os, "fdatasync")  # as on macOS
    monkeypatch.setattr(os, "fsync", noted)
    path = tmp_path / "file"
    path.write_bytes(b"text")
    with closing(FileDigest(path)) as digest:
        digest.advance()
        assert synced.wait(10)
        assert digest.facts() == FileFacts(4, hashlib.sha256(b"text").hexdigest())
