"""The version of the schema that this jobdash has, and the files that make a store of it."""

from __future__ import annotations

from pathlib import Path

from jobdash.errors import StoreTooNew
from jobdash.store.location import StoreLocation

SCHEMA_VERSION = "0020"
"""The Alembic revision that the files are at. Revisions are numbers, which can be compared."""
SCHEMA_FILE = Path(__file__).with_name("schema.sql")
POSTGRES_SCHEMA_FILE = SCHEMA_FILE.with_suffix(".postgresql.sql")


def refuse_newer(location: StoreLocation, version: str) -> None:
    """Raise `StoreTooNew` for the store of a newer jobdash."""
    if version > SCHEMA_VERSION:
        raise StoreTooNew(
            f"The store {location} was written by a newer jobdash (schema {version}, this one knows"
            f" {SCHEMA_VERSION}). Upgrade jobdash, or name another store with --db."
        )
