"""The event loop of a command, and what Ctrl-C means in it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from jobdash.cli.output import print_error
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.daemon_executor import DaemonExecutor

T = TypeVar("T")


def run(work: Callable[[CancelToken], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end; Ctrl-C ends it at once, as a KeyboardInterrupt."""
    return asyncio.run(_with_own_threads(work(CancelToken())))


def run_stoppable(work: Callable[[CancelToken], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine whose ``CancelToken`` the first Ctrl-C sets; the second one ends it at once."""
    stop = CancelToken()

    async def main() -> T:
        with _ctrl_c(stop):
            return await work(stop)

    try:
        return asyncio.run(_with_own_threads(main()))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _with_own_threads(work: Coroutine[Any, Any, T]) -> T:
    gc.enable()
    # A name lookup that hangs must not hold up the end of the command.
    asyncio.get_running_loop().set_default_executor(DaemonExecutor())
    return await work


@contextlib.contextmanager
def _ctrl_c(stop: CancelToken) -> Iterator[None]:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def pressed() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
            return
        print_error(
            "stopping: nothing more is sent, what is under way is awaited (Ctrl-C again ends at once)"
        )
        stop.set()

    # Only inside the loop: a plain signal handler could interrupt a holder of the lock of `CancelToken`.
    before = signal.getsignal(signal.SIGINT)
    try:
        loop.add_signal_handler(signal.SIGINT, pressed)
    except (NotImplementedError, ValueError, RuntimeError):  # Windows, or not the main thread
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(pressed))
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
            loop.remove_signal_handler(signal.SIGINT)
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGINT, before)
