"""Filling a store with many sample jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from jobdash.store.sample_loader import SAMPLE_COLUMNS, SampleRow, build_sample_store

__all__ = ["SAMPLE_COLUMNS", "SampleRow", "fill_store"]


def fill_store(
    path: Path, rows: Iterable[SampleRow], notice: Callable[[str], None] = lambda _sentence: None
) -> int:
    """Make a store at ``path`` with one job a row, and return how many.

    ``notice`` is given a sentence when files of an earlier store had to be moved away.

    Raises `StoreError` when there is anything at ``path`` already: samples never mix with somebody's jobs.
    """
    return build_sample_store(path, rows, notice)
