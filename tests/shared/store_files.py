"""Files of stores: those of another schema, and what happens to them while they are in use."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from jobdash.store.bootstrap import new_file
from jobdash.store.dialects import sqlite


def build_store(path: Path, script: str) -> None:
    """Make a file and run a script of DDL in it; close it as a WAL store."""
    new_file(path)
    with closing(sqlite.connect_file(path)) as connection:
        connection.executescript(f"BEGIN;\n{script}\nCOMMIT;")
        sqlite.use_wal(connection)


def delete(path: Path) -> None:
    """Delete a store, with the files that SQLite has beside it."""
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def move(path: Path) -> None:
    """Rename a store; the files beside it stay."""
    path.rename(path.with_name("moved.db"))
