"""Moments as the person's own clock shows them."""

from __future__ import annotations

from datetime import datetime

from jobdash.domain.duration import short_span


def local_time(ms: int | None) -> str:
    """Return a moment on the person's own clock, or a dash."""
    if ms is None:
        return "—"
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def moment(ms: int | None, now: int) -> str:
    """Return a moment, and how long it is past."""
    return f"{local_time(ms)}  ({short_span(now - ms)} ago)" if ms is not None else "—"
