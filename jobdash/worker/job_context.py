"""The jobs and items that a piece of code is inside of, in this thread or task.

A cancel of several jobs is not the innermost one's alone, and a loop inside an item is the work of that item.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jobdash.worker.job_run import JobRun


class _Block(NamedTuple):
    """The block of a job, or of one of its items."""

    run: JobRun
    key: str | None
    """The item's key; None for a job's own block, and for an item without one."""


_around: ContextVar[tuple[_Block, ...]] = ContextVar("jobdash_around", default=())


def enter(run: JobRun, key: str | None = None) -> None:
    """Begin the block of a job, or of one of its items."""
    # Those that have ended were left elsewhere: by the garbage collector, or in another task.
    _around.set((*[one for one in _around.get() if one.run.word is None], _Block(run, key)))


def leave(run: JobRun) -> None:
    """End the innermost block of a job or its items."""
    around = _around.get()
    for at in range(len(around) - 1, -1, -1):
        if around[at].run is run:
            _around.set((*around[:at], *around[at + 1 :]))
            return


def is_cancelled() -> bool:
    """Whether one of the jobs was told to end."""
    return any(block.run.told_to_end for block in _around.get())


def current_items() -> str:
    """Return the items around this code as one text, ``folders: A``; empty outside of any."""
    inside = (block for block in _around.get() if block.key is not None and block.run.word is None)
    return ", ".join(f"{block.run.name}: {block.key}" for block in inside)
