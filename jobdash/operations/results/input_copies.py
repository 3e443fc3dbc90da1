"""Copies of submitted input files beside the store, with which results are joined."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from jobdash.operations.private_files import new_private_file
from jobdash.store.files import make_private_folder

_FOLDER = "inputs"
_SCRATCH = "retries"
_UNLOCKED_S = 60.0
"""How long a folder may stay unlocked after it was made."""
_CHUNK = 1024 * 1024


def input_copies(store: Path) -> Path:
    """Return the folder of the copies."""
    return store.parent / _FOLDER


def input_copy(store: Path, submit_key: str) -> Path:
    """Return where the copy of a submit's input file is, if there is one."""
    return input_copies(store) / f"{submit_key}.jsonl"


def keep_input_copy(
    source: Path, store: Path, submit_key: str, *, start: int = 0, size: int | None = None
) -> None:
    """Copy an input file, for its owner's eyes only; it appears whole or not at all. Raises OSError.

    ``start`` and ``size`` name a part of it, in bytes. A copy and no hard link: that would change with the
    file, and hide the person's own file from others.
    """
    target = input_copy(store, submit_key)
    make_private_folder(target.parent)
    part = target.with_suffix(".part")
    try:
        with source.open("rb") as read, os.fdopen(new_private_file(part), "wb") as write:
            read.seek(start)
            _copy(read, write, size)
            write.flush()
            os.fsync(write.fileno())
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


@contextmanager
def scratch_folder(store: Path) -> Iterator[Path]:
    """Make a folder beside the store for requests that are about to be sent; it goes with the block.

    Those of processes that were killed go first: their locks are free. Raises OSError.
    """
    place = store.parent / _SCRATCH
    make_private_folder(place)
    for left in place.iterdir():
        _remove_unlocked(left)
    folder = Path(tempfile.mkdtemp(dir=place))
    lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_unlocked(folder: Path) -> None:
    """Remove a folder unless a process has locked it, or has made it just now and is about to."""
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - os.fstat(lock).st_mtime > _UNLOCKED_S:
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _copy(read: BinaryIO, write: BinaryIO, size: int | None) -> None:
    left = size
    while chunk := read.read(_CHUNK if left is None else min(left, _CHUNK)):
        write.write(chunk)
        left = None if left is None else left - len(chunk)
    if left:
        raise OSError("the file has become shorter")


def delete_input_copy(store: Path, submit_key: str) -> bool:
    """Delete a copy; return whether there was one. Raises OSError."""
    copy = input_copy(store, submit_key)
    there = copy.exists()
    copy.unlink(missing_ok=True)
    return there


def drop_input_copy(store: Path, submit_key: str) -> None:
    """Delete a copy of which no batch came; one that cannot be deleted is no error."""
    with suppress(OSError):
        delete_input_copy(store, submit_key)
