"""A results folder that one fetch holds, and the blocking work in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, ParamSpec, Self, TypeVar

from jobdash.operations.results.folder import PATIENCE_SECONDS, RETRY_SECONDS, FolderInUse, ResultFolder

P = ParamSpec("P")
T = TypeVar("T")
_LONGEST_PAUSE_SECONDS = 0.5
"""Between two attempts to lock a folder; the first ones come sooner."""
_REPORTED_AFTER_SECONDS = 2.0
"""How long a wait for another fetch is nothing to talk about."""
_GIVEN_UP_SECONDS = 2.0
"""How long a fetch that was cancelled waits for its threads: Ctrl-C ends a command at once."""


class HeldFolder:
    """Locks a folder in an event loop, runs work in it in threads, and unlocks it when all of that has ended.

    A thread cannot be cancelled: after a fetch was, it goes on, and must not write into, or name, the files
    of the next one.
    """

    def __init__(
        self, folder: ResultFolder, close: Callable[[], None], on_wait: Callable[[], None] = lambda: None
    ) -> None:
        """``on_wait`` is called once when another fetch holds the folder for more than a moment."""
        self._folder = folder
        self._on_wait = on_wait
        self._close = close
        """Closes what is open in the folder, before it is unlocked."""
        self._lock = ExitStack()
        self._under_way: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        """Wait until no other fetch holds the folder. Raises what `ResultFolder.locked` does."""
        try:
            await self._hold()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Unlock the folder; what is half written in it is deleted."""
        await self._leave()

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function in a thread: a slow disk must not hold up the loop, which may be the dashboard's."""
        running = asyncio.create_task(asyncio.to_thread(work, *args, **kwargs))
        self._under_way.add(running)
        running.add_done_callback(self._under_way.discard)
        return await asyncio.shield(running)

    async def _hold(self) -> None:
        # The wait is in no thread: a pool of them, all waiting, would have none left for those waited for.
        began, pause, reported = time.monotonic(), RETRY_SECONDS, False
        while True:
            try:
                await self.run(self._lock.enter_context, self._folder.locked(patience=0))
            except FolderInUse:
                waited = time.monotonic() - began
                if waited >= PATIENCE_SECONDS:
                    raise
                if waited >= _REPORTED_AFTER_SECONDS and not reported:
                    reported = True
                    self._on_wait()
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _leave(self) -> None:
        within = _GIVEN_UP_SECONDS if self._under_way else None
        leaving = asyncio.create_task(self._unlock())
        try:
            done, _ = await asyncio.wait([leaving], timeout=within)
        except asyncio.CancelledError:
            await asyncio.wait([leaving], timeout=_GIVEN_UP_SECONDS)
            raise
        for each in done:
            each.result()

    async def _unlock(self) -> None:
        while self._under_way:
            await asyncio.wait(set(self._under_way))
        await asyncio.to_thread(self._close_all)

    def _close_all(self) -> None:
        with self._lock:
            self._close()
