"""Copy a whole store into an empty one, of whichever database; check a store against itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from jobdash.domain.text import quantity
from jobdash.domain.time import short_span
from jobdash.errors import StoreError
from jobdash.store.bootstrap import ensure_store, filled_file
from jobdash.store.connections import connect_reader
from jobdash.store.dialects import sqlite
from jobdash.store.dialects.base import Connection, transaction
from jobdash.store.location import PostgresLocation, StoreLocation
from jobdash.store.reader import Reader
from jobdash.store.schema.current import SCHEMA_FILE
from jobdash.store.schema.tables import METADATA
from jobdash.store.sort_orders import Listed

Rows = Iterator[tuple[Any, ...]]
Tables = Callable[[str, Sequence[str]], Rows]
"""Returns the rows of a table, with some of its columns, in the order of its key."""
_MADE_WITH_THE_STORE = frozenset({"alembic_version"})
_ROWS_A_BATCH = 5_000
_INVALID = (
    "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class AS kept ON kept.oid = indrelid"
    " WHERE NOT indisvalid AND kept.relnamespace = current_schema()::regnamespace"
)
_COUNTED = "SELECT account, tab, count(*) FROM job GROUP BY account, tab"
_KEPT = "SELECT account, tab, n FROM tally WHERE n <> 0"
_HEAD = "SELECT min(id) FROM job AS member WHERE member.family_id = job.family_id AND member.listed <> 0"
_CHECKS = (
    ("the counts of jobs by account and tab", f"{_KEPT} EXCEPT {_COUNTED}"),
    ("the counts of jobs by account and tab", f"{_COUNTED} EXCEPT {_KEPT}"),
    (
        "the number of jobs that are folded",
        f"SELECT folded FROM meta EXCEPT SELECT count(*) FROM job WHERE listed = {Listed.FOLDED}",
    ),
    (
        "the heads of families",
        f"SELECT id FROM job WHERE family_id IS NOT NULL AND listed = {Listed.HEAD} AND id <> ({_HEAD})",
    ),
    (
        "the items of jobs",
        "SELECT job_id FROM item WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.id = item.job_id)",
    ),
)
"""What a store counts, and the query of what contradicts its rows."""


def copy_store(source: StoreLocation, target: StoreLocation) -> int:
    """Copy all of a store into another, and return how many jobs it has.

    The source must be there. A target in PostgreSQL was made and is empty; a file is made, and must not be
    there. Raises `StoreError`, also while scripts write to the source: what they write afterwards would be
    lost.
    """
    ensure_store(source, make=False)
    with Reader(source) as reader:
        if held := reader.held_until(now := reader.now):
            one = len(held) == 1
            writes, ended = ("writes", "it has ended or was") if one else ("write", "they have ended or were")
            raise StoreError(
                f"{quantity(len(held), 'running job')} {writes} to {source}: copy it when {ended} cancelled."
                " One whose process was killed on another computer counts as running for"
                f" {short_span(max(held) - now)}."
            )
        jobs = reader.counts().total
    with _reading(source) as rows_of:
        if isinstance(target, PostgresLocation):
            from jobdash.store.dialects.postgres_admin import load

            ensure_store(target)
            load(target, _columns(), rows_of)
        else:
            _make_file(target, rows_of)
    return jobs


def _columns() -> dict[str, list[str]]:
    """Return the columns of each table that are not made by the database, tables in the order they need."""
    return {
        table.name: [column.name for column in table.columns if column.computed is None]
        for table in METADATA.sorted_tables
        if table.name not in _MADE_WITH_THE_STORE
    }


def _reading(source: StoreLocation) -> AbstractContextManager[Tables]:
    if isinstance(source, PostgresLocation):
        from jobdash.store.dialects.postgres_admin import reading

        return reading(source)
    return _reading_file(source)


@contextmanager
def _reading_file(path: Path) -> Iterator[Tables]:
    with closing(sqlite.connect_reader(path)) as connection:
        connection.execute("BEGIN")
        yield lambda table, columns: iter(
            connection.execute(f"SELECT {_quoted(columns)} FROM {table} ORDER BY 1")
        )


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _make_file(path: Path, rows_of: Tables) -> None:
    """Make a file of rows; it appears whole or not at all."""
    schema = SCHEMA_FILE.read_text(encoding="utf-8")
    with filled_file(path, f"There is a file at {path}: a copy is made into a new one.") as connection:
        with sqlite.bulk_load(connection, schema, ("INSERT INTO meta",)):
            for table, columns in _columns().items():
                rows = rows_of(table, columns)
                insert = f"INSERT INTO {table} ({_quoted(columns)}) VALUES ({', '.join('?' * len(columns))})"
                while batch := list(islice(rows, _ROWS_A_BATCH)):
                    with transaction(connection):
                        connection.executemany(insert, batch)
        # Revisions of PostgreSQL are of its server; those of a file are counted. No trigger says so.
        connection.execute("UPDATE job SET revision = id")
        connection.execute("UPDATE meta SET revision = (SELECT coalesce(max(id), 0) FROM job)")
        sqlite.use_wal(connection)


def check_store(location: StoreLocation) -> list[str]:
    """Return what is wrong in a store, as sentences; none where all is well. Raises `StoreError`."""
    ensure_store(location, read_only=True)
    with closing(connect_reader(location)) as connection:
        wrong = {what: None for what, query in _CHECKS if connection.execute(query).fetchall()}
        return [*_damage(connection, location), *(f"{what}: not as its rows have it" for what in wrong)]


def _damage(connection: Connection, location: StoreLocation) -> list[str]:
    if isinstance(location, PostgresLocation):
        found = connection.execute(_INVALID).fetchall()
        return [f"the index {name} is not valid" for (name,) in found]
    return sqlite.damage(connection)
