"""Times as they are printed: RFC 3339 in JSON and CSV, local and short for people."""

from __future__ import annotations

from jobdash.domain.time import local_date, short_span, utc_date


def rfc3339(ms: int | None) -> str | None:
    """Return milliseconds UTC as ``2026-11-05T12:00:00.000Z``; None for what no calendar holds."""
    moment = utc_date(ms)
    return None if moment is None else f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"


def local(ms: int | None, *, seconds: bool = False) -> str:
    """Return milliseconds UTC as the local time, ``2026-11-05 13:00``; empty when unknown."""
    moment = local_date(ms)
    shape = "%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M"
    return "" if moment is None else moment.strftime(shape)


def ago(ms: int, now: int) -> str:
    """Return ``3 min ago`` in the short form: ``3m ago``."""
    return f"{short_span(now - ms)} ago"
