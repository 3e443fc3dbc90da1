"""Opening a store: making a fresh one, looking at its version, and the connections of readers and writers.

Needs ``sqlite3`` only, so that the first rows are on the screen before SQLModel is imported.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from jobdash.errors import StoreError, StoreReadOnly, StoreTooNew

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

SCHEMA_VERSION = "0001"
"""The Alembic revision that ``schema.sql`` is at. Revisions are numbers, so that newer ones can be told."""
SCHEMA_FILE = Path(__file__).with_name("schema.sql")
OLDEST_SQLITE = (3, 35, 0)
BUSY_TIMEOUT_MS = 5_000
_URL = re.compile(r"([a-z][a-z0-9+]+):/")
"""The URL of a database, as it looks once it has been taken for a path."""
_READER_CACHE_KIB = 16 * 1024


def ensure_store(path: Path, *, read_only: bool = False) -> str | None:
    """Make the store if there is none, upgrade an older one; return why it can only be read, or None.

    ``read_only`` is for a caller who must not write. Raises `StoreTooNew` for the store of a newer jobdash,
    which stays untouched, and `StoreError` for whatever else cannot be used.
    """
    if scheme := _URL.match(str(path)):
        raise StoreError(f"{scheme[1]}://… cannot be used: only SQLite for now.")
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old: jobdash needs 3.35 or newer.")
    if not path.exists():
        if read_only:
            raise StoreReadOnly(f"There is no store at {path}, and none may be made.")
        create_store(path)
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
    from jobdash.store.migrate import upgrade

    upgrade(path)
    return None


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
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a file into a `StoreError` with the file's name and a way out."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise store_error(path, error) from error


def store_error(path: Path, error: sqlite3.DatabaseError) -> StoreError:
    """Return what SQLite says of a file as an error with the file's name and a way out."""
    sentence = _sentence(path, error)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return StoreReadOnly(sentence) if code == sqlite3.SQLITE_READONLY else StoreError(sentence)


def _sentence(path: Path, error: sqlite3.DatabaseError) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB or "no such table" in str(error):
        return f"{path} is not a jobdash store. Name another file with --db."
    if code == sqlite3.SQLITE_CORRUPT:
        return f"The store {path} is damaged ({error}). Move it away; the next start makes a fresh one."
    if code == sqlite3.SQLITE_BUSY:
        return f"The store {path} is busy: another program has been writing for {BUSY_TIMEOUT_MS // 1000} s."
    if code == sqlite3.SQLITE_FULL:
        return f"The store {path} cannot be written: the disk is full."
    if code == sqlite3.SQLITE_READONLY:
        return f"The store {path} cannot be written."
    return f"The store {path} cannot be used: {error}."


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


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a store for reading; usable from any one thread at a time, and interruptible from others.

    A store in a folder that cannot be written, where SQLite can make no shared memory beside it, is read as
    the immutable file it is there.
    """
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
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


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000
    )


def connect_writer(path: Path, synchronous: str) -> sqlite3.Connection:
    """Open an existing store for writing, with ``synchronous`` FULL or NORMAL."""
    with translated(path):
        connection = _connect(f"file:{quote(str(path.absolute()))}?mode=rw")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
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
