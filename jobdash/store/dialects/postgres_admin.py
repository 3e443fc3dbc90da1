"""Administration of a schema in PostgreSQL: make it, grant rights to it, read facts about it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from jobdash.domain.text import clean
from jobdash.errors import StoreError, StoreMissing
from jobdash.store.dialects import postgres
from jobdash.store.dialects.postgres_errors import missing, store_error
from jobdash.store.location import PostgresLocation
from jobdash.store.records import ServerFacts

OLDEST = 14
"""The oldest PostgreSQL that a store can be in."""
MAKING = 0x6A6F62
"""The advisory lock under which a store is made, or upgraded."""
_IS_THERE = "SELECT to_regclass(%s) IS NOT NULL"
_READING = (
    "USAGE ON SCHEMA {0}",
    "SELECT ON ALL TABLES IN SCHEMA {0}",
    "SELECT ON ALL SEQUENCES IN SCHEMA {0}",
)
_WRITING = (*_READING, "USAGE ON ALL SEQUENCES IN SCHEMA {0}", "EXECUTE ON ALL FUNCTIONS IN SCHEMA {0}")
_VERSIONS = "alembic_version"
"""The table that an upgrade alone writes."""
_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p')"
_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s) ORDER BY nspname"
_MAY = (
    "SELECT has_table_privilege(%s, %s, %s), pg_get_userbyid(relowner) FROM pg_class WHERE oid = %s::regclass"
)
_MAY_ALL = (
    "SELECT coalesce(bool_and(has_table_privilege(%s, oid, 'UPDATE')), false) FROM pg_class"
    " WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p')"
)
_FACTS = (
    "SELECT current_setting('server_version'), current_user,"
    " (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl),"
    " floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,"
    " (SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class"
    "   WHERE relnamespace = to_regnamespace(%s) AND relkind = 'r'),"
    " (SELECT coalesce(max(revision), 0) FROM job) >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
)


_ROWS_AT_ONCE = 5_000
TableRows = Callable[[str, Sequence[str]], Iterator[tuple[Any, ...]]]
"""Returns the rows of a table, with some of its columns, in the order of its key."""
_COUNT_ON = "SELECT setval(pg_get_serial_sequence(%s, 'id'), max(id)) FROM {} HAVING max(id) > 0"


@contextlib.contextmanager
def _database(location: PostgresLocation) -> Iterator[psycopg.Connection[Any]]:
    """Open a database, in a transaction; raises StoreError."""
    raw = postgres.connect_database(location)
    try:
        with raw.transaction():
            yield raw
    except psycopg.Error as error:
        raise store_error(location, error) from error
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
        raw.execute("SELECT pg_advisory_xact_lock(%s)", [MAKING])
        if is_there(raw, location):
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
    with _granting(location, role) as raw:
        _grant(raw, _READING, location.schema, role)
        _refuse_not_granted(raw, location, role, "SELECT")


def grant_writing(location: PostgresLocation, role: str, engines: str) -> list[str]:
    """Let a role read and write a store, and the schemas of engines, whose names begin with ``engines``.

    All that dashboards, commands, scripts and workers do; neither an upgrade nor a change of tables. Returns
    the schemas of engines that it may write. Raises StoreError.
    """
    with _granting(location, role) as raw:
        _grant_writing(raw, location.schema, role)
        _refuse_not_granted(raw, location, role, "UPDATE")
        there = [name for (name,) in raw.execute(_SCHEMAS, [engines]).fetchall()]
        for schema in there:  # which may be another role's
            with contextlib.suppress(psycopg.errors.InsufficientPrivilege), raw.transaction():
                _grant_writing(raw, schema, role)
        return [each for each in there if raw.execute(_MAY_ALL, [role, f'"{each}"']).fetchall()[0][0]]


def _grant_writing(raw: psycopg.Connection[Any], schema: str, role: str) -> None:
    _grant(raw, _WRITING, schema, role)
    for (table,) in raw.execute(_TABLES, [f'"{schema}"']).fetchall():
        if table != _VERSIONS:
            rights = sql.SQL("GRANT INSERT, UPDATE, DELETE ON {} TO {}")
            raw.execute(rights.format(sql.Identifier(schema, table), sql.Identifier(role)))


def _refuse_not_granted(
    raw: psycopg.Connection[Any], location: PostgresLocation, role: str, right: str
) -> None:
    """Raise StoreError when nothing was granted: PostgreSQL warns of that, and goes on."""
    table = f'"{location.schema}".job'
    (may, owner), *_ = raw.execute(_MAY, [role, table, right, table]).fetchall()
    if not may:
        raise StoreError(
            f"The tables of {location} are those of the role {clean(owner, 80)}, who alone grants."
        )


@contextlib.contextmanager
def _granting(location: PostgresLocation, role: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        with _database(location) as raw:
            if not is_there(raw, location):
                raise StoreMissing(missing(location))
            yield raw
    except StoreError as error:
        if isinstance(error.__cause__, psycopg.errors.UndefinedObject):
            raise StoreError(
                f"There is no database role {clean(role, 80)}: make it with CREATE ROLE."
            ) from None
        raise


def _grant(raw: psycopg.Connection[Any], rights: Sequence[str], schema: str, role: str) -> None:
    names = sql.Identifier(schema), sql.Identifier(role)
    for right in rights:
        raw.execute(sql.SQL(f"GRANT {right} TO {{1}}").format(*names))


def is_there(raw: psycopg.Connection[Any], location: PostgresLocation) -> bool:
    """Whether a database has a store."""
    return bool(raw.execute(_IS_THERE, [f"{location.schema}.meta"]).fetchall()[0][0])


def server_facts(connection: postgres.Connection) -> ServerFacts:
    """Return facts about a server, over the connection of a reader."""
    began = time.time_ns()
    version, user, tls, server_ms, size, foreign = connection.execute(
        _FACTS.replace("%s", "?"), [connection.location.schema]
    ).fetchone()
    here_ms = (began + time.time_ns()) // 2_000_000
    raw = connection.raw
    local = raw.info.host.startswith("/") or raw.info.hostaddr in {"127.0.0.1", "::1"}
    verified = raw.info.get_parameters().get("sslmode") == "verify-full"
    return ServerFacts(version, user, tls, server_ms - here_ms, size, foreign, local, verified)


@contextlib.contextmanager
def reading(location: PostgresLocation) -> Iterator[TableRows]:
    """Yield what returns the rows of a table, all as of one moment; raises StoreError."""
    with _database(location) as raw:
        raw.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        raw.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(location.schema)))

        def rows(table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
            with raw.cursor(name=f"copy_{table}") as cursor:
                cursor.itersize = _ROWS_AT_ONCE
                cursor.execute(sql.SQL("SELECT {} FROM {} ORDER BY 1").format(*_names(table, columns)))
                yield from cursor

        yield rows


def load(location: PostgresLocation, columns: Mapping[str, Sequence[str]], rows_of: TableRows) -> None:
    """Fill an empty store with rows, table by table, in one transaction; raises StoreError.

    Revisions are those of another store: all changes are older than any that comes.
    """
    with _database(location) as raw:
        raw.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(location.schema)))
        raw.execute("LOCK TABLE job IN EXCLUSIVE MODE")
        if raw.execute("SELECT 1 FROM job UNION ALL SELECT 1 FROM event LIMIT 1").fetchall():
            raise StoreError(f"The store {location} is not empty: a copy is made into an empty one.")
        raw.execute("DELETE FROM meta; DELETE FROM tally; DELETE FROM account")
        for table, names in columns.items():
            _load_table(raw, table, names, rows_of(table, names))


def _load_table(
    raw: psycopg.Connection[Any], table: str, columns: Sequence[str], rows: Iterator[tuple[Any, ...]]
) -> None:
    name = sql.Identifier(table)
    raw.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(name))
    into = sql.SQL("COPY {1} ({0}) FROM STDIN").format(*_names(table, columns))
    zeroed = columns.index("revision") if "revision" in columns else None
    with raw.cursor() as cursor, cursor.copy(into) as copy:
        for row in rows:
            copy.write_row(row if zeroed is None else (*row[:zeroed], 0, *row[zeroed + 1 :]))
    raw.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(name))
    if "id" in columns and table != "meta":
        raw.execute(sql.SQL(_COUNT_ON).format(name), [table])


def _names(table: str, columns: Sequence[str]) -> tuple[sql.Composable, sql.Composable]:
    return sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table)
