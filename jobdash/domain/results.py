"""Results of a batch: how they are written, and their counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ResultFormat(StrEnum):
    """How the results of a batch are written."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class ResultCounts:
    """How many requests of a batch came to which outcome; None is unknown, never 0.

    Each key is counted once in ``ok``, ``error`` and ``cut_off``; keys that no request has are counted in
    ``unknown_keys`` alone.
    """

    ok: int = 0
    error: int = 0
    cut_off: int = 0
    missing: int | None = None
    unknown_keys: int = 0
    """Lines whose key no request of the input has, or that have no key."""
    duplicate_keys: int = 0
    """Lines beyond the first of a key."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    """Those of the input tokens that came out of a cache."""

    @property
    def answered(self) -> int:
        """Requests that have an answer or an error."""
        return self.ok + self.error + self.cut_off
