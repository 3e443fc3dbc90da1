"""Times as dates: which ones a calendar holds in every time zone, and how they are formatted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EARLIEST_MS = -62_135_510_400_000
"""0001-01-02, milliseconds UTC: a zone may be a day behind, and there is no year 0."""
LATEST_MS = 253_402_214_399_999
"""The last millisecond of 9999-12-30 UTC: a zone may be a day ahead, and there is no year 10000."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def in_calendar(ms: float) -> bool:
    """Whether a time (milliseconds UTC) is a date in every time zone."""
    return EARLIEST_MS <= ms <= LATEST_MS


def utc_date(ms: int | None) -> datetime | None:
    """Return milliseconds UTC as a date that every zone can express; None for what no calendar holds."""
    if ms is None or not in_calendar(ms):
        return None
    return _EPOCH + timedelta(milliseconds=ms)


def local_date(ms: int | None) -> datetime | None:
    """Return milliseconds UTC as a date of the local time zone; None for what no calendar holds."""
    moment = utc_date(ms)
    return None if moment is None else moment.astimezone()
