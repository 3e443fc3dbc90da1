"""Making a fresh store: complete, private, and under its own name only when it is whole."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from pathlib import Path

from jobdash.errors import StoreError
from jobdash.store.engine import SCHEMA_FILE, translated


def create_store(path: Path) -> None:
    """Make a fresh store at ``path``; if another process is faster, its store is as good.

    It is built complete under a temporary name and linked to its own, so that nobody ever sees half a store
    and racing starters never meet a locked one.
    """
    try:
        make_folder(path.parent)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
        try:
            build_store(temporary, SCHEMA_FILE.read_text(encoding="utf-8"))
            with contextlib.suppress(FileExistsError):
                publish(temporary, path)
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


def publish(temporary: Path, path: Path) -> None:
    """Give a complete store its name; raises FileExistsError when there is one already."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: the race is narrower, not gone
        if path.exists():
            raise FileExistsError(path) from None
        temporary.rename(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Put the new name itself on the disk: without it, a power cut takes the first intents along."""
    with contextlib.suppress(OSError):  # not every system opens folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, that only their owner may enter."""
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    for part in reversed(missing):
        with contextlib.suppress(FileExistsError):
            part.mkdir(mode=0o700)
            part.chmod(0o700)  # mkdir's mode is cut by the umask
