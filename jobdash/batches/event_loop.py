"""The event loop of a function that is called where none runs, or one that must not be used."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from jobdash.operations.daemon_executor import DaemonExecutor

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; Ctrl-C cancels it, and is raised when it has ended."""
    return asyncio.run(_with_own_threads(work))


def run_in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in another thread; what interrupts the wait for it cancels it, and is raised then.

    A second interruption is raised at once.
    """
    started: Future[Callable[[], object]] = Future()

    async def cancellable() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        started.set_result(lambda: loop.call_soon_threadsafe(task.cancel))
        return await _with_own_threads(work)

    pool = ThreadPoolExecutor(1, "jobdash-batches")
    done = pool.submit(lambda: asyncio.run(cancellable()))
    pool.shutdown(wait=False)
    try:
        wait((done,))
    except BaseException:
        cancel = started.result()
        try:
            _cancel(cancel)
            wait((done,))
        except BaseException:
            _cancel(cancel)
            raise
        raise
    return done.result()


def _cancel(cancel: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended
        cancel()


async def _with_own_threads(work: Coroutine[Any, Any, T]) -> T:
    # A name lookup that hangs, or a large file that is checked, must not hold up the end of the call.
    asyncio.get_running_loop().set_default_executor(DaemonExecutor())
    return await work
