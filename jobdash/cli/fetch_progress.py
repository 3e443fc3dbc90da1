"""One progress line for all that a command fetches, on standard error where that is a terminal."""

from __future__ import annotations

import sys
import time

from jobdash.domain.job import JobRow

_WIDTH = 24
_EVERY_S = 0.1
_MEGABYTE = 1_000_000


class FetchProgress:
    """A bar over the jobs, with the megabytes that are here; erased before any other line is printed."""

    def __init__(self, jobs: int, *, shown: bool) -> None:
        self._jobs = jobs
        self._shown = shown and sys.stderr.isatty()
        self._done = 0
        self._sizes: dict[int, int] = {}
        self._drawn_at = 0.0
        self._drawn = False

    def received(self, row: JobRow, size: int) -> None:
        """Draw that so many bytes of a job are here, at most ten times a second."""
        self._sizes[row.id] = size
        if self._shown and time.monotonic() - self._drawn_at >= _EVERY_S:
            self._drawn_at = time.monotonic()
            self._draw()

    def finished(self) -> None:
        """Count one job more, and make room for its line."""
        self._done += 1
        self.erase()

    def erase(self) -> None:
        """Clear the line."""
        if self._drawn:
            self._drawn = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _draw(self) -> None:
        full = _WIDTH * self._done // max(1, self._jobs)
        bar = "#" * full + "." * (_WIDTH - full)
        megabytes = sum(self._sizes.values()) / _MEGABYTE
        sys.stderr.write(f"\r\x1b[K[{bar}] {self._done:,} of {self._jobs:,} · {megabytes:,.1f} MB")
        sys.stderr.flush()
        self._drawn = True
