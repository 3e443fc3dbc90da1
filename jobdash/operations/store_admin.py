"""What is done to a whole store: making, copying, checking it, and granting rights to it."""

from __future__ import annotations

from jobdash.errors import UsageError
from jobdash.store.bootstrap import ensure_store
from jobdash.store.copying import check_store, copy_store
from jobdash.store.location import PostgresLocation, StoreLocation

__all__ = ["StoreLocation", "check_store", "copy_store", "grant_reading", "make_store"]


def make_store(location: StoreLocation) -> bool:
    """Make a store; return False when it is there already. Raises StoreError."""
    if isinstance(location, PostgresLocation):
        from jobdash.store.server_store import create

        return create(location)
    is_there = location.exists()
    ensure_store(location)
    return not is_there


def grant_reading(location: StoreLocation, role: str) -> None:
    """Let a role of the database read a store; raises StoreError."""
    if not isinstance(location, PostgresLocation):
        raise UsageError("only a store in PostgreSQL has roles; a file's readers are those of its folder")
    from jobdash.store.dialects import postgres_admin

    postgres_admin.grant_reading(location, role)
