"""Filling a store with sample jobs, for a look at how jobdash feels with very many of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from jobdash.store.bulk import BULK_COLUMNS, BulkRow, build_sample_store

SampleRow = BulkRow
"""The values of `SAMPLE_COLUMNS`."""
SAMPLE_COLUMNS = BULK_COLUMNS

__all__ = ["SAMPLE_COLUMNS", "SampleRow", "fill_store"]


def fill_store(path: Path, rows: Iterable[SampleRow]) -> int:
    """Make a store at ``path`` with one job a row, and return how many.

    Raises `StoreError` when there is anything at ``path`` already: samples never mix with somebody's jobs.
    """
    return build_sample_store(path, rows)
