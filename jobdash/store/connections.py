"""Opening a store: making a fresh one, looking at its version, and the connections of readers and writers.

Needs ``sqlite3`` only, so that the first rows are on the screen before SQLModel is imported.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from jobdash.domain.text import clean
from jobdash.errors import StoreBusy, StoreError, StoreReadOnly, StoreTooNew
from jobdash.store.files import real_path, refuse_foreign, side_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

SCHEMA_VERSION = "0004"
"""The Alembic revision that ``schema.sql`` is at. Revisions are numbers, so that newer ones can be told."""
SCHEMA_FILE = Path(__file__).with_name("schema") / "schema.sql"
OLDEST_SQLITE = (3, 35, 0)
BUSY_TIMEOUT_MS = 5_000
OPTION = "--db"
"""How a person names another store to a command."""
_URL = re.compile(r"([a-z][a-z0-9+]+):/")
"""The URL of a database, as it looks once it has been taken for a path."""
_READER_CACHE_KIB = 4 * 1024
_WRITER_CACHE_KIB = 512
"""A write touches some twenty pages; a dashboard holds a writer and a reader for each account all day."""


def ensure_store(
    path: Path, *, read_only: bool = False, notice: Callable[[str], None] | None = None
) -> str | None:
    """Make the store if there is none, upgrade an older one; return why it can only be read, or None.

    ``read_only`` is for a caller who must not write; ``notice`` is given a sentence when files of an earlier
    store had to be moved away. Raises `StoreTooNew` for the store of a newer jobdash,
    which stays untouched, and `StoreError` for whatever else cannot be used.
    """
    refuse_unusable(path)
    if not path.exists():
        if read_only:
            raise StoreReadOnly(f"There is no store at {path}, and none may be made.")
        from jobdash.store.bootstrap import create_store, ignore

        create_store(path, notice or ignore)
    reason = "opened for reading only" if read_only else read_only_reason(path)
    version = stored_version(path)
    if version == SCHEMA_VERSION:
        return reason
    if version > SCHEMA_VERSION:
        raise StoreTooNew(
            f"The store {path} was written by a newer jobdash (schema {version}, this one knows"
            f" {SCHEMA_VERSION}). Upgrade jobdash, or name another store with --db."
        )
    if reason is not None:
        raise StoreReadOnly(f"The store {path} needs an upgrade and cannot be written: {reason}.")
    from jobdash.store.schema.migrate import upgrade

    upgrade(path)
    return None


def refuse_unusable(path: Path) -> None:
    """Raise `StoreError` for what cannot be, or must not be, used as a store.

    That is the URL of another database, a name no file can have, too old an SQLite, and a file that somebody
    else owns or may write (`refuse_foreign`).
    """
    if scheme := _URL.match(str(path)):
        raise StoreError(f"{scheme[1]}://… cannot be used: only SQLite for now.")
    try:
        path.exists()
    except OSError as error:
        raise StoreError(f"{clean(str(path), 80)} cannot be used: {error.strerror}.") from None
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old: jobdash needs 3.35 or newer.")
    refuse_foreign(path)


def read_only_reason(path: Path) -> str | None:
    """Return why the store at ``path`` cannot be written, None when it can."""
    if not os.access(path, os.W_OK):
        return f"{path.name} is not writable"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"the folder {path.parent} is not writable"
    return None


def stored_version(path: Path) -> str:
    """Return the schema version of a store, as one plain query; changes nothing."""
    with contextlib.closing(connect_reader(path)) as connection, translated(path):
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    if len(rows) != 1 or not str(rows[0][0]).isdecimal():
        raise StoreError(f"{path} is not a jobdash store: its version cannot be read.")
    return str(rows[0][0])


@contextlib.contextmanager
def translated(path: Path, named: str = OPTION) -> Iterator[None]:
    """Turn what SQLite says of a file into a `StoreError`, see `store_error`."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise store_error(path, error, named) from error


_KINDS: dict[int, type[StoreError]] = {
    sqlite3.SQLITE_READONLY: StoreReadOnly,
    sqlite3.SQLITE_BUSY: StoreBusy,
}


def store_error(path: Path, error: sqlite3.DatabaseError, named: str = OPTION) -> StoreError:
    """Return what SQLite says of a file as an error with the file's name and a way out.

    ``named`` is how whoever reads it can name another file.
    """
    sentence = _sentence(path, error, named)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return _KINDS.get(code, StoreError)(sentence)


def _sentence(path: Path, error: sqlite3.DatabaseError, named: str) -> str:
    if path.is_dir():
        return f"{path} is a folder, and no jobdash store. Name a file with {named}."
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB or "no such table" in str(error):
        return f"{path} is not a jobdash store. Name another file with {named}."
    if code == sqlite3.SQLITE_CANTOPEN and not path.exists():
        return f"There is no store at {path} any more. Name another file with {named}."
    if code == sqlite3.SQLITE_CORRUPT:
        beside = " and ".join(file.name for file in side_files(real_path(path)))
        along = f", together with {beside}" if beside else ""
        return (
            f"The store {path} is damaged ({error}). Move it away{along}; the next start makes a fresh one."
        )
    if code == sqlite3.SQLITE_BUSY:
        return f"The store {path} is busy: another program has been writing for {BUSY_TIMEOUT_MS // 1000} s."
    if code == sqlite3.SQLITE_FULL:
        return f"The store {path} cannot be written: the disk is full."
    if code == sqlite3.SQLITE_READONLY:
        return f"The store {path} cannot be written."
    return f"The store {path} cannot be used: {error}."


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a store for reading; usable from any one thread at a time, and interruptible from others.

    A store in a folder that cannot be written, where SQLite can make no shared memory beside it, is read as
    the immutable file it is there.
    """
    uri = f"{_uri(path)}?mode=ro"
    with translated(path):
        connection = _connect(uri)
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")
        except sqlite3.OperationalError:
            connection.close()
            if os.access(path.parent, os.W_OK) or not os.access(path, os.R_OK):
                raise
            connection = _connect(f"{uri}&immutable=1")
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
    return connection


def _uri(path: Path) -> str:
    # In bytes: a file's name need not be UTF-8.
    return f"file:{quote(os.fsencode(path.absolute()))}"


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000
    )


def connect_writer(path: Path, synchronous: str, named: str = OPTION) -> sqlite3.Connection:
    """Open an existing store for writing, with ``synchronous`` FULL or NORMAL."""
    with translated(path, named):
        connection = _connect(f"{_uri(path)}?mode=rw")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
    return connection


def open_engines(path: Path) -> tuple[Engine, Engine]:
    """Return the durable engine (FULL: intents, submits) and the quick one (NORMAL: syncs, items)."""
    return open_engine(path, "FULL"), open_engine(path, "NORMAL")


def open_engine(path: Path, synchronous: str) -> Engine:
    """Return an engine whose every transaction begins with BEGIN IMMEDIATE.

    One that reads first and writes later would fail when another writer came between, whatever its timeout.
    """
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import NullPool

    engine = create_engine("sqlite://", creator=lambda: connect_writer(path, synchronous), poolclass=NullPool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine
