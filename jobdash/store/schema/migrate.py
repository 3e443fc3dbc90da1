"""Upgrade an older store with Alembic; the migrations are hand-written SQL."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from jobdash.errors import StoreError
from jobdash.store.dialects import sqlite
from jobdash.store.schema.tables import NOW_MS

MIGRATIONS = Path(__file__).with_name("migrations")
_LIVE_LEASES = f"SELECT count(*) FROM job WHERE lease_until > {NOW_MS}"


def upgrade(path: Path, scripts: Path = MIGRATIONS) -> None:
    """Bring a store to the newest schema, in one transaction.

    Of several processes that try, one does it and the others find it done. Raises `StoreError` when it
    fails, or when a migration would rewrite a table while local jobs run; the store then is unchanged.
    """
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    engine = sqlite.open_engine(path, "FULL")
    try:
        with engine.connect() as connection:
            # A table that is rewritten is dropped on the way; this cannot change inside a transaction.
            sqlite.disable_foreign_keys(sqlite.driver_of(connection))
            with connection.begin():
                _refuse_under_leases(connection, config)
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    except DBAPIError as error:
        raise StoreError(f"The store {path} could not be upgraded: {error.orig}.") from error
    finally:
        engine.dispose()


def run_file(connection: Connection, file: Path) -> None:
    """Run a file of SQL; for migrations."""
    for statement in sqlite.statements(file.read_text(encoding="utf-8")):
        connection.exec_driver_sql(statement)


def _refuse_under_leases(connection: Connection, config: Config) -> None:
    """Raise `StoreError` when a table would be rewritten while workers of an older version write to it."""
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None:
        return
    pending = ScriptDirectory.from_config(config).iterate_revisions("head", current)
    if not any(getattr(script.module, "REWRITES_TABLES", False) for script in pending):
        return
    live = connection.exec_driver_sql(_LIVE_LEASES).scalar_one()
    if live:
        jobs = "1 local job is" if live == 1 else f"{live} local jobs are"
        raise StoreError(f"The store cannot be upgraded now: {jobs} running. Try again when they have ended.")
