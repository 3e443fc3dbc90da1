"""The words for what a batch cost, and for its tokens."""

from __future__ import annotations

from collections.abc import Iterable

from jobdash.domain.job import JobRow
from jobdash.domain.money import cost_text
from jobdash.domain.text import quantity


def cost_of(row: JobRow) -> str:
    """Return ``$1.20``, or for an upper bound what it is; empty where the cost is not known."""
    text = cost_text(row.cost, row.cost_is_upper_bound)
    return f"{text} (no batch price is known: at the full one)" if row.cost_is_upper_bound else text


def token_text(row: JobRow) -> str:
    """Return ``12,000 in (2,000 cached) · 3,400 out``; empty where nothing is known."""
    parts: list[str] = []
    if row.input_tokens is not None:
        cached = f" ({row.cached_tokens:,} cached)" if row.cached_tokens else ""
        parts.append(f"{row.input_tokens:,} in{cached}")
    if row.output_tokens is not None:
        parts.append(f"{row.output_tokens:,} out")
    return " · ".join(parts)


def so_far(rows: Iterable[JobRow]) -> str:
    """Return what jobs cost so far: ``about $1.20``; empty where no cost is known.

    It ends with the number of jobs that have finished requests, and whose cost is not known.
    """
    total, upper_bound, known, unknown = 0, False, 0, 0
    for row in rows:
        if row.cost is not None:
            known += 1
            total += row.cost
            upper_bound |= bool(row.cost_is_upper_bound)
        elif row.done:
            unknown += 1
    return _about(total, upper_bound, unknown) if known else ""


def expected(parts: Iterable[tuple[JobRow, int | None]]) -> str:
    """Return what so many requests of each job will cost, at the cost of its answers: ``about $1.20``.

    Empty where that is not known of any.
    """
    total, upper_bound, known, unknown = 0.0, False, 0, 0
    for row, number in parts:
        answers = row.succeeded if row.collected is None else row.collected.ok + row.collected.cut_off
        if row.cost is None or not answers or number is None:
            unknown += 1
            continue
        known += 1
        total += row.cost * number / answers
        upper_bound |= bool(row.cost_is_upper_bound)
    return _about(round(total), upper_bound, unknown) if known else ""


def _about(micros: int, upper_bound: bool, unknown: int) -> str:
    more = f", and {quantity(unknown, 'job')} of unknown cost" if unknown else ""
    return f"about {cost_text(micros, upper_bound)}{more}"
