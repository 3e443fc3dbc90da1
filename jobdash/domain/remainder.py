"""What is left to do of a batch and of its retries: the requests that have no whole answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jobdash.domain.items import CUT_OFF, FAILED, MISSING, ItemStatus
from jobdash.domain.job import JobRow

PART_OF = {ItemStatus.ERROR: FAILED, ItemStatus.MISSING: MISSING, ItemStatus.CUT_OFF: CUT_OFF}
"""How a retry calls the requests of each outcome that is no whole answer."""


class Remainder(NamedTuple):
    """How many requests of a batch have no whole answer, its retries included; None is unknown."""

    total: int | None
    failed: int | None
    missing: int | None
    cut_off: int | None
    counted: bool = False
    """Counted in results that are here; else as the provider counts."""
    to_fetch: int = 0
    """How many batches of the family have to be fetched first."""
    at_most: bool = False
    """Its requests are no more than that: a provider may have answers, and does not promise them."""
    blocked: str = ""
    """Why nothing can be sent again now; empty where something can."""
    same_as: str = ""
    """The job before it, in what was asked for, whose requests these are; empty for none."""
    no_input: str = ""
    """Why the requests cannot be had without a file of the person's own; empty where they can."""

    def parts(self, only: Iterable[str]) -> dict[str, int | None]:
        """Return the number of requests of each part, of those that a retry is for."""
        numbers = {FAILED: self.failed, MISSING: self.missing, CUT_OFF: self.cut_off}
        return {part: number for part, number in numbers.items() if part in set(only)}

    def chosen(self, only: Iterable[str]) -> int | None:
        """Return how many requests a retry sends again; None where a part of it is unknown."""
        numbers = list(self.parts(only).values())
        return None if None in numbers else sum(number for number in numbers if number is not None)


def remainder_of(row: JobRow) -> Remainder:
    """Return what is left of one batch by its row alone: its fetched results, else its provider's counts."""
    counts = row.collected
    if counts is not None:
        return Remainder(row.total, counts.error, counts.missing, counts.cut_off, counted=True)
    missing = None
    if row.total and row.done is not None:  # before its file was looked at, a provider counts 0 of 0
        missing = max(0, row.total - row.done)
    return Remainder(row.total, row.failed, missing, None, to_fetch=1)


def best_outcomes(newest_first: Iterable[Mapping[str, ItemStatus]]) -> dict[str, ItemStatus]:
    """Return the outcome of each key over several batches: a whole answer counts before all others.

    An answer that was cut off counts before an error.
    """
    found: dict[str, ItemStatus] = {}
    for outcomes in newest_first:
        for key, outcome in outcomes.items():
            if key not in found or outcome.rank < found[key].rank:
                found[key] = outcome
    return found
