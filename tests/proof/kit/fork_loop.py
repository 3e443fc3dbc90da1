"""A process that forks at each line it is told, and tells what becomes of its children."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
from collections.abc import Iterator
from typing import Any

from kit.tasks import Task

TELL = os.dup(1)
"""The pipe to the parent; a command has its own stdout."""


def tell(event: str, **facts: Any) -> None:
    """Write one line; short enough to arrive whole."""
    os.write(TELL, (json.dumps({"pid": os.getpid(), "event": event, **facts}) + "\n").encode())


def next_birth() -> Task | None:
    """Fork at each line; return its task in the child, and None in the parent behind the last line."""
    # A signal that comes just in front of a read would be heard only behind it: one more pipe to be woken by.
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    tell("ready")
    for line in _lines(heard):
        if os.fork() == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(heard)
            os.close(told)
            tell("born")
            return Task.decode(line)
    return None


def _lines(heard: int) -> Iterator[str]:
    """Yield what is told, and bury the dead meanwhile."""
    rest = b""
    while True:
        ready, _, _ = select.select([0, heard], [], [])
        if heard in ready:
            os.read(heard, 4096)
            _bury()
        if 0 in ready:
            data = os.read(0, 1 << 16)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            yield from (line.decode() for line in lines)


def _bury() -> None:
    """Read the dead off the list: one nobody has buried counts as a process that may still be there."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG | os.WUNTRACED))[0]:
            pid, status = found
            if os.WIFSTOPPED(status):
                tell("stopped", pid=pid)
            else:
                tell("dead", pid=pid, code=os.waitstatus_to_exitcode(status))
