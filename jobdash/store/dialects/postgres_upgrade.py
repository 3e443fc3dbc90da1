"""Hold a store in PostgreSQL for an upgrade: by its owner, one at a time, with no other writer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from jobdash.domain.text import clean
from jobdash.errors import StoreError, StoreMissing, StoreReadOnly
from jobdash.store.dialects import postgres
from jobdash.store.dialects.base import BUSY_TIMEOUT_MS
from jobdash.store.dialects.postgres_admin import MAKING, is_there
from jobdash.store.dialects.postgres_errors import missing, store_error
from jobdash.store.location import PostgresLocation
from jobdash.store.schema.current import refuse_newer

if TYPE_CHECKING:
    import sqlalchemy

_ANOTHERS_UPGRADE_MS = 600_000
"""How long an upgrade by another process is waited for."""
_OWNERS = (
    "SELECT pg_get_userbyid(relowner), pg_has_role(relowner, 'USAGE'), pg_is_in_recovery(), current_user"
    " FROM pg_class WHERE oid = 'job'::regclass"
)
_TABLES = "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'"
_RIGHTS = (
    "SELECT grantee, pg_get_userbyid(grantee), privilege_type"
    " FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = 'job'::regclass AND grantee <> relowner"
)


@contextlib.contextmanager
def upgrading(location: PostgresLocation) -> Iterator[sqlalchemy.Connection]:
    """Hold a store against all other programs, in a transaction; raises StoreError.

    Of several processes that upgrade one, each waits for the earlier ones. The role has to own the
    tables; roles that may use the present tables may use those that the upgrade adds.
    """
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import DBAPIError

    def connected() -> psycopg.Connection[Any]:
        raw = postgres.connect_database(location)
        raw.autocommit = False
        return raw

    engine = create_engine(
        "postgresql+psycopg://", creator=connected, poolclass=NullPool, use_native_hstore=False
    )
    try:
        with engine.begin() as connection:
            raw = _driver_of(connection)
            before = _hold(raw, location)
            yield connection
            _grant_as_before(raw, location, before)
    except DBAPIError as error:
        raise _failure(location, error.orig) from error
    except psycopg.Error as error:
        raise _failure(location, error) from error
    finally:
        engine.dispose()


def run_script(connection: sqlalchemy.Connection, script: str) -> None:
    """Run statements on a connection that `upgrading` has yielded."""
    _driver_of(connection).execute(script.encode())


def _driver_of(connection: sqlalchemy.Connection) -> psycopg.Connection[Any]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def _hold(raw: psycopg.Connection[Any], location: PostgresLocation) -> frozenset[str]:
    """Wait for other upgrades, then for those who write; return the tables there are."""
    if not is_there(raw, location):
        raise StoreMissing(missing(location))
    raw.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(location.schema)))
    raw.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    owner, may_alter, is_standby, user = raw.execute(_OWNERS).fetchall()[0]
    if is_standby:
        raise StoreReadOnly(f"The store {location} cannot be upgraded: its server is a standby.")
    if not may_alter:
        raise StoreReadOnly(
            f"The store {location} cannot be upgraded by the database role {clean(user, 80)}: its tables are"
            f" those of {clean(owner, 80)}, who can: jobdash store upgrade '{location}'"
        )
    _wait_for(raw, _ANOTHERS_UPGRADE_MS, f"SELECT pg_advisory_xact_lock({MAKING})")
    refuse_newer(location, raw.execute("SELECT version_num FROM alembic_version").fetchall()[0][0])
    # The table of jobs first: every writer locks a job's row before anything else, so none of them waits for
    # a lock of the upgrade while it holds one that the upgrade waits for.
    _wait_for(raw, BUSY_TIMEOUT_MS, "LOCK TABLE job IN ACCESS EXCLUSIVE MODE")
    return _tables(raw, location)


def _wait_for(raw: psycopg.Connection[Any], ms: int, lock: str) -> None:
    raw.execute(f"SET LOCAL lock_timeout = {ms:d}".encode())
    raw.execute(lock.encode())


def _tables(raw: psycopg.Connection[Any], location: PostgresLocation) -> frozenset[str]:
    return frozenset(name for (name,) in raw.execute(_TABLES, [f'"{location.schema}"']))


def _grant_as_before(
    raw: psycopg.Connection[Any], location: PostgresLocation, before: frozenset[str]
) -> None:
    """Give every role the rights to new tables that they have to the table of jobs."""
    added = sorted(_tables(raw, location) - before)
    for number, role, right in raw.execute(_RIGHTS).fetchall() if added else ():
        to = sql.SQL("PUBLIC") if number == 0 else sql.Identifier(role)
        for table in added:
            grant = sql.SQL(f"GRANT {right} ON {{}} TO {{}}").format(sql.Identifier(table), to)
            raw.execute(grant)


def _failure(location: PostgresLocation, error: BaseException | None) -> StoreError:
    assert isinstance(error, psycopg.Error)
    found = store_error(location, error)
    if isinstance(found, StoreReadOnly):
        reason = clean(str(error.diag.message_primary or error).strip(), 300)
        return StoreReadOnly(f"The store {location} cannot be upgraded by this database role: {reason}.")
    return found
