"""Stopping a script's process for real: with patience first, by force at last, and never another process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobdash.domain.items import ENDED, GRACE_S
from jobdash.operations.rate_limiter import CancelToken
from jobdash.operations.script_processes import cannot_stop
from jobdash.store.owner import Owner


async def stop_process(
    owner: Owner | None, *, grace_s: float = GRACE_S, stop: CancelToken | None = None
) -> str:
    """End a process that was fenced off, and return in words what became of it.

    It has ``grace_s`` seconds to see that by itself, as long again after SIGTERM, and is then killed. When
    ``stop`` is set, nobody waits any longer and nothing more is sent. Linux only: a pidfd means one process
    for ever, and before anything is sent to it its start time is compared with the owner's.
    """
    reason = "its process is not known" if owner is None else cannot_stop(owner)
    if owner is None or reason is not None:
        return reason if reason == ENDED else f"fenced only: {reason}"
    try:
        pidfd = os.pidfd_open(owner.pid)
    except ProcessLookupError:
        return ENDED
    except OSError as error:
        return f"fenced only: process {owner.pid} cannot be reached ({error.strerror})"
    try:
        return await _end(owner, pidfd, grace_s, stop or CancelToken())
    except PermissionError:
        return f"fenced only: process {owner.pid} is another user's"
    except ProcessLookupError:
        return f"process {owner.pid} ended"
    finally:
        os.close(pidfd)


async def _end(owner: Owner, pidfd: int, grace_s: float, stop: CancelToken) -> str:
    # The pid may have been given again until it was opened; what is open now stays one and the same.
    if owner.provably_dead():
        return ENDED
    name = f"process {owner.pid}"
    if owner.suspended():
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        await _ended(pidfd, grace_s, CancelToken())
        return f"{name} was stopped (SIGSTOP), so it was killed at once"
    if await _ended(pidfd, grace_s, stop):
        return f"{name} ended by itself"
    if stop.is_set():
        return f"{name} was not stopped: it sees at its next item that it is over"
    signal.pidfd_send_signal(pidfd, signal.SIGTERM)
    if await _ended(pidfd, grace_s, stop):
        return f"{name} ended after SIGTERM"
    if stop.is_set():
        return f"{name} was sent SIGTERM and has not ended yet"
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    if await _ended(pidfd, grace_s, CancelToken()):
        return f"{name} was killed"
    return f"{name} was sent SIGKILL and has not ended yet"


async def _ended(pidfd: int, seconds: float, stop: CancelToken) -> bool:
    """Wait until the process ends, the time is up or ``stop`` is set; whether it has ended."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[bool] = loop.create_future()

    def settle(ended: bool) -> None:
        if not over.done():
            over.set_result(ended)

    def give_up() -> None:
        loop.call_soon_threadsafe(settle, False)

    with _readable(pidfd, lambda: settle(True)), stop.calls(give_up):
        timer = loop.call_later(seconds, settle, False)
        try:
            return await over
        finally:
            timer.cancel()


@contextmanager
def _readable(pidfd: int, call: Callable[[], None]) -> Iterator[None]:
    """Have ``call`` called when the process has ended: a pidfd can be read from then on."""
    loop = asyncio.get_running_loop()
    loop.add_reader(pidfd, call)
    try:
        yield
    finally:
        loop.remove_reader(pidfd)
