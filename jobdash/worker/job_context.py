"""The jobs and items that a piece of code is inside of, in this thread or task.

A cancel of several jobs is not the innermost one's alone, and a loop inside an item is the work of that item.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple, Protocol


class ContextRun(Protocol):
    """A run as far as the code inside of it is concerned."""

    name: str
    end_status: str | None
    """How it ended; None while it runs."""

    @property
    def stopping(self) -> bool:
        """Whether it runs in this process and was asked to stop."""


class _Block(NamedTuple):
    """The block of a job, or of one of its items."""

    run: ContextRun
    key: str | None
    """The item's key; None for a job's own block, and for an item without one."""


_blocks: ContextVar[tuple[_Block, ...]] = ContextVar("jobdash_blocks", default=())


def enter(run: ContextRun, key: str | None = None) -> None:
    """Begin the block of a job, or of one of its items."""
    # Those that have ended were left elsewhere: by the garbage collector, or in another task.
    _blocks.set((*[one for one in _blocks.get() if one.run.end_status is None], _Block(run, key)))


def leave(run: ContextRun) -> None:
    """End the innermost block of a job or its items."""
    blocks = _blocks.get()
    for at in range(len(blocks) - 1, -1, -1):
        if blocks[at].run is run:
            _blocks.set((*blocks[:at], *blocks[at + 1 :]))
            return


def is_cancelled() -> bool:
    """Whether one of the jobs was asked to stop."""
    return any(block.run.stopping for block in _blocks.get())


def current_items() -> str:
    """Return the items around this code as one text, ``folders: A``; empty outside of any."""
    inside = (block for block in _blocks.get() if block.key is not None and block.run.end_status is None)
    return ", ".join(f"{block.run.name}: {block.key}" for block in inside)
