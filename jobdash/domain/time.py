"""Spans of time as people write and read them: ``90s``, ``2h``, ``26h``, ``5d``."""

from __future__ import annotations

import re

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LONGEST = 36_500 * DAY
"""A hundred years; whatever is longer is a slip of the finger."""
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def parse_span(text: str) -> int:
    """Return milliseconds for ``2h``, ``1h30m``, ``45s``; a bare number is seconds.

    Raises ValueError for anything else, and for what is longer than `LONGEST`.
    """
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        text = f"{text}s"
    if re.fullmatch(f"(?:{_SPAN.pattern})+", text):
        span = sum(float(number) * _UNITS[unit] for number, unit in _SPAN.findall(text))
        if span > LONGEST:
            raise ValueError(f"{text!r} is too long: at most {LONGEST // DAY}d")
        return int(span)
    raise ValueError(f"{text!r} is no span of time (like 30s, 5m, 2h, 3d)")


def short_span(ms: int) -> str:
    """Return one short word for a span: ``8s``, ``12m``, ``26h``, ``5d``; hours up to two days."""
    if ms < MINUTE:
        return f"{max(0, ms) // SECOND}s"
    if ms < HOUR:
        return f"{ms // MINUTE}m"
    if ms < 2 * DAY:
        return f"{ms // HOUR}h"
    return f"{ms // DAY}d"
