"""The runs of this process: ended with the interpreter, held still while it forks, left alone in a child."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections import deque
from functools import cache
from typing import TYPE_CHECKING

from jobdash.store.leases import Lease
from jobdash.worker import signals, stderr

if TYPE_CHECKING:
    from jobdash.worker.job_run import JobRun

live: set[JobRun] = set()
"""Runs whose end is not written."""
left: deque[JobRun] = deque(maxlen=100)
"""Plain loops that were left early, for a reason that may show at the end of the script."""
_fork_lock = threading.RLock()
"""Held from before a fork until after it: two threads may fork at once."""
_left_alone: list[Lease] = []
"""Connections of a parent process: closing one in a child could disturb the parent's."""


class _Mine(threading.local):
    """The runs that this thread holds still for its fork."""

    def __init__(self) -> None:
        self.runs: list[JobRun] = []


_mine = _Mine()


@cache
def prepare_process() -> None:
    """Hang on to the end of the interpreter and to forks, once a process."""
    atexit.register(_abandon_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def end_interrupted() -> None:
    """Write the ends of jobs that an interrupt has kept from being written."""
    for run in tuple(live):
        if run.ended:
            run.write_end()


@signals.uninterrupted
def _abandon_all() -> None:
    end_interrupted()
    for run in list(live):
        run.abandon()
    for run in left:
        run.fail_if_uncaught()


def _before_fork() -> None:
    # Ctrl-C may end this anywhere, and the process is forked all the same.
    _fork_lock.acquire()
    for run in list(live):
        _mine.runs.append(run)
        run.before_fork()


def _after_fork() -> None:
    # A lock is not held when the wait for it was interrupted, or the fork had begun when we hung on.
    while _mine.runs:
        with contextlib.suppress(RuntimeError):
            _mine.runs.pop().after_fork()
    with contextlib.suppress(RuntimeError):
        _fork_lock.release()


def _in_child() -> None:
    global _fork_lock  # noqa: PLW0603  a process forks as a whole
    _fork_lock = threading.RLock()
    signals.in_forked_child()
    stderr.in_forked_child()
    for run in {*_mine.runs, *live}:
        hold = run.in_forked_child()
        if hold is not None:
            _left_alone.append(hold)
    _mine.runs.clear()
    live.clear()
    left.clear()
