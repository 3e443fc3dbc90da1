"""Stores to measure on: made once in a folder that the caller names, kept between runs."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from jobdash.store.schema.current import SCHEMA_VERSION
from tests.bench.terminal import python

FEW, MANY = 100, 1_000_000


def store(folder: Path, jobs: int) -> Path:
    """Return a store with so many sample jobs, of the present schema."""
    path = folder / f"{jobs}-{SCHEMA_VERSION}.db"
    if not path.exists():
        subprocess.run(
            python("-m", "jobdash", "demo", "--jobs", str(jobs), "--db", str(path)),
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return path


def finish_all(path: Path) -> None:
    """Let every unfinished job end, an hour ago, so that nothing in sight moves by itself."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE job SET remote_status = 'completed' WHERE status IN"
            " ('pending', 'validating', 'in_progress', 'finalizing', 'cancelling', 'unknown')"
        )
        connection.execute("UPDATE job SET created_at = created_at - 3600000, gone_at = NULL")
