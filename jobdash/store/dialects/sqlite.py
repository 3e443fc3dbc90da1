"""SQLite: connections, transactions, errors and settings; nothing else imports the driver.

SQLAlchemy is imported by `open_engine` alone: readers and a user's script start without it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from jobdash.errors import Interrupted, StoreBusy, StoreError, StoreFull, StoreReadOnly
from jobdash.store.dialects.base import BUSY_TIMEOUT_MS, OPTION, Dialect, Row, Values, transaction
from jobdash.store.dialects.base import Connection as BaseConnection
from jobdash.store.files import real_path, side_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import sqlalchemy

DIALECT = Dialect(
    name="sqlite",
    revision="(SELECT revision FROM meta)",
    stamp="(SELECT revision FROM meta)",
    pace_s=0.0,
    lock_job="",
    in_packets=False,
    sorts_arms=False,  # of arms that an index has in their order it merges as many rows as are read
)
_OLDEST = (3, 35, 0)
_READER_CACHE_KIB = 4 * 1024
_WRITER_CACHE_KIB = 512
"""A write touches some twenty pages; a dashboard holds a writer and a reader for each account all day."""
_BULK_LOAD = ("journal_mode = OFF", "synchronous = OFF", "cache_size = -262144", "temp_store = MEMORY")
_KINDS: dict[int, type[StoreError]] = {
    sqlite3.SQLITE_BUSY: StoreBusy,
    sqlite3.SQLITE_FULL: StoreFull,
    sqlite3.SQLITE_INTERRUPT: Interrupted,
    sqlite3.SQLITE_IOERR: StoreFull,
    sqlite3.SQLITE_LOCKED: StoreBusy,
    sqlite3.SQLITE_READONLY: StoreReadOnly,
}


def refuse_old_library() -> None:
    """Raise `StoreError` when the SQLite of this Python is too old."""
    if sqlite3.sqlite_version_info < _OLDEST:
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old: jobdash needs 3.35 or newer.")


# Connections


class Cursor(sqlite3.Cursor):
    """The rows of a statement, whose errors are those of the store."""

    connection: Connection

    def fetchone(self) -> Any:
        """Return the next row, None at the end."""
        try:
            return super().fetchone()
        except sqlite3.Error as error:
            raise self.connection.failure(error) from error

    def fetchall(self) -> list[Row]:
        """Return the rows that are left."""
        try:
            return super().fetchall()
        except sqlite3.Error as error:
            raise self.connection.failure(error) from error

    def __next__(self) -> Row:
        try:
            return cast("Row", super().__next__())
        except sqlite3.Error as error:
            raise self.connection.failure(error) from error


class Connection(sqlite3.Connection):
    """A connection to a file; a `jobdash.store.dialects.base.Connection`."""

    dialect = DIALECT
    path = Path()
    named = OPTION
    """How the reader of an error can name another file."""

    def failure(self, error: sqlite3.Error) -> StoreError:
        """Return an error of the driver as one of the store."""
        return store_error(self.path, error, self.named)

    def execute(self, sql: str, values: Values = (), /) -> Cursor:
        """Run a statement."""
        try:
            return Cursor(self).execute(sql, values)
        except sqlite3.Error as error:
            raise self.failure(error) from error

    def executemany(self, sql: str, rows: Iterable[Values], /) -> Cursor:
        """Run a statement for each of several rows of values."""
        try:
            return Cursor(self).executemany(sql, rows)
        except sqlite3.Error as error:
            raise self.failure(error) from error

    def begin(self, job_id: int | None = None, *, relaxed: bool = False) -> None:
        """Begin a transaction: a file has one writer, and the connection says how durable it writes.

        One that reads first and writes later would fail when another writer came between, whatever its
        timeout: hence IMMEDIATE.
        """
        self.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Commit the transaction."""
        self.execute("COMMIT")

    def write_job(self, job_id: int, sql: str, values: Values, *, relaxed: bool = False) -> list[Row]:
        """Run one statement in a transaction of its own that writes to one job alone; return its rows."""
        with transaction(self, job_id, relaxed=relaxed):
            # All rows are fetched: a statement that is not at its end would hold up the commit.
            return self.execute(sql, values).fetchall()

    def rollback(self) -> None:
        """Undo the transaction, if one is open."""
        if self.in_transaction:
            self.execute("ROLLBACK")

    @property
    def clock_offset_ms(self) -> int:
        """0: a file has no clock of its own."""
        return 0

    def data_version(self) -> int:
        """Return a number that changes when another connection has committed; takes 3 µs."""
        return int(self.execute("PRAGMA data_version").fetchone()[0])

    def set_busy_timeout(self, ms: int) -> None:
        """Set how long a statement waits for other writers."""
        self.execute(f"PRAGMA busy_timeout = {ms:d}")


def connect_reader(path: Path) -> Connection:
    """Open a store for reading; usable from any one thread at a time, and interruptible from others.

    A store in a folder that cannot be written, where SQLite can make no shared memory beside it, is read as
    the immutable file it is there.
    """
    uri = f"{_uri(path)}?mode=ro"
    connection = _connect(uri, path)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except StoreError as error:
        connection.close()
        readable = not os.access(path.parent, os.W_OK) and os.access(path, os.R_OK)
        if not isinstance(error.__cause__, sqlite3.OperationalError) or not readable:
            raise
        connection = _connect(f"{uri}&immutable=1", path)
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
    return connection


