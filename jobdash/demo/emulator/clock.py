"""The clocks an emulator can live by: all tell seconds since the epoch, as a float."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Anything that tells the time."""

    def now(self) -> float:
        """Seconds since the epoch."""


class RealClock:
    """The time of the machine."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()


class ScaledClock:
    """Starts at `start` (the real time, if not given) and runs `factor` times as fast as the machine's."""

    def __init__(self, factor: float, *, start: float | None = None) -> None:
        self._factor = factor
        self._start = time.time() if start is None else start
        self._zero = time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch, as this clock sees it."""
        return self._start + (time.monotonic() - self._zero) * self._factor


class ManualClock:
    """Stands still until a test moves it."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on; a clock never goes back."""
        if seconds < 0:
            raise ValueError(f"a clock never goes back: {seconds}")
        self._now += seconds
