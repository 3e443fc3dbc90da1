"""A store in PostgreSQL as a whole: make and upgrade it, and see whether it can be used."""

from __future__ import annotations

from contextlib import closing

from jobdash.errors import StoreError
from jobdash.store.dialects import postgres
from jobdash.store.dialects.postgres_admin import create_schema
from jobdash.store.location import PostgresLocation
from jobdash.store.schema.current import POSTGRES_SCHEMA_FILE, SCHEMA_VERSION, refuse_newer

_USABLE = "SELECT version_num, pg_is_in_recovery(), has_table_privilege('job', 'UPDATE') FROM alembic_version"


def check_usable(location: PostgresLocation) -> str | None:
    """Return why a store can only be read, or None; raises `StoreError` when it cannot be used at all."""
    with closing(postgres.connect_reader(location)) as connection:
        version, is_standby, may_write = connection.execute(_USABLE).fetchone()
    refuse_newer(location, version)
    _refuse_older(location, version)
    if is_standby:
        return "its server is a standby"
    return None if may_write else "this database role may only read"


def open_for_worker(location: PostgresLocation, named: str) -> postgres.Connection:
    """Open a store for a worker; see `bootstrap.open_for_worker`."""
    connection = postgres.connect_writer(location, named)
    try:
        (version,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        _refuse_older(location, version)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_older(location: PostgresLocation, version: str) -> None:
    if version < SCHEMA_VERSION:
        raise StoreError(
            f"The store {location} was made by an older jobdash (schema {version}, this one has"
            f" {SCHEMA_VERSION}). Upgrade it when nobody works with the older one any more:"
            f" jobdash store upgrade '{location}'"
        )


def upgrade(location: PostgresLocation) -> bool:
    """Bring a store to the newest schema; return False when it has it. Raises `StoreError`.

    A role that may only read learns that the store has it; no writer is waited for then.
    """
    with closing(postgres.connect_reader(location)) as connection:
        (version,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    refuse_newer(location, version)
    if version == SCHEMA_VERSION:
        return False
    from jobdash.store.schema.migrate import upgrade_on_server

    return upgrade_on_server(location)


def create(location: PostgresLocation) -> bool:
    """Make a store; return False when it is there already. Raises `StoreError`."""
    return create_schema(location, POSTGRES_SCHEMA_FILE.read_text(encoding="utf-8"))
