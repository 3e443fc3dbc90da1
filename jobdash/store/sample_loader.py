"""Load generated jobs into a new store, a million in well under a minute, for samples and measurements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from jobdash.errors import StoreError
from jobdash.store.bootstrap import Notice, filled_file, ignore
from jobdash.store.dialects import sqlite
from jobdash.store.dialects.base import transaction
from jobdash.store.public_ids import public_id
from jobdash.store.schema.current import SCHEMA_FILE

SAMPLE_COLUMNS = (
    "provider", "account", "origin", "remote_id", "name", "remote_status", "raw_status",
    "cancel_requested_at", "verdict", "verdict_at", "verdict_reason", "removed_at", "gone_at",
    "model", "endpoint", "total", "succeeded", "failed", "cancelled", "expired",
    "error", "errors", "usage", "files", "remote_metadata",
    "created_at", "started_at", "finished_at", "expires_at", "updated_at", "seen_at",
    "left_behind", "results_expire_at", "input_tokens", "output_tokens", "cost", "cost_is_upper_bound",
    "fetch_error",
)  # fmt: skip
"""The columns of a generated job, in order; times are milliseconds UTC, ``errors`` … ``metadata`` JSON."""

SampleRow = tuple[str | int | None, ...]
_ROWS_A_BATCH = 5_000
_INSERT = (
    f"INSERT INTO job (public_id, revision, {', '.join(SAMPLE_COLUMNS)})"
    f" VALUES (?, ?, {', '.join('?' * len(SAMPLE_COLUMNS))})"
)


def build_sample_store(path: Path, rows: Iterable[SampleRow], notice: Notice = ignore) -> int:
    """Make a store at ``path`` with one job for each row; return how many.

    No process sees the store before it is complete, so its indexes and triggers are made last. Raises
    `StoreError` when there is a store already.
    """
    if path.exists():
        raise StoreError(f"{path} exists already: samples go into a new store.")
    with filled_file(path, f"{path} was made meanwhile by somebody else.", notice) as connection:
        return _fill(connection, rows)


def _fill(connection: sqlite.Connection, rows: Iterable[SampleRow]) -> int:
    count, numbered = 0, _numbered(rows)
    with sqlite.bulk_load(connection, SCHEMA_FILE.read_text(encoding="utf-8")):
        while batch := list(islice(numbered, _ROWS_A_BATCH)):
            with transaction(connection):
                connection.executemany(_INSERT, batch)
            count += len(batch)
    connection.execute(
        "INSERT INTO tally (account, tab, n) SELECT account, tab, count(*) FROM job GROUP BY account, tab"
    )
    connection.execute("UPDATE meta SET revision = ?", (count,))
    sqlite.use_wal(connection)
    return count


def _numbered(rows: Iterable[SampleRow]) -> Iterator[SampleRow]:
    """Put a public id and a revision before every row."""
    used: set[str] = set()
    for revision, row in enumerate(rows, start=1):
        while (fresh := public_id()) in used:
            pass
        used.add(fresh)
        yield (fresh, revision, *row)