def connect_writer(path: Path, synchronous: str, named: str = OPTION) -> Connection:
    """Open an existing store for writing, with ``synchronous`` FULL or NORMAL."""
    connection = _connect(f"{_uri(path)}?mode=rw", path, named)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
    return connection


def connect_worker(path: Path, named: str) -> Connection:
    """Open an existing store for a worker, with `now_ms` as a function of its statements.

    All is written with ``synchronous=NORMAL``: a power cut may take the last moments, also of a claim or of
    an end, and with them goes the process; the items that were lost are then done again. FULL would cost the
    start and the end of each script a wait for the disk, and save nothing else.
    """
    connection = connect_writer(path, "NORMAL", named)
    connection.create_function("now_ms", 0, _now_ms)
    return connection


def connect_file(path: Path) -> Connection:
    """Open a file of one's own with the settings of the driver."""
    return _opened(path, OPTION, os.fspath(path))


def _connect(uri: str, path: Path, named: str = OPTION) -> Connection:
    return _opened(path, named, uri, uri=True, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000)


def _opened(path: Path, named: str, place: str, **options: Any) -> Connection:
    try:
        connection = sqlite3.connect(place, isolation_level=None, factory=Connection, **options)
    except sqlite3.Error as error:
        raise store_error(path, error, named) from error
    assert isinstance(connection, Connection)
    connection.path, connection.named = path, named
    return connection


def _uri(path: Path) -> str:
    # In bytes: a file's name need not be UTF-8.
    return f"file:{quote(os.fsencode(path.absolute()))}"


def open_engine(path: Path, synchronous: str) -> sqlalchemy.Engine:
    """Return an engine whose every transaction begins with BEGIN IMMEDIATE.

    One that reads first and writes later would fail when another writer came between, whatever its timeout.
    """
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import NullPool

    engine = create_engine("sqlite://", creator=lambda: connect_writer(path, synchronous), poolclass=NullPool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def driver_of(connection: sqlalchemy.Connection) -> Connection:
    """Return the store's own connection, in the same transaction."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, Connection)
    return driver


# Errors


def store_error(path: Path, error: BaseException, named: str = OPTION) -> StoreError:
    """Return an error of the driver as a sentence with the file's name and a way out.

    ``named`` is how the reader of the sentence can name another file.
    """
    kind = StoreError if path.is_dir() else _KINDS.get(_code(error), StoreError)
    return kind(_sentence(path, error, named))


def _code(error: BaseException | None) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _sentence(path: Path, error: BaseException, named: str) -> str:
    if path.is_dir():
        return f"{path} is a folder, and no jobdash store. Name a file with {named}."
    code = _code(error)
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


# Statements and settings


def now_ms() -> int:
    """Return the time in milliseconds UTC: ``now_ms()`` in a worker's statements."""
    return time.time_ns() // 1_000_000


def _now_ms() -> int:
    return now_ms()  # looked up each time, so that a test that replaces it reaches open connections


def disable_foreign_keys(connection: Connection) -> None:
    """Let tables be dropped and made anew; outside a transaction only."""
    connection.execute("PRAGMA foreign_keys = OFF")


@contextlib.contextmanager
def schema_text_writable(connection: Connection) -> Iterator[None]:
    """Let the stored text of the schema be changed where that changes no row and no index.

    See https://www.sqlite.org/lang_altertable.html#otheralter. Every open connection, of other processes
    too, reads the schema again after it.
    """
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute("PRAGMA writable_schema = ON")
    yield
    connection.execute(f"PRAGMA schema_version = {version + 1}")
    connection.execute("PRAGMA writable_schema = RESET")


@contextlib.contextmanager
def bulk_load(connection: Connection, script: str, without: tuple[str, ...] = ()) -> Iterator[None]:
    """Let the block fill the tables of a schema in a new file: indexes, triggers and rows are made after it.

    Statements that begin with one of ``without`` are left out.
    """
    prepare_bulk_load(connection)
    parts = [statement for statement in statements(script) if not statement.startswith(without)]
    tables = [statement for statement in parts if statement.startswith("CREATE TABLE")]
    for statement in tables:
        connection.execute(statement)
    yield
    for statement in parts:
        if statement not in tables:
            connection.execute(statement)


def prepare_bulk_load(connection: Connection) -> None:
    """Trade all safety of a new file for speed, until `use_wal`."""
    for setting in _BULK_LOAD:
        connection.execute(f"PRAGMA {setting}")


def use_wal(connection: Connection) -> None:
    """Give a store its write-ahead log: readers and one writer do not wait for each other."""
    connection.execute("PRAGMA journal_mode = WAL")


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; a trigger, which holds semicolons, is one of them."""
    lines: list[str] = []
    for line in script.splitlines():
        if line.strip() or lines:
            lines.append(line)
        if lines and sqlite3.complete_statement("\n".join(lines)):
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


def damage(connection: BaseConnection) -> list[str]:
    """Return what SQLite itself finds wrong in a file; reads all of it."""
    found = [str(line) for (line,) in connection.execute("PRAGMA integrity_check").fetchall()]
    broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    return [
        *(line for line in found if line != "ok"),
        *(f"{row[0]}: a row without its job" for row in broken),
    ]
