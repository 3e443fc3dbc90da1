"""Ending on a signal: the terminal is restored, whatever the program is doing."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Self

PATIENCE_S = 3.0
"""How long an orderly end may take; a terminal that is gone can hold it up for ever."""
_LAST_WRITE_S = 0.5
_INTERRUPT = signal.SIGINT
_ENDING = frozenset(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)
RESTORING = (
    "\x1b[?2026l"  # synchronized output
    "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"  # mouse
    "\x1b[?2004l\x1b[?2048l\x1b[?1004l"  # bracketed paste, reports of size and focus
    "\x1b[?7h\x1b[<u"  # line wrap, the plain keyboard
    "\x1b[?1049l\x1b[?25h\x1b[0m"  # the other screen, the cursor, no style
)
"""What takes back everything that the dashboard asks of a terminal."""


class ExitSignals:
    """SIGTERM, SIGHUP, SIGQUIT and SIGINT, from the start of the dashboard until its process ends.

    Handlers only record the signal, so that nothing is interrupted half way: the dashboard checks before it
    begins, and is called back while it runs. Once it ends, Ctrl-C has no effect any more. A thread ends the
    process where that takes longer than `PATIENCE_S`. The handlers stay while the process cleans up.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        """The exit code of the signal that came, None when none did."""
        self.drawing = False
        """Whether the terminal is in the dashboard's hands."""
        self.leftovers: Path | None = None
        """A folder that has to be gone when the process is."""
        self._ending = False
        self._exit: Callable[[], object] | None = None
        self._attributes = _attributes()

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        # Written to by the C handler at once, also while Python waits for a disk and can run no handler.
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(reader,), name="jobdash-signals", daemon=True).start()
        for number in (*_ENDING, _INTERRUPT):
            signal.signal(number, self._record)
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()

    def attach(self, loop: AbstractEventLoop, leave: Callable[[int], object]) -> None:
        """Have ``leave`` called with the exit code, in a loop, when a signal comes or has come."""

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended
                loop.call_soon_threadsafe(lambda: leave(self.code or 0))

        self._exit = wake
        if self.code is not None:
            wake()

    def end(self) -> None:
        """From now on Ctrl-C is ignored: it has been decided that the program ends."""
        self._ending = True
        self._exit = None

    def _record(self, number: int, _frame: FrameType | None) -> None:
        if self.code is not None or (self._ending and number == _INTERRUPT):
            return
        self.code = 128 + number
        if self._exit is not None:
            self._exit()

    def _watch(self, reader: int) -> None:
        while (number := os.read(reader, 1)[0]) not in _ENDING:
            pass
        time.sleep(PATIENCE_S)
        self._end_hard(128 + number)

    def _end_hard(self, code: int) -> None:
        if self.leftovers is not None:
            import shutil

            shutil.rmtree(self.leftovers, ignore_errors=True)
        if self.drawing:
            # In a thread: a terminal that is gone or stopped can hold up a write for ever.
            last = threading.Thread(target=restore, args=(self._attributes,), daemon=True)
            last.start()
            last.join(_LAST_WRITE_S)
        os._exit(code)


def restore(attributes: list[Any] | None) -> None:
    """Give the terminal back as it was."""
    with contextlib.suppress(OSError):
        os.write(2, RESTORING.encode())
    if attributes is not None:
        import termios

        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(0, termios.TCSANOW, attributes)


def _attributes() -> list[Any] | None:
    try:
        import termios
    except ImportError:  # Windows
        return None
    try:
        return termios.tcgetattr(0)
    except (termios.error, OSError):
        return None
