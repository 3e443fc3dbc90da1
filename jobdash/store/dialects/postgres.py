"""PostgreSQL: connections, errors and settings; nothing else imports its driver, psycopg.

A transaction that writes holds one advisory lock of the store, so there is one writer at a time, as in a
file of SQLite. What changes one job alone, like the outcome of an item, locks the row of the job instead.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq
from psycopg.adapt import Dumper, Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumperUnknown

from jobdash.errors import Interrupted, StoreAway, StoreError, StoreMissing
from jobdash.store.dialects.base import BUSY_TIMEOUT_MS, OPTION, Dialect, Row, Rows, Values
from jobdash.store.dialects.postgres_changes import Changes
from jobdash.store.dialects.postgres_errors import away, missing, store_error
from jobdash.store.dialects.postgres_sql import native_sql

if TYPE_CHECKING:
    from jobdash.store.location import PostgresLocation

_SNAPSHOT_XMIN = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
DIALECT = Dialect(
    name="postgresql",
    # A row carries the id of the transaction that changed it. Whatever was under way when a statement began
    # has an id of at least this; a sequence would give some changes a number that was seen before them.
    revision=f"{_SNAPSHOT_XMIN} - 1",
    stamp="pg_current_snapshot()::text",
    pace_s=0.25,
    lock_job=" FOR NO KEY UPDATE OF job",
    in_packets=True,
    sorts_arms=True,
)
_LOCKS = 0x6A6F62 << 32
"""Advisory locks of stores; the rest of the number is the store's own."""
_SERVER_MS = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_CLOCKS_AGREE_MS = 500
"""A smaller difference between two clocks cannot be distinguished from the time that a query takes."""
_CLOCKS_COMPARED_S = 60.0
"""How often the clocks are compared where no poll of the store does it."""
_POLL = (
    # Two statements, as a snapshot is taken before its statement runs: what has counted a change by then has
    # begun its transaction before the snapshot.
    "SELECT last_value + is_called::int FROM pulse; SELECT pg_snapshot_xmin(seen)::text::bigint,"
    f" pg_snapshot_xmax(seen)::text::bigint, {_SERVER_MS} FROM pg_current_snapshot() AS seen"
)
_NEVER = 2**63
_AWAY_S = 2.0
"""Seconds after the loss of a connection in which none is tried."""
_DEFAULTS: dict[str, Any] = {
    "application_name": "jobdash",
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 5_000,
}
_READER_DEFAULTS = {**_DEFAULTS, "connect_timeout": 2, "tcp_user_timeout": 2_000}
_IDLE_IN_TRANSACTION_MS = 3_000
"""A program that is frozen inside a transaction loses its locks before others give up waiting for them."""


class _TextDumper(StrDumperUnknown):
    """Text as it is, but for what PostgreSQL cannot keep: a NUL, and half a character."""

    def dump(self, obj: str) -> bytes:
        return obj.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace")


class _SumLoader(Loader):
    """Sums of whole numbers, which PostgreSQL makes of a type without bounds."""

    def load(self, data: Any) -> int:
        return int(float(bytes(data))) if b"." in bytes(data) else int(bytes(data))


_DUMPERS: tuple[tuple[type, type[Dumper]], ...] = ((str, _TextDumper), (int, Int8Dumper))


# Connections


def connect_reader(location: PostgresLocation) -> Connection:
    """Open a store for reading; usable from any one thread at a time, and interruptible from others."""
    return Connection(location, OPTION, read_only=True)


def connect_writer(location: PostgresLocation, named: str) -> Connection:
    """Open an existing store for writing, by a face or by a worker."""
    return Connection(location, named)


def connect_database(location: PostgresLocation) -> psycopg.Connection[Any]:
    """Open the database of a store that need not be there; raises StoreError."""
    try:
        return _connect(location, read_only=False)
    except psycopg.Error as error:
        raise store_error(location, error, OPTION) from error


def _connect(location: PostgresLocation, *, read_only: bool) -> psycopg.Connection[Any]:
    defaults = _READER_DEFAULTS if read_only else _DEFAULTS
    raw = psycopg.connect(**{**defaults, **conninfo_to_dict(location.url)}, autocommit=True)
    if read_only:  # a face asks the same again and again, and to plan takes longer than to read
        raw.prepare_threshold = 1
    for kind, dumper in _DUMPERS:
        raw.adapters.register_dumper(kind, dumper)
    raw.adapters.register_loader("numeric", _SumLoader)
    return raw


