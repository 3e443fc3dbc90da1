"""Making a fresh store: complete, private, and under its own name only when it is whole."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from jobdash.domain.text import clean
from jobdash.errors import StoreError
from jobdash.store.connections import SCHEMA_FILE, translated
from jobdash.store.files import real_path, refuse_foreign, side_files

Notice = Callable[[str], None]
"""Is given a sentence that a person has to read."""


def ignore(_sentence: str) -> None:
    """Report nothing."""


def create_store(path: Path, notice: Notice = ignore) -> None:
    """Make a fresh store at ``path``; if another process is faster, its store is as good.

    It is built complete under a temporary name and linked to its own, so that nobody ever sees half a store
    and racing starters never meet a locked one. What an earlier store has left beside it is moved away, and
    ``notice`` is given a sentence about it. A link that leads nowhere is followed.
    """
    path = real_path(path)
    try:
        make_way(path)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
        try:
            build_store(temporary, SCHEMA_FILE.read_text(encoding="utf-8"))
            with contextlib.suppress(FileExistsError):
                publish(temporary, path, notice)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"The store {path} cannot be made: {error.strerror or error}.") from error


def build_store(path: Path, script: str) -> None:
    """Make a file and run a script of DDL in it, in one transaction; close it as a WAL store."""
    new_file(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection, translated(path):
        connection.executescript(f"BEGIN;\n{script}\nCOMMIT;")
        connection.execute("PRAGMA journal_mode = WAL")


def new_file(path: Path) -> None:
    """Make an empty file of mode 0600, whatever the umask; SQLite gives the files beside it the same."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        with contextlib.suppress(AttributeError):  # Windows before 3.13 has no fchmod, and no modes
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def publish(temporary: Path, path: Path, notice: Notice = ignore) -> None:
    """Give a complete store its name; raises FileExistsError when there is one already.

    The log of an earlier store, left by a process that was killed, is moved away before: SQLite would write
    its pages over those of the new store. Raises `StoreError` when it cannot be moved.
    """
    with _locked(path.parent) as locked:
        if path.exists():
            raise FileExistsError(path)
        if left := side_files(path):
            # Without the lock, a log of a store that was published meanwhile could be taken for an old one.
            notice(_move_away(path, left, may_move=locked))
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links: the race is narrower, not gone
            if path.exists():
                raise FileExistsError(path) from None
            temporary.rename(path)
    _sync_folder(path.parent)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold a folder against other processes that make a store in it; yields whether that is possible here."""
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            locked = False
        else:
            locked = True
        yield locked
    finally:
        os.close(descriptor)  # which unlocks it


def _move_away(path: Path, left: list[Path], *, may_move: bool) -> str:
    """Move what an earlier store has left beside its place; return a sentence about it."""
    shown, names = clean(str(path), 200), _names(left)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    new = path.with_name(f"{path.name}.left-{stamp}-{secrets.token_hex(2)}")
    moved = [new.with_name(f"{new.name}{file.name.removeprefix(path.name)}") for file in left]
    try:
        if not may_move:
            raise OSError("the folder cannot be locked")
        for file, target in zip(left, moved, strict=True):
            file.rename(target)
    except OSError as error:
        raise StoreError(
            f"No store can be made at {shown}: {names} of an earlier one cannot be moved away"
            f" ({error.strerror or error}). Move them to where that store is now, under its name, or delete"
            " them if it is gone for good."
        ) from error
    return (
        f"There was no store at {shown}, but {names} of an earlier one: moved to {_names(moved)}. If you"
        f" still have that store, name it {clean(new.name, 120)} in the same folder: its last changes are in"
        " them. A new store was made."
    )


def _names(files: list[Path]) -> str:
    return " and ".join(clean(file.name, 120) for file in files)


def _sync_folder(folder: Path) -> None:
    """Put the new name itself on the disk: without it, a power cut takes the first intents along."""
    with contextlib.suppress(OSError):  # not every system opens folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_way(path: Path) -> None:
    """Make the folder for a store; raises `StoreError` when somebody else may write there."""
    make_folder(path.parent)
    refuse_foreign(path)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, that only their owner may enter."""
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    for part in reversed(missing):
        with contextlib.suppress(FileExistsError):
            part.mkdir(mode=0o700)
            part.chmod(0o700)  # mkdir's mode is cut by the umask
