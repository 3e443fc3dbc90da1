"""What a thread does in the store: one thing at a time, and what comes up in the middle of it behind it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class _Here(threading.local):
    """The statements that this thread is in, one inside the other, and what waits until it is out of all."""

    def __init__(self) -> None:
        self.depth = 0
        self.waiting: list[Callable[[], None]] = []


_here = _Here()


@contextlib.contextmanager
def exclusive() -> Iterator[bool]:
    """Be in the store; whether this thread was not there already, whichever job it was for.

    The garbage collector may end a forgotten loop in the middle of any statement. Written there, that end
    would wait for the very transaction that it interrupts.
    """
    _here.depth += 1
    try:
        yield _here.depth == 1
    finally:
        _here.depth -= 1
        while not _here.depth and _here.waiting:
            _here.waiting.pop(0)()


def defer(do: Callable[[], None]) -> bool:
    """Let something wait for the end of the statement in the middle of which we are; whether there is one."""
    if _here.depth:
        _here.waiting.append(do)
    return _here.depth > 0
