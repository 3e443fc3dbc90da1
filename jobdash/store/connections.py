"""Open the connection of a store, whichever database it is in."""

from __future__ import annotations

from pathlib import Path

from jobdash.store.dialects.base import OPTION, Connection
from jobdash.store.location import StoreLocation


def connect_reader(location: StoreLocation) -> Connection:
    """Open a store for reading; usable from any one thread at a time, and interruptible from others."""
    if isinstance(location, Path):
        from jobdash.store.dialects import sqlite

        return sqlite.connect_reader(location)
    from jobdash.store.dialects import postgres

    return postgres.connect_reader(location)


def connect_writers(location: StoreLocation) -> tuple[Connection, Connection]:
    """Open an existing store for writing: a durable connection and a fast one, which may be the same."""
    if isinstance(location, Path):
        from jobdash.store.dialects import sqlite

        return sqlite.connect_writer(location, "FULL"), sqlite.connect_writer(location, "NORMAL")
    from jobdash.store.dialects import postgres

    both = postgres.connect_writer(location, OPTION)
    return both, both


def connect_worker(location: StoreLocation, named: str) -> Connection:
    """Open an existing store for a worker; its statements may call ``now_ms()``.

    ``named`` is how its user names another store.
    """
    if isinstance(location, Path):
        from jobdash.store.dialects import sqlite

        return sqlite.connect_worker(location, named)
    from jobdash.store.dialects import postgres

    return postgres.connect_writer(location, named)