class Connection:
    """A connection to a schema; a `jobdash.store.dialects.base.Connection`.

    One that was lost is made anew by the next statement outside a transaction, but not within `_AWAY_S`.
    """

    dialect = DIALECT

    def __init__(self, location: PostgresLocation, named: str, *, read_only: bool = False) -> None:
        self.location = location
        self.named = named
        """How the reader of an error can name another store."""
        self._read_only = read_only
        self._busy_ms = BUSY_TIMEOUT_MS
        self._stopped = False
        self._lost_at: float | None = None
        self._lock = 0
        self._ahead_ms = 0
        self._compared_at = 0.0
        """When the clocks were compared, `time.monotonic`."""
        self._is_standby = False
        self._seen = Changes()
        self._waiting_since: float | None = None
        """Since when a statement runs, `time.monotonic`."""
        self.is_away: Callable[[], bool] = lambda: False
        """Whether it is known that the server does not answer: then nothing is sent."""
        self.on_lost: Callable[[], None] = lambda: None
        """Called when the connection was lost."""
        with self._failures():
            self._raw = self._opened()

    def _opened(self) -> psycopg.Connection[Any]:
        raw = _connect(self.location, read_only=self._read_only)
        try:
            self._prepare(raw)
        except BaseException:
            raw.close()
            raise
        return raw

    def _prepare(self, raw: psycopg.Connection[Any]) -> None:
        schema = self.location.schema
        settings = {
            "search_path": schema,
            "jit": "off",
            "lock_timeout": str(self._busy_ms),
            "idle_in_transaction_session_timeout": str(_IDLE_IN_TRANSACTION_MS),
            "default_transaction_read_only": "on" if self._read_only else "off",
        }
        given = [word for setting in settings.items() for word in setting]
        columns = ", ".join(["set_config(%s, %s, false)"] * len(settings))
        row = raw.execute(
            f"SELECT to_regclass(%s)::oid::bigint, {_SERVER_MS}, pg_is_in_recovery(), {columns}",
            [f"{schema}.meta", *given],
        ).fetchone()
        if row is None or row[0] is None:
            raise StoreMissing(missing(self.location))
        self._lock = _LOCKS | row[0]
        self._compare_clocks(row[1])
        self._is_standby = row[2]

    def _compare_clocks(self, server_ms: int) -> None:
        ahead = server_ms - time.time_ns() // 1_000_000
        self._ahead_ms = ahead if abs(ahead) >= _CLOCKS_AGREE_MS else 0
        self._compared_at = time.monotonic()

    def set_clock_offset(self, ms: int) -> None:
        """Set the offset of the server's clock that another connection has measured."""
        self._ahead_ms = ms

    @property
    def clock_offset_ms(self) -> int:
        """How far the server's clock is ahead of this computer's, in milliseconds.

        The clocks are compared by each poll; where there are none, by a transaction that begins, once a
        minute.
        """
        return self._ahead_ms

    @property
    def raw(self) -> psycopg.Connection[Any]:
        """The driver's connection, connected."""
        lately = self._lost_at is not None and time.monotonic() - self._lost_at < _AWAY_S
        if self.is_away() or (self._raw.closed and lately):
            self.on_lost()
            raise StoreAway(away(self.location))
        if self._raw.closed:
            with self._failures():
                self._raw = self._opened()
        return self._raw

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        self._waiting_since = time.monotonic()
        try:
            yield
        except psycopg.Error as error:
            raise self._failure(error) from error
        finally:
            self._waiting_since = None
        self._lost_at = None

    def _failure(self, error: psycopg.Error) -> StoreError:
        stopped, self._stopped = self._stopped, False
        if stopped and error.sqlstate == "57014":
            return Interrupted()
        found = store_error(self.location, error, self.named)
        if isinstance(found, StoreAway):
            self._lost_at = time.monotonic()
            self.on_lost()
        return found

    def end_if_stuck(self, after_s: float) -> None:
        """End a statement, and its connection, that has not been answered for so long; from any thread.

        A server that is frozen answers on the level of the network, and would be waited for without end.
        """
        since = self._waiting_since
        if since is None or time.monotonic() - since < after_s or self._raw is None:
            return
        with (
            contextlib.suppress(OSError, psycopg.Error),
            # Another descriptor of the same connection: the thread that waits closes its own.
            socket.socket(fileno=os.dup(self._raw.fileno())) as same,
        ):
            same.shutdown(socket.SHUT_RDWR)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        status = self._raw.info.transaction_status
        return status not in {pq.TransactionStatus.IDLE, pq.TransactionStatus.UNKNOWN}

    def execute(self, sql: str, values: Values = (), /) -> Rows:
        """Run a statement."""
        raw = self.raw
        with self._failures():
            return raw.execute(native_sql(sql), values)

    def executemany(self, sql: str, rows: Iterable[Values], /) -> object:
        """Run a statement for each of several rows of values."""
        raw = self.raw
        with self._failures():
            cursor = raw.cursor()
            cursor.executemany(native_sql(sql), rows)
            return cursor

    def begin(self, job_id: int | None = None, *, relaxed: bool = False) -> None:
        """Begin a transaction that holds the store, or a job.

        In one message, so that a program that is frozen between two of them holds no lock.
        """
        beginning = self._beginning(job_id, relaxed=relaxed)
        compares = time.monotonic() - self._compared_at >= _CLOCKS_COMPARED_S
        if compares:  # after the lock, which may be waited for
            beginning.append(f"SELECT {_SERVER_MS}")
        try:
            cursor = self._run("; ".join(beginning))
            if compares:
                while cursor.nextset():
                    pass
                self._compare_clocks(cursor.fetchall()[0][0])
        except BaseException:
            self.rollback()
            raise

    def _beginning(self, job_id: int | None, *, relaxed: bool) -> list[str]:
        lock = f"SELECT pg_advisory_xact_lock({self._lock:d})"
        if job_id is not None:
            lock = f"SELECT 1 FROM job WHERE id = {job_id:d} FOR NO KEY UPDATE"
        return ["BEGIN", *(["SET LOCAL synchronous_commit = off"] if relaxed else []), lock]

    def write_job(self, job_id: int, sql: str, values: Values, *, relaxed: bool = False) -> list[Row]:
        """Run one statement in a transaction of its own that writes to one job alone; return its rows.

        All in one message. The lock comes first: a statement that waits for it works on what it saw before.
        """
        raw = self.raw
        try:
            with self._failures():
                return self._in_pipeline(raw, self._beginning(job_id, relaxed=relaxed), sql, values)
        except BaseException:
            self.rollback()
            raise

    def _in_pipeline(
        self, raw: psycopg.Connection[Any], beginning: list[str], sql: str, values: Values
    ) -> list[Row]:
        failure: psycopg.Error | None = None
        try:
            with raw.pipeline():
                try:
                    for statement in beginning:
                        raw.execute(statement)
                    written = raw.execute(native_sql(sql), values)
                    raw.execute("COMMIT")
                except psycopg.Error as error:
                    # Raised behind the pipeline: at the end of one that an error leaves the driver logs
                    # another, which in a script without logging stands on its standard error.
                    failure = error
        except psycopg.Error as error:
            raise failure or error from None
        if failure is not None:
            raise failure
        return written.fetchall()

    def commit(self) -> None:
        """Commit the transaction."""
        with self._failures():
            done = self._raw.execute("COMMIT").statusmessage
        if done != "COMMIT":
            raise StoreError(f"The store {self.location} cannot be written: a transaction was lost.")

    def rollback(self) -> None:
        """Undo the transaction, if one is open."""
        if self.in_transaction:
            with self._failures():
                self._raw.execute("ROLLBACK")

    def _run(self, script: str) -> psycopg.Cursor[Any]:
        """Run several statements without values in one message."""
        raw = self.raw
        with self._failures():
            return raw.execute(script)

    def interrupt(self) -> None:
        """Stop the statement that runs now; the request for it is sent in a thread, as it may take long."""
        self._stopped = True
        threading.Thread(target=self._cancel, name="jobdash-interrupt", daemon=True).start()

    def _cancel(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self._raw.cancel_safe(timeout=_AWAY_S)

    def data_version(self) -> int:
        """Return a number that changes when another connection has committed.

        A statement that another connection has begun before a poll may be committed after it. So after a
        change the number changes with every poll, until all have ended that were under way at the time.
        """
        raw = self.raw
        with self._failures():
            cursor = raw.execute(_POLL)
            (pulse,) = cursor.fetchall()[0]
            cursor.nextset()
            *snapshot, server_ms = cursor.fetchall()[0]
        self._seen.record_poll(pulse, tuple(snapshot), self._newest_transaction)
        self._compare_clocks(server_ms)
        return self._seen.version

    def _newest_transaction(self) -> int:
        """Return the id of a transaction that begins, and ends, now."""
        if self._is_standby:  # which gives no ids, and shows what has ended elsewhere
            return _NEVER
        return int(self.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()[0])

    def set_busy_timeout(self, ms: int) -> None:
        """Set how long a statement waits for other writers."""
        self._busy_ms = ms
        self._run(f"SET lock_timeout = {ms:d}")

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(psycopg.Error):
            self._raw.close()
