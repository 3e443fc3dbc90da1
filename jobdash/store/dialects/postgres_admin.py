"""What is done to a schema of PostgreSQL as a whole: making it, granting rights to it, facts about it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from jobdash.domain.text import clean
from jobdash.errors import StoreError, StoreMissing
from jobdash.store.dialects import postgres
from jobdash.store.location import PostgresLocation

OLDEST = 14
"""The oldest PostgreSQL that a store can be in."""
_MAKING = 0x6A6F62
"""The advisory lock under which a store is made."""
_IS_THERE = "SELECT to_regclass(%s) IS NOT NULL"
_READING = (
    "USAGE ON SCHEMA {0}",
    "SELECT ON ALL TABLES IN SCHEMA {0}",
    "SELECT ON ALL SEQUENCES IN SCHEMA {0}",
)
_FACTS = (
    "SELECT current_setting('server_version'), current_user,"
    " (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl),"
    " floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,"
    " (SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class"
    "   WHERE relnamespace = to_regnamespace(%s) AND relkind = 'r'),"
    " (SELECT coalesce(max(revision), 0) FROM job) >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
)


class ServerFacts(NamedTuple):
    """What a person may want to know of a server, and of the connection to it."""

    version: str
    """Of PostgreSQL."""
    user: str
    tls: str | None
    """The version of TLS on the connection; None for one that is not encrypted."""
    clock_offset_ms: int
    """By how much the server's clock is ahead of this computer's."""
    size: int
    """Bytes of the store's tables and indexes."""
    has_foreign_revisions: bool
    """Rows have revisions of another server, as after a restore: their next changes may not be followed."""
    is_local: bool
    """The server is on this computer."""
    is_verified: bool
    """The server's name is checked against its certificate."""


@contextlib.contextmanager
def _database(location: PostgresLocation) -> Iterator[psycopg.Connection[Any]]:
    """Open a database, in a transaction; raises StoreError."""
    raw = postgres.connect_database(location)
    try:
        with raw.transaction():
            yield raw
    except psycopg.Error as error:
        raise postgres.store_error(location, error) from error
    finally:
        raw.close()


def create_schema(location: PostgresLocation, script: str) -> bool:
    """Make a store by a script; return False when it is there already. Raises StoreError.

    All in one transaction, so that no process sees half a store, and under a lock, so that of two that make
    one the other finds it made.
    """
    with _database(location) as raw:
        if raw.info.server_version // 10_000 < OLDEST:
            raise StoreError(
                f"The server of {location} is too old: jobdash needs PostgreSQL {OLDEST} or newer."
            )
        raw.execute("SELECT pg_advisory_xact_lock(%s)", [_MAKING])
        if _is_there(raw, location):
            return False
        schema = sql.Identifier(location.schema)
        # A role may have no right to make schemas, and one that was made for it.
        if not raw.execute("SELECT to_regnamespace(%s)", [location.schema]).fetchall()[0][0]:
            raw.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        raw.execute(sql.SQL("SET LOCAL search_path = {}").format(schema))
        raw.execute(script.encode())
        return True


def grant_reading(location: PostgresLocation, role: str) -> None:
    """Let a role read a store, and no more; raises StoreError."""
    names = sql.Identifier(location.schema), sql.Identifier(role)
    try:
        with _database(location) as raw:
            if not _is_there(raw, location):
                raise StoreMissing(postgres.missing(location))
            for rights in _READING:
                raw.execute(sql.SQL(f"GRANT {rights} TO {{1}}").format(*names))
    except StoreError as error:
        if isinstance(error.__cause__, psycopg.errors.UndefinedObject):
            raise StoreError(
                f"There is no database role {clean(role, 80)}: make it with CREATE ROLE."
            ) from None
        raise


def _is_there(raw: psycopg.Connection[Any], location: PostgresLocation) -> bool:
    return bool(raw.execute(_IS_THERE, [f"{location.schema}.meta"]).fetchall()[0][0])


def server_facts(connection: postgres.Connection) -> ServerFacts:
    """Look at a server over the connection of a reader."""
    began = time.time_ns()
    version, user, tls, server_ms, size, foreign = connection.execute(
        _FACTS.replace("%s", "?"), [connection.location.schema]
    ).fetchone()
    here_ms = (began + time.time_ns()) // 2_000_000
    raw = connection.raw
    local = raw.info.host.startswith("/") or raw.info.hostaddr in {"127.0.0.1", "::1"}
    verified = raw.info.get_parameters().get("sslmode") == "verify-full"
    return ServerFacts(version, user, tls, server_ms - here_ms, size, foreign, local, verified)
