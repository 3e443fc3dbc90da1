"""Upgrade an older store with Alembic; the migrations are hand-written SQL.

Each is a file for SQLite, and one for PostgreSQL from the first schema on that PostgreSQL had.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from jobdash.errors import StoreError
from jobdash.store.dialects import sqlite
from jobdash.store.location import PostgresLocation
from jobdash.store.schema.base import NOW_MS

MIGRATIONS = Path(__file__).with_name("migrations")
_LIVE_LEASES = "SELECT count(*) FROM job WHERE lease_until > {}"


def upgrade(path: Path, scripts: Path = MIGRATIONS) -> None:
    """Bring a store in a file to the newest schema, in one transaction.

    Of several processes that try, one does it and the others find it done. Raises `StoreError` when it
    fails, or when a migration would rewrite a table while local jobs run; the store then is unchanged.
    """
    config = _config(scripts)
    engine = sqlite.open_engine(path, "FULL")
    try:
        with engine.connect() as connection:
            # A table that is rewritten is dropped on the way; this cannot change inside a transaction.
            sqlite.disable_foreign_keys(sqlite.driver_of(connection))
            with connection.begin():
                _run_migrations(connection, config, NOW_MS)
    except DBAPIError as error:
        raise StoreError(f"The store {path} could not be upgraded: {error.orig}.") from error
    finally:
        engine.dispose()


def upgrade_on_server(location: PostgresLocation, scripts: Path = MIGRATIONS) -> bool:
    """Bring a store in PostgreSQL to the newest schema, as `upgrade` does; return False when it has it."""
    from jobdash.store.dialects import postgres_upgrade

    config = _config(scripts)
    with postgres_upgrade.upgrading(location) as connection:
        return _run_migrations(connection, config, "now_ms()")


def _config(scripts: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    return config


def _run_migrations(connection: Connection, config: Config, now_ms: str) -> bool:
    """Run what a store lacks, within a transaction; return whether there was anything."""
    current = MigrationContext.configure(connection).get_current_revision()
    pending = list(ScriptDirectory.from_config(config).iterate_revisions("head", current or "base"))
    rewrites = any(getattr(script.module, "REWRITES_TABLES", False) for script in pending)
    if current is not None and rewrites:
        _refuse_under_leases(connection, now_ms)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return bool(pending)


def run_file(migration: str) -> None:
    """Run the file of SQL beside a migration, or the one for PostgreSQL; to be called by the migration."""
    connection, file = op.get_bind(), Path(migration).with_suffix(".sql")
    if connection.dialect.name == "postgresql":
        from jobdash.store.dialects import postgres_upgrade

        on_server = file.with_suffix(".postgresql.sql")
        postgres_upgrade.run_script(connection, on_server.read_text(encoding="utf-8"))
        return
    for statement in sqlite.statements(file.read_text(encoding="utf-8")):
        connection.exec_driver_sql(statement)


def _refuse_under_leases(connection: Connection, now_ms: str) -> None:
    """Raise `StoreError` while workers of an older version write to tables that would be rewritten."""
    live = connection.exec_driver_sql(_LIVE_LEASES.format(now_ms)).scalar_one()
    if live:
        jobs = "1 local job is" if live == 1 else f"{live} local jobs are"
        raise StoreError(f"The store cannot be upgraded now: {jobs} running. Try again when they have ended.")
