"""What a benchmark found: a ratio against its floor, beside what is wanted."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    what: str
    against: str
    wanted: str
    got: str


def ratio(values: Sequence[float], floor: Sequence[float]) -> float:
    """Return the median of the ratios pair by pair: both of a pair ran side by side."""
    return statistics.median(value / base for value, base in zip(values, floor, strict=True))


def ms(values: Sequence[float]) -> str:
    """Return a median of seconds in milliseconds."""
    return f"{statistics.median(values) * 1000:.1f} ms"


def show(findings: Sequence[Finding]) -> None:
    """Print the findings as a table."""
    rows = [("what", "against", "wanted", "got"), *((f.what, f.against, f.wanted, f.got) for f in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
