"""Administration of a store: make, upgrade, copy and check it, and grant rights to it."""

from __future__ import annotations

from enum import Enum

from jobdash.errors import StoreMissing, UsageError
from jobdash.store.bootstrap import ensure_store, refuse_unusable, stored_version
from jobdash.store.copying import check_store, copy_store
from jobdash.store.location import PostgresLocation, StoreLocation
from jobdash.store.schema.current import SCHEMA_VERSION

__all__ = [
    "StoreChange", "StoreLocation", "check_store", "copy_store", "grant_reading", "grant_writing",
    "make_store", "upgrade_store",
]  # fmt: skip


class StoreChange(Enum):
    """What was done to a store."""

    MADE = "Made a store at {}"
    UPGRADED = "Upgraded a store at {}"
    NONE = "The store at {} is there already, and up to date"

    def sentence(self, location: StoreLocation) -> str:
        """Return the change as a sentence about the store at a location."""
        return self.value.format(location)


def make_store(location: StoreLocation) -> StoreChange:
    """Make a store where there is none, upgrade an older one; raises StoreError."""
    if isinstance(location, PostgresLocation):
        from jobdash.store import server_store

        if server_store.create(location):
            return StoreChange.MADE
        return StoreChange.UPGRADED if server_store.upgrade(location) else StoreChange.NONE
    refuse_unusable(location)
    if not location.exists():
        ensure_store(location)
        return StoreChange.MADE
    is_older = stored_version(location) < SCHEMA_VERSION
    ensure_store(location)
    return StoreChange.UPGRADED if is_older else StoreChange.NONE


def upgrade_store(location: StoreLocation) -> StoreChange:
    """Upgrade an older store; raises StoreError, also where there is none."""
    if isinstance(location, PostgresLocation):
        from jobdash.store import server_store

        return StoreChange.UPGRADED if server_store.upgrade(location) else StoreChange.NONE
    if not location.exists():
        raise StoreMissing(f"There is no store at {location}.")
    return make_store(location)


def grant_reading(location: StoreLocation, role: str) -> None:
    """Let a role of the database read a store; raises StoreError."""
    from jobdash.store.dialects import postgres_admin

    postgres_admin.grant_reading(_on_server(location), role)


def grant_writing(location: StoreLocation, role: str) -> bool:
    """Let a role of the database do all that is done with a store but upgrade it; raises StoreError.

    Returns whether it may use an engine, too, whose tables are made by the first worker there is.
    """
    from jobdash.engines.base import SCHEMAS
    from jobdash.store.dialects import postgres_admin

    return bool(postgres_admin.grant_writing(_on_server(location), role, SCHEMAS))


def _on_server(location: StoreLocation) -> PostgresLocation:
    if not isinstance(location, PostgresLocation):
        raise UsageError("only a store in PostgreSQL has roles; a file's readers are those of its folder")
    return location
