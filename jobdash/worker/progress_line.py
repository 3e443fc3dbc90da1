"""The one line that shows, in the script's own terminal, how far it is."""

from __future__ import annotations

import os
import sys
import time
from typing import NamedTuple
from unicodedata import east_asian_width

from jobdash.domain.emoji import whole_until
from jobdash.domain.text import clean
from jobdash.domain.time import SECOND, short_span
from jobdash.worker.stderr import begin_progress, end_progress, raw, write

_DRAW_EVERY_S = 0.1
_FIRST_AFTER_S = 0.2
"""A loop that is over sooner needs no line."""
_NAME_WIDTH = 40
_BAR_WIDTH = 20


class ProgressState(NamedTuple):
    """How far a job is."""

    succeeded: int
    failed: int
    total: int | None
    before: int
    """What earlier attempts had done."""

    @property
    def done(self) -> int:
        """Items with an outcome."""
        return self.succeeded + self.failed


class ProgressLine:
    """Draws at most ten times a second, and only where a person sees it."""

    def __init__(self, name: str, unit: str) -> None:
        self._name = clean(name, _NAME_WIDTH)
        self._unit = clean(unit, _NAME_WIDTH)
        self._began = time.monotonic()
        self._next = self._began + _FIRST_AFTER_S
        self._drawn = False

    def close(self) -> None:
        """Give the terminal back, where no last line is drawn."""
        if self._drawn:
            self._drawn = False
            end_progress()

    def draw(self, progress: ProgressState, *, last: bool = False, public_id: str | None = None) -> None:
        """Draw the line if it is time; the last one stays, if one was drawn, and names the job."""
        now = time.monotonic()
        if now < self._next and not (last and self._drawn):
            return
        self._next = now + _DRAW_EVERY_S
        name = self._name if public_id is None else f"{self._name} ({public_id})"
        text = _fitting(line(name, self._unit, progress, now - self._began), _width() - 1)
        if last and self._drawn:
            write(f"{text}\n", progress=True)
            self.close()
        elif not last:
            if not self._drawn:
                self._drawn = True
                begin_progress()
            write(text, progress=True)


def line(name: str, unit: str, progress: ProgressState, seconds: float) -> str:
    """Return ``resize ━━━━━╌╌╌ 25/100 files  25 %  3.1/s  ~24s  2 errors``."""
    done, total = progress.done, progress.total
    now_done = done - progress.before
    rate = now_done / seconds if seconds > 0 else 0.0
    parts = [name]
    if total:
        filled = min(_BAR_WIDTH, _BAR_WIDTH * done // total)
        parts[0] = f"{name} {'━' * filled}{'╌' * (_BAR_WIDTH - filled)}"
        parts += [f"{done:,}/{total:,} {unit}", f"{100 * done // total} %"]
    else:
        parts.append(f"{done:,} {unit}")
    if now_done > 0:
        parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
        if total and done < total:
            parts.append(f"~{short_span(int((total - done) / rate * SECOND))}")
    if progress.failed:
        parts.append("1 error" if progress.failed == 1 else f"{progress.failed:,} errors")
    return "  ".join(parts)


def shown_here() -> bool:
    """Whether a person looks at standard error."""
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except Exception:  # noqa: BLE001 - a script may put any object there
        return False


def _fitting(text: str, cells: int) -> str:
    """Return as much of a text as fits into a number of cells: a line that wraps cannot be erased."""
    if text.isascii():
        return text[:cells]
    for at, char in enumerate(text):
        cells -= 2 if east_asian_width(char) in {"W", "F"} else 1
        if cells < 0:
            return text[: whole_until(text, at)]
    return text


def _width() -> int:
    try:
        return os.get_terminal_size(raw(sys.stderr).fileno()).columns or 80
    except Exception:  # noqa: BLE001 - the same
        return 80
