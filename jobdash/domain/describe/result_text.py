"""The words for results of a batch: counts by outcome, what can be fetched, until when."""

from __future__ import annotations

from collections.abc import Iterable

from jobdash.domain.items import CUT_OFF, FAILED, MISSING
from jobdash.domain.job import JobRow
from jobdash.domain.remainder import Remainder
from jobdash.domain.results import ResultCounts
from jobdash.domain.status import Status
from jobdash.domain.time import DAY, short_span

GONE_SOON_MS = 7 * DAY
"""From when on the end of the results is worth a sentence."""
_MEGABYTE = 1_000_000


def outcome_counts(counts: ResultCounts) -> str:
    """Return counts by outcome: ``9,612 ok · 312 cut off · 40 errors · 36 missing``."""
    errors = "1 error" if counts.error == 1 else f"{counts.error:,} errors"
    parts = [f"{counts.ok:,} ok"]
    parts += [f"{counts.cut_off:,} cut off"] if counts.cut_off else []
    parts += [errors] if counts.error else []
    parts += [f"{counts.missing:,} missing"] if counts.missing else []
    return " · ".join(parts)


_UNCOUNTED = {FAILED: "what failed", MISSING: "what is missing", CUT_OFF: "what was cut off"}
"""How the requests of each part are called whose number is not known."""


def sent_again(left: Remainder, only: Iterable[str]) -> str:
    """Return what a retry sends: ``36 of 10,000 sent again: 24 errors, 12 missing``."""
    parts, number = left.parts(only), left.chosen(only)
    known = [_part(part, count) for part, count in parts.items() if count]
    unknown = [_UNCOUNTED[part] for part, count in parts.items() if count is None]
    which = ", ".join([*known, *unknown])
    some = "what is left" if number is None else f"{'up to ' if left.at_most else ''}{number:,}"
    whole = f" of {left.total:,}" if left.total else ""
    if number is None:
        whole += " is"
    return f"{some}{whole} sent again: {which}" if which else f"{some}{whole} sent again"


def _part(part: str, number: int) -> str:
    if part == FAILED:
        return "1 error" if number == 1 else f"{number:,} errors"
    return f"{number:,} {part.replace('-', ' ')}"


def relatives_words(parent: str | None, child: str | None) -> str:
    """Return which batch a batch was sent again from, and as which its own rest was; mostly empty."""
    parts = [f"sent again from {parent}"] if parent else []
    parts += [f"its rest was sent again as {child}"] if child else []
    return ", ".join(parts)


def batches(number: int) -> str:
    """Return ``1 batch``, ``3 batches``."""
    return "1 batch" if number == 1 else f"{number:,} batches"


def odd_keys(counts: ResultCounts) -> str:
    """Return what is odd about the keys of results; mostly empty."""
    parts = [f"{counts.unknown_keys:,} with an unknown key"] if counts.unknown_keys else []
    parts += [f"{counts.duplicate_keys:,} with a key used before"] if counts.duplicate_keys else []
    return f"not counted: {', '.join(parts)}" if parts else ""


def fetching_words(size: int) -> str:
    """Return how far a fetch is, by the bytes that are here: ``fetching: 45.2 MB``."""
    return f"fetching: {size / _MEGABYTE:,.1f} MB"


def ended_early(row: JobRow) -> str:
    """Return what an expired or cancelled batch has done: ``1 of 10 done, 9 expired``.

    Empty where that is nothing, or unknown, or fetched already.
    """
    if not _has_rest(row):
        return ""
    word = "expired" if row.status is Status.EXPIRED else "cancelled"
    total, succeeded = row.total or 0, row.succeeded or 0
    rest = total - (row.done or 0)
    parts = [f"{succeeded:,} of {total:,} done"]
    parts += [f"{row.failed:,} failed"] if row.failed else []
    parts += [f"{rest:,} {word}"] if rest > 0 else []
    return ", ".join(parts)


def to_fetch(row: JobRow) -> str:
    """Return what a key fetches of a batch that ended early, where its provider keeps it: ``d fetches 1``."""
    return f"d fetches {row.succeeded:,}" if _has_rest(row) else ""


def to_retry(row: JobRow) -> str:
    """Return what a key sends again of a batch that ended early: ``r sends 9``."""
    left = (row.total or 0) - (row.succeeded or 0)
    return f"r sends {left:,}" if _has_rest(row) and left > 0 else ""


def _has_rest(row: JobRow) -> bool:
    known = row.remote_id is not None and row.fetched_at is None and row.total is not None
    return known and bool(row.succeeded) and row.status in {Status.EXPIRED, Status.CANCELLED}


def results_gone(row: JobRow, now: int) -> str:
    """Return ``results gone in 3d`` for results that were not fetched yet and go soon, else an empty text."""
    if row.results_expire_at is None or row.fetched_at is not None or not row.terminal:
        return ""
    left = row.results_expire_at - now
    if left <= 0:
        return "results gone at the provider"
    return f"results gone in {short_span(left)}" if left < GONE_SOON_MS else ""
