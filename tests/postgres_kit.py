"""A PostgreSQL server of the tests' own: started once a process, with a fresh store for each test."""

from __future__ import annotations

import atexit
import contextlib
import functools
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from jobdash.demo import postgres_server
from jobdash.demo.postgres_server import PostgresServer as Server
from jobdash.demo.postgres_server import binaries as binaries
from jobdash.store import server_store
from jobdash.store.dialects.postgres_sql import native_sql
from jobdash.store.location import PostgresLocation
from jobdash.store.schema.current import SCHEMA_VERSION

_KILLED_WITHIN_S = 60.0
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "80",
    "autovacuum": "off",
    "timezone": "UTC",
}
_EMPTIED = (
    "review", "item", "part", "attempt", "event", "intent", "job_tag", "account", "tally", "job",
)  # fmt: skip


def start(folder: Path, **settings: str) -> Server:
    """Start a server of the tests, which forgets what it wrote when the computer goes down."""
    return postgres_server.start(folder, **{**_SETTINGS, **settings})


@functools.cache
def server() -> Server:
    """The server of this process; it is stopped at its end."""
    folder = Path(tempfile.mkdtemp(prefix="jobdash-pg-"))
    started = start(folder)

    def stop() -> None:
        started.process.kill()
        started.process.wait(_KILLED_WITHIN_S)
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    return started


SYSTEM = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
"""The programs of the system's PostgreSQL; they have TLS and ICU, which the wheel's have not."""


@contextlib.contextmanager
def running(folder: Path, **settings: str) -> Iterator[Server]:
    """A server that ends with the test."""
    started = start(folder, **settings)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait(_KILLED_WITHIN_S)


@contextlib.contextmanager
def system_server(folder: Path, **settings: str) -> Iterator[Server]:
    """A server of the system's PostgreSQL; the test is skipped where there is none."""
    if SYSTEM is None:
        pytest.skip("the wheel's PostgreSQL has neither TLS nor ICU, and the system has no PostgreSQL")
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("JOBDASH_TEST_POSTGRES", str(SYSTEM))
            started = stack.enter_context(running(folder, **settings))
        yield started


def free_port() -> str:
    """A port that nothing listens at."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for a server, with a short name: that of a socket has at most 107 letters."""
    folder = Path(tempfile.mkdtemp(prefix="jobdash-pg-own-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def admit(running: Server, password: str, rule: str = "host") -> None:
    """Let the role ``ann`` in over TCP with a password, into a database of hers, ``jobs``."""
    running.run(f"CREATE ROLE ann LOGIN PASSWORD '{password}'")
    running.run("CREATE DATABASE jobs OWNER ann")
    access = running.folder / "data" / "pg_hba.conf"
    access.write_text(f"{rule} all ann 127.0.0.0/8 scram-sha-256\nlocal all all trust\n")
    running.run("SELECT pg_reload_conf()")


@contextlib.contextmanager
def database(name: str) -> Iterator[str]:
    """The URL of an empty database of its own."""
    running = server()
    running.run(f"CREATE DATABASE {name}")
    try:
        yield running.url(name)
    finally:
        running.run(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def database_with_store(name: str) -> Iterator[str]:
    """The address of an empty store in a database of its own."""
    with database(name) as url:
        location = PostgresLocation(url)
        assert server_store.create(location)
        yield url


@functools.cache
def _store() -> PostgresLocation:
    running = server()
    running.run("CREATE DATABASE jobs")
    location = PostgresLocation(running.url("jobs"))
    assert server_store.create(location)
    return location


def empty_store(folder: Path) -> PostgresLocation:
    """A store without anything in it: the same schema for all tests of this process, one after the other."""
    location = _store()
    deletes = "; ".join(f"DELETE FROM {table}" for table in _EMPTIED)
    try:
        raw(
            location,
            "DROP SCHEMA IF EXISTS later CASCADE; DROP FUNCTION IF EXISTS no_room() CASCADE;"
            f" SET session_replication_role = replica; {deletes};"
            " UPDATE meta SET revision = 0, notified_event = NULL, folded = 0;"
            f" UPDATE alembic_version SET version_num = '{SCHEMA_VERSION}';"
            " SELECT setval(pg_get_serial_sequence(name, 'id'), 1, false)"
            " FROM unnest(ARRAY['job', 'event', 'intent']) AS name",
        )
    except psycopg.Error:  # a test has dropped something
        raw(location, f"DROP SCHEMA IF EXISTS {location.schema} CASCADE")
        assert server_store.create(location)
    return PostgresLocation(location.url, location.schema, folder)


def raw(location: PostgresLocation, sql: str, values: Any = ()) -> list[tuple[Any, ...]]:
    """Run a statement with the driver alone, as the owner of all."""
    with closing(connect(location)) as connection:
        found = connection.execute(native_sql(sql), values) if values else connection.execute(sql)
        return found.fetchall() if found.description else []


def connect(location: PostgresLocation) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection of another program to a store."""
    options = f"-c search_path={location.schema}"
    return psycopg.connect(location.url, autocommit=True, options=options)


class ServerClock:
    """A clock that stands until it is moved, for the server too: what ``now_ms()`` returns."""

    def __init__(self, location: PostgresLocation, now: int) -> None:
        self._location = location
        raw(
            location,
            "CREATE TABLE IF NOT EXISTS hand_clock (now bigint); DELETE FROM hand_clock;"
            " CREATE OR REPLACE FUNCTION now_ms() RETURNS bigint LANGUAGE sql VOLATILE"
            " AS 'SELECT now FROM hand_clock'",
        )
        self._now = now
        raw(location, "INSERT INTO hand_clock VALUES (?)", [now])

    def __call__(self) -> int:
        return self._now

    @property
    def now(self) -> int:
        return self._now

    @now.setter
    def now(self, moment: int) -> None:
        self._now = moment
        raw(self._location, "UPDATE hand_clock SET now = ?", [moment])

    def close(self) -> None:
        """Give the server its own clock again."""
        from jobdash.store.schema.postgres_triggers import FUNCTIONS

        raw(self._location, FUNCTIONS[0].replace("CREATE", "CREATE OR REPLACE", 1))


def plan(location: PostgresLocation, sql: str, values: Sequence[Any]) -> str:
    """How the server would run a statement."""
    explain = f"EXPLAIN {sql}"
    return "\n".join(line for (line,) in raw(location, explain if values else native_sql(explain), values))
