"""Moments as the person's own clock shows them."""

from __future__ import annotations

from jobdash.domain.time import local_date, short_span


def local_time(ms: int | None) -> str:
    """Return a moment on the person's own clock, or a dash where no calendar holds it."""
    date = local_date(ms)
    return "—" if date is None else f"{date:%Y-%m-%d %H:%M:%S}"


def moment(ms: int | None, now: int) -> str:
    """Return a moment, and how long it is past."""
    told = local_time(ms)
    return told if ms is None or local_date(ms) is None else f"{told}  ({short_span(now - ms)} ago)"
