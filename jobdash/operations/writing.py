"""The door to the writer: one way to write, from whichever event loop one is in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol, TypeVar

from jobdash.domain.clock import Clock, system_clock
from jobdash.errors import StoreError
from jobdash.operations.actor import current_actor
from jobdash.store.writer import Writer

T = TypeVar("T")


class Store(Protocol):
    """Writes, one at a time, in the order they are asked for."""

    async def write(self, act: Callable[[Writer], T]) -> T:
        """Run ``act`` with the writer; raises what it raises."""
        ...


class DirectStore:
    """For commands: the writer is used where one is."""

    def __init__(self, path: Path, face: str = "cli", clock: Clock = system_clock) -> None:
        self.actor = current_actor(face)
        self._writer = Writer(path, clock, self.actor)

    def __enter__(self) -> DirectStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self._writer.close()

    async def write(self, act: Callable[[Writer], T]) -> T:
        """Run ``act`` now."""
        return act(self._writer)


class StoreWorker:
    """For the dashboard: one thread with an event loop of its own holds the writer."""

    def __init__(self, path: Path, face: str = "tui", clock: Clock = system_clock) -> None:
        self._path = path
        self._clock = clock
        self.actor = current_actor(face)
        self._writer: Writer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[Any] | None = None

    async def serve(self, ready: Callable[[], None]) -> None:
        """Hold the writer until `stop`; ``ready`` is called, in this thread, when one may write."""
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        with (
            Writer(self._path, self._clock, self.actor) as writer,
            contextlib.suppress(asyncio.CancelledError),
        ):
            self._writer = writer
            ready()
            await asyncio.Event().wait()
        self._writer = None

    def stop(self) -> None:
        """End `serve`; from any thread, at any time."""
        if self._loop is not None and self._main is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._main.cancel)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the store's loop, from any thread, after `serve` is ready."""
        self._send(work)

    async def write(self, act: Callable[[Writer], T]) -> T:
        """Run ``act`` in the store's thread, from any loop."""
        assert self._loop is not None
        if asyncio.get_running_loop() is self._loop:
            return self._act(act)
        return await asyncio.wrap_future(self._send(self._acted(act)))

    def _send(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        assert self._loop is not None
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise StoreError("the store is closed: jobdash is ending") from None

    def _act(self, act: Callable[[Writer], T]) -> T:
        assert self._writer is not None
        return act(self._writer)

    async def _acted(self, act: Callable[[Writer], T]) -> T:
        return self._act(act)
