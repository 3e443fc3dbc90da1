"""Times and spans of time: milliseconds UTC as dates, and spans as people write and read them: ``26h``."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], int]
"""Returns the time now in milliseconds since 1970, UTC."""

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LONGEST = 36_500 * DAY
"""A hundred years; whatever is longer is a slip of the finger."""
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_BARE = re.compile(r"\d+(\.\d+)?")
_SPAN = r"(\d+(?:\.\d+)?)([smhdw])"

EARLIEST_MS = -62_135_510_400_000
"""0001-01-02, milliseconds UTC: a zone may be a day behind, and there is no year 0."""
LATEST_MS = 253_402_214_399_999
"""The last millisecond of 9999-12-30 UTC: a zone may be a day ahead, and there is no year 10000."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WITHOUT_ZONE = _EPOCH.replace(tzinfo=None)


def system_clock() -> int:
    """Return the computer's own time in milliseconds UTC."""
    return time.time_ns() // 1_000_000


def in_calendar(ms: float) -> bool:
    """Whether a time (milliseconds UTC) is a date in every time zone."""
    return EARLIEST_MS <= ms <= LATEST_MS


def utc_date(ms: int | None) -> datetime | None:
    """Return milliseconds UTC as a date that every zone can express; None for what no calendar holds."""
    if ms is None or not in_calendar(ms):
        return None
    return _EPOCH + timedelta(milliseconds=ms)


def rfc3339(ms: int | None) -> str | None:
    """Return milliseconds UTC as ``2026-11-05T12:00:00.000Z``; None for what no calendar holds."""
    if ms is None or not in_calendar(ms):
        return None
    # Without a zone, which takes a third of the time to write: a listing has some five times a job.
    moment = _EPOCH_WITHOUT_ZONE + timedelta(milliseconds=ms)
    return f"{moment.isoformat(timespec='milliseconds')}Z"


def local_date(ms: int | None) -> datetime | None:
    """Return milliseconds UTC as a date of the local time zone; None for what no calendar holds."""
    moment = utc_date(ms)
    return None if moment is None else moment.astimezone()


def parse_span(text: str) -> int:
    """Return milliseconds for ``2h``, ``1h30m``, ``45s``; a bare number is seconds.

    Raises ValueError for anything else, and for what is longer than `LONGEST`.
    """
    text = text.strip().lower()
    if _BARE.fullmatch(text):
        text = f"{text}s"
    if re.fullmatch(f"(?:{_SPAN})+", text):
        span = sum(float(number) * _UNITS[unit] for number, unit in re.findall(_SPAN, text))
        if span > LONGEST:
            raise ValueError(f"{text!r} is too long: at most {LONGEST // DAY}d")
        return int(span)
    raise ValueError(f"{text!r} is not a span of time (like 30s, 5m, 2h, 3d)")


def parse_age(text: str) -> int:
    """Return milliseconds as `parse_span` does, for an age from which on something is deleted.

    Raises ValueError for a bare number, too: who means days by it would delete what is seconds old.
    """
    if _BARE.fullmatch(number := text.strip()):
        raise ValueError(f"{number!r} has no unit: {number}d is days, {number}h hours")
    return parse_span(text)


def short_span(ms: int) -> str:
    """Return one short word for a span: ``8s``, ``12m``, ``26h``, ``5d``; hours up to two days."""
    if ms < MINUTE:
        return f"{max(0, ms) // SECOND}s"
    if ms < HOUR:
        return f"{ms // MINUTE}m"
    if ms < 2 * DAY:
        return f"{ms // HOUR}h"
    return f"{ms // DAY}d"
