"""Whether there is a terminal that the dashboard can be drawn on."""

from __future__ import annotations

import os
import sys

from jobdash.errors import UsageError

_TRIES = 3
_CANNOT_DRAW = frozenset({"dumb", "unknown"})
"""Names of terminals that cannot move their cursor; editors and CI set them."""


def require_terminal(sentence: str, instead: str) -> None:
    """Raise UsageError when no dashboard can be drawn here.

    It begins with ``sentence``, and ends with what can be used ``instead``.
    """
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise UsageError(f"{sentence}; {instead}")
    _wait_for_foreground()
    if (name := os.environ.get("TERM", "")) in _CANNOT_DRAW:
        raise UsageError(
            f"{sentence} that can move its cursor, and TERM={name} says this one cannot; {instead}"
        )


def _wait_for_foreground() -> None:
    """Stop until a shell's ``fg``, where the terminal is another program's (``jobdash &``).

    In a session without a shell nothing would wake us, and the signal does nothing.
    """
    if not hasattr(os, "tcgetpgrp"):
        return
    import signal

    for _ in range(_TRIES):
        try:
            if os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp():
                return
        except OSError:
            return
        os.killpg(os.getpgrp(), signal.SIGTTIN)
