"""The end of a demo whose terminal is closed, or that is told to end: what it has made goes all the same."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

PATIENCE_S = 3.0
"""How long an orderly end may take; a terminal that is gone can hold it up for ever."""
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGTERM") if hasattr(signal, name))


class Leftovers:
    """What has to be gone when the process is."""

    def __init__(self) -> None:
        self.folder: Path | None = None


@contextmanager
def ends_when_told() -> Iterator[Leftovers]:
    """Turn SIGHUP and SIGTERM into a SystemExit, and end the process where that is not enough."""
    leftovers = Leftovers()
    timers: list[threading.Timer] = []

    def end(number: int, _frame: FrameType | None) -> None:
        if timers:
            return
        timer = threading.Timer(PATIENCE_S, _end_hard, (leftovers, 128 + number))
        timer.daemon = True
        timers.append(timer)
        timer.start()
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in _SIGNALS}
    try:
        yield leftovers
    finally:
        # The timer, once set, goes on: what ends after this can hang as well.
        if not timers:
            for number, handler in before.items():
                signal.signal(number, handler)


def _end_hard(leftovers: Leftovers, code: int) -> None:
    if leftovers.folder is not None:
        shutil.rmtree(leftovers.folder, ignore_errors=True)
    os._exit(code)
