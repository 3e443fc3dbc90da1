"""A store in PostgreSQL as a whole: make it, and see whether it can be used."""

from __future__ import annotations

from contextlib import closing

from jobdash.errors import StoreError
from jobdash.store.dialects import postgres
from jobdash.store.dialects.postgres_admin import create_schema
from jobdash.store.location import PostgresLocation
from jobdash.store.schema.current import POSTGRES_SCHEMA_FILE, SCHEMA_VERSION, too_new

_USABLE = "SELECT version_num, pg_is_in_recovery(), has_table_privilege('job', 'UPDATE') FROM alembic_version"


def check_usable(location: PostgresLocation) -> str | None:
    """Return why a store can only be read, or None; raises `StoreError` when it cannot be used at all."""
    with closing(postgres.connect_reader(location)) as connection:
        version, is_standby, may_write = connection.execute(_USABLE).fetchone()
    if version > SCHEMA_VERSION:
        raise too_new(location, version)
    if version < SCHEMA_VERSION:
        raise StoreError(
            f"The store {location} was made by an older jobdash (schema {version}, this one has"
            f" {SCHEMA_VERSION}), and cannot be upgraded."
        )
    if is_standby:
        return "its server is a standby"
    return None if may_write else "this database role may only read"


def create(location: PostgresLocation) -> bool:
    """Make a store; return False when it is there already. Raises `StoreError`."""
    return create_schema(location, POSTGRES_SCHEMA_FILE.read_text(encoding="utf-8"))
