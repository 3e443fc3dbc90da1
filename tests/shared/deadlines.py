"""Waits with a deadline: for a call, a thread, a killed process; processes that are stopped for a while."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

LONG = 60.0
"""Seconds that nothing takes that goes well."""
_AFTER_KILL = 10.0
T = TypeVar("T")


def within(call: Callable[[], T], seconds: float = LONG) -> T:
    """Return what a blocking call returns, such as ``stdout.readline``; fail when it takes too long."""
    answer: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue()

    def run() -> None:
        try:
            answer.put((call(), None))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            answer.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        value, error = answer.get(timeout=seconds)
    except queue.Empty:
        raise AssertionError(f"{call} has not returned within {seconds:g} s") from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def joined(*threads: Any, seconds: float = LONG) -> None:
    """Wait for the end of threads or of processes of ``multiprocessing``."""
    for thread in threads:
        thread.join(seconds)
        assert not thread.is_alive(), f"{thread} has not ended within {seconds:g} s"


def killed(process: subprocess.Popen[Any]) -> None:
    """Kill a process, and read its pipes to their ends unless a child of its own keeps them open."""
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=_AFTER_KILL)


def read_terminal(master: int, seconds: float = LONG) -> Iterator[bytes]:
    """Yield what is written to a terminal until its other end is closed."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        while True:
            ready, _, _ = select.select([master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"the terminal is still open after {seconds:g} s"
            if not (piece := os.read(master, 65_536)):
                return
            yield piece


@contextlib.contextmanager
def stopped(pids: Iterable[int]) -> Iterator[None]:
    """Stop processes with SIGSTOP; they go on at the end, however the block ends."""
    each = list(pids)
    try:
        for pid in each:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in each:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
