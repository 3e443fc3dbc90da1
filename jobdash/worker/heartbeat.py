"""The thread beside a loop: it renews the lease, sees a cancel, writes what waits, draws the line."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from jobdash.worker.recorder import Recorder

_LOOK_EVERY_S = 0.05
_CHECK_FILE_EVERY_S = 1.0


class Heartbeat:
    """A daemon thread from a job's claim to its end."""

    def __init__(self, recorder: Recorder, flush_s: float, lease_s: float, draw: Callable[[], None]) -> None:
        self._recorder = recorder
        self._flush_s = flush_s
        self._tick_s = min(_LOOK_EVERY_S, lease_s / 3)
        self._draw = draw
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobdash", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it; nothing if it could not begin."""
        self._ended.set()
        # The thread itself cannot wait for itself, nor anybody for one that was not started.
        with contextlib.suppress(RuntimeError):
            self._thread.join()

    def _run(self) -> None:
        flush_at = check_at = time.monotonic()
        while not self._ended.wait(self._tick_s):
            now = time.monotonic()
            check, due = now >= check_at, now >= flush_at
            if check:
                check_at = now + _CHECK_FILE_EVERY_S
            if due:
                flush_at = now + self._flush_s
            # Whatever goes wrong in one turn, the next one comes: without a heartbeat the job is another's.
            with contextlib.suppress(Exception):
                if check:
                    self._recorder.check_file()
                self._recorder.look_after(due)
            with contextlib.suppress(Exception):
                self._draw()
