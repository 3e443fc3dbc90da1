"""Time as an injected thing: milliseconds UTC from whoever is asked."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns the time now in milliseconds since 1970, UTC."""


def system_clock() -> int:
    """Return the computer's own time in milliseconds UTC."""
    return time.time_ns() // 1_000_000
