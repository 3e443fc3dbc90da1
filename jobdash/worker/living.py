"""The runs of this process: ended with the interpreter, held still while it forks, left alone in a child."""

from __future__ import annotations

import atexit
import os
import threading
from functools import cache
from typing import TYPE_CHECKING

from jobdash.store.fence import Hold
from jobdash.worker import signals

if TYPE_CHECKING:
    from jobdash.worker.run import Run

live: set[Run] = set()
"""Runs that have not ended."""
_forking: list[Run] = []
_fork_lock = threading.Lock()
"""Held from before a fork until after it: two threads may fork at once."""
_forker: int | None = None
"""The thread that holds it. One that was about to fork when we hung on does not."""
_left_alone: list[Hold] = []
"""Connections of a parent process: closing one in a child could disturb the parent's."""


@cache
def prepare_process() -> None:
    """Hang on to the end of the interpreter and to forks, once a process."""
    atexit.register(_abandon_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def _abandon_all() -> None:
    for run in list(live):
        run.abandon()


def _before_fork() -> None:
    global _forker  # noqa: PLW0603  a process forks as a whole
    _fork_lock.acquire()
    _forker = threading.get_ident()
    _forking[:] = live
    for run in _forking:
        run.before_fork()


def _after_fork() -> None:
    global _forker  # noqa: PLW0603
    if _forker != threading.get_ident():
        return
    for run in _forking:
        run.after_fork()
    _forking.clear()
    _forker = None
    _fork_lock.release()


def _in_child() -> None:
    global _fork_lock, _forker
    _fork_lock, _forker = threading.Lock(), None
    signals.in_forked_child()
    for run in {*_forking, *live}:
        hold = run.in_forked_child()
        if hold is not None:
            _left_alone.append(hold)
    _forking.clear()
    live.clear()
