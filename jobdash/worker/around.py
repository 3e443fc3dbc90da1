"""The jobs that a piece of code is inside of: a cancel of several is not the innermost one's alone."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobdash.worker.run import Run

_around: ContextVar[tuple[Run, ...]] = ContextVar("jobdash_around", default=())


def enter(run: Run) -> None:
    """Take note that a block of a job, or of one of its items, begins here: in this thread or task."""
    # Those that have ended were left elsewhere: by the garbage collector, or in another task.
    _around.set((*[one for one in _around.get() if one.word is None], run))


def leave(run: Run) -> None:
    """Take note that it ends."""
    around = _around.get()
    for at in range(len(around) - 1, -1, -1):
        if around[at] is run:
            _around.set((*around[:at], *around[at + 1 :]))
            return


def told_to_end() -> bool:
    """Whether one of them was told to end."""
    return any(run.told_to_end for run in _around.get())
