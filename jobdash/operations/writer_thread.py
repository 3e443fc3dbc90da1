"""The thread that owns the store's writer: writes are queued from any event loop, and batched."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

from jobdash.domain.time import Clock, system_clock
from jobdash.errors import StoreError
from jobdash.operations.person import current_actor
from jobdash.store.files import Identity, refuse_replaced, replaced
from jobdash.store.location import StoreLocation, beside
from jobdash.store.records import Actor
from jobdash.store.unit_of_work import WriteResult
from jobdash.store.writer import Writer

T = TypeVar("T")
P = ParamSpec("P")
WriteMethod = Callable[Concatenate[Writer, P], T]
"""A method of `Writer`, as in ``await store.write(Writer.begin_cancel, request, …)``."""
_ENDING = "the store is closed: jobdash is ending"


AT_ONCE = 100
"""Writes that share a transaction, at most."""


@dataclass(frozen=True)
class _PendingWrite:
    """A call of a writer's method whose result is awaited in some event loop."""

    method: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    answer: asyncio.Future[Any]

    def __call__(self, writer: Writer) -> Any:
        return self.method(writer, *self.args, **self.kwargs)


def _asked(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> _PendingWrite:
    return _PendingWrite(method, args, kwargs, asyncio.get_running_loop().create_future())


def _carry_out(writer: Writer, asked: list[_PendingWrite]) -> None:
    """Run the pending writes in one transaction, and resolve them when it is on disk."""
    asked = [each for each in asked if not each.answer.cancelled()]
    try:
        done = writer.batch(asked)
    except Exception as error:  # noqa: BLE001 - raised at every waiting write
        done = [WriteResult(error=error)] * len(asked)
    _answer(list(zip(asked, done, strict=True)))


def _answer(answers: list[tuple[_PendingWrite, WriteResult]]) -> None:
    """Resolve the waiting futures: each loop is woken once, however many wait in it."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_PendingWrite, WriteResult]]] = defaultdict(list)
    for asked, done in answers:
        by_loop[asked.answer.get_loop()].append((asked, done))
    for loop, answers in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing waits in it
            loop.call_soon_threadsafe(_resolve, answers)


def _resolve(answers: list[tuple[_PendingWrite, WriteResult]]) -> None:
    for asked, done in answers:
        if asked.answer.done():  # the waiting task was cancelled
            continue
        if done.error is not None:
            asked.answer.set_exception(done.error)
        else:
            asked.answer.set_result(done.value)


def _opened(location: StoreLocation, clock: Clock, actor: Actor, same_as: Identity | None) -> Writer:
    if same_as is not None:
        refuse_replaced(location, same_as)
    writer = Writer(location, clock, actor)
    if same_as not in {None, writer.identity}:
        writer.close()
        raise replaced(location)
    return writer


class WriterThread:
    """A thread with an event loop of its own that holds the writer.

    A dashboard gives it a thread by `serve`; a command uses it as a context manager, and it starts one.
    """

    def __init__(
        self,
        location: StoreLocation,
        face: str = "cli",
        clock: Clock = system_clock,
        *,
        same_as: Identity | None = None,
    ) -> None:
        """``same_as`` is the file that was read so far: no other one is opened for writing."""
        self._location = location
        self._same_as = same_as
        self._clock = clock
        self.actor = current_actor(face)
        self._writer: Writer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[Any] | None = None
        self._thread: threading.Thread | None = None
        self._asked: deque[_PendingWrite] = deque()
        self._ended = False

    def __enter__(self) -> Self:
        """Start the thread, and wait until it can write; raises as `serve` does."""
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="jobdash-store", daemon=True)
        self._thread.start()
        opened.result()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def _run(self, opened: Future[None]) -> None:
        try:
            asyncio.run(self.serve(lambda: opened.set_result(None)))
        except BaseException as error:  # raised where it is waited for
            if opened.done():
                raise
            opened.set_exception(error)

    async def serve(self, ready: Callable[[], None]) -> None:
        """Hold the writer until `stop`; ``ready`` is called, in this thread, when one may write.

        Raises StoreError when the store cannot be written, or is another file than the one read so far.
        """
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        with (
            _opened(self._location, self._clock, self.actor, self._same_as) as writer,
            contextlib.suppress(asyncio.CancelledError),
        ):
            self._writer = writer
            self._clock = writer.clock
            ready()
            await asyncio.Event().wait()
        self._writer = None
        self._ended = True  # from here on every write is refused at once
        self._turn_away()

    def stop(self) -> None:
        """End `serve`; from any thread, at any time."""
        if self._loop is not None and self._main is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._main.cancel)

    @property
    def clock(self) -> Clock:
        """The store's clock; before it is open, this computer's."""
        return self._clock

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the store's loop, from any thread, after `serve` is ready."""
        assert self._loop is not None
        try:
            asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise StoreError(_ENDING) from None

    @property
    def location(self) -> StoreLocation:
        """Where the store is."""
        return self._location

    @property
    def path(self) -> Path:
        """The path of the store, beside which lies what belongs to its jobs; see `beside`."""
        return beside(self._location)

    async def write(self, method: WriteMethod[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of the writer in the store's thread; calls that wait share a transaction."""
        assert self._loop is not None
        asked = _asked(method, args, kwargs)
        self._asked.append(asked)
        if self._ended:
            self._turn_away()
        with contextlib.suppress(RuntimeError):  # the loop has ended: the write was refused
            self._loop.call_soon_threadsafe(self._flush)
        return cast("T", await asked.answer)

    def _flush(self) -> None:
        if self._writer is None:
            return
        asked = [self._asked.popleft() for _ in range(min(AT_ONCE, len(self._asked)))]
        if asked:
            _carry_out(self._writer, asked)

    def _turn_away(self) -> None:
        turned_away: list[_PendingWrite] = []
        with contextlib.suppress(IndexError):
            while True:
                turned_away.append(self._asked.popleft())
        _answer([(each, WriteResult(error=StoreError(_ENDING))) for each in turned_away])
