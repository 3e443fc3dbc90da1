"""A signal for this process when its parent ends, however that happens (Linux; elsewhere nothing is done)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)
# Loaded here: after a fork, in a child that has not yet run its program, as little as possible is done.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def signal_at_parents_death(number: signal.Signals, parent: int) -> None:
    """Have the kernel send this process a signal when the thread that started it has ended.

    ``parent`` is the process id of the parent. To be called after any change of the user, which drops
    the setting; an exec of a program keeps it, a fork does not.
    """
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it has ended in between
        os.kill(os.getpid(), number)
