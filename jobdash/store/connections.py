"""Open the connection of a store, whichever database it is in."""

from __future__ import annotations

from pathlib import Path

from jobdash.errors import StoreError
from jobdash.store.dialects.base import Connection
from jobdash.store.location import StoreLocation

_ONLY_SQLITE = "a store in PostgreSQL cannot be used yet"


def connect_reader(location: StoreLocation) -> Connection:
    """Open a store for reading; usable from any one thread at a time, and interruptible from others."""
    if isinstance(location, Path):
        from jobdash.store.dialects import sqlite

        return sqlite.connect_reader(location)
    raise StoreError(_ONLY_SQLITE)


def connect_writers(location: StoreLocation) -> tuple[Connection, Connection]:
    """Open an existing store for writing: durably, and quickly, which may be one connection."""
    if isinstance(location, Path):
        from jobdash.store.dialects import sqlite

        return sqlite.connect_writer(location, "FULL"), sqlite.connect_writer(location, "NORMAL")
    raise StoreError(_ONLY_SQLITE)


def connect_worker(location: StoreLocation, named: str) -> Connection:
    """Open an existing store for a worker; its statements may call ``now_ms()``.

    ``named`` is how its user names another store.
    """
    if isinstance(location, Path):
        from jobdash.store.dialects import sqlite

        return sqlite.connect_worker(location, named)
    raise StoreError(_ONLY_SQLITE)
