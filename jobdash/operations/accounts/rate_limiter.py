"""The rate limiter of one account: requests in flight, their priority, and pauses; cancel tokens."""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count

from jobdash.domain.time import Clock
from jobdash.errors import JobdashError

Sleep = Callable[[float], Awaitable[None]]
"""Waits so many seconds."""

OnWait = Callable[[int | None], None]
"""Called when a pause begins or grows, with its end in milliseconds UTC; with None when it is over."""


class NotSent(JobdashError):
    """Stopped before it was sent."""


class RequestKind(IntEnum):
    """What a request is for; the smaller number goes first."""

    ACTION = 0
    QUESTION = 1
    PAGE = 2


class CancelToken:
    """A request to send nothing more: set from any thread, observed by every event loop that waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set = False
        self._callbacks: list[Callable[[], None]] = []

    def set(self) -> None:
        """Request the stop; setting it again has no effect."""
        with self._lock:
            self._set = True
            heard, self._callbacks = self._callbacks, []
        for callback in heard:
            callback()

    def is_set(self) -> bool:
        """Whether the stop was requested."""
        return self._set

    @contextmanager
    def calls(self, callback: Callable[[], None]) -> Iterator[None]:
        """Within the block, have ``callback`` called by the thread that sets the token; now if it is set."""
        with self._lock:
            was_set = self._set
            if not was_set:
                self._callbacks.append(callback)
        if was_set:
            callback()
        try:
            yield
        finally:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)


@dataclass(frozen=True, slots=True, order=True)
class Ticket:
    """A place in the queue; a request that is sent again keeps its own."""

    kind: RequestKind
    number: int


@dataclass(slots=True, order=True)
class _QueuedRequest:
    ticket: Ticket
    turn: asyncio.Future[None] = field(compare=False)


_IN_FLIGHT_FOR_ONE_AHEAD = 2
"""For every so many places in flight, one more request is prepared ahead: writing its intent takes as long as
the disk does, and a place in flight would stand empty meanwhile."""


class RateLimiter:
    """At most ``in_flight`` requests at once, of those at most one list page, none during a pause.

    Belongs to one event loop. Actions go before requests for single jobs, these before list pages, each in
    the order of their tickets.
    """

    def __init__(
        self, *, in_flight: int, clock: Clock, sleep: Sleep = asyncio.sleep, on_wait: OnWait | None = None
    ) -> None:
        self.paused_until: int | None = None
        """The end of the pause under way, in milliseconds UTC."""
        self._admitted = in_flight + in_flight // _IN_FLIGHT_FOR_ONE_AHEAD
        self._in_flight = asyncio.Semaphore(in_flight)
        self._clock = clock
        self._sleep = sleep
        self._on_wait = on_wait
        self._numbers = count()
        self._queue: list[_QueuedRequest] = []
        self._running = 0
        self._paging = False
        self._pause: asyncio.Task[None] | None = None
        self._ready: list[asyncio.Future[None]] = []
        """Requests that were made ready when a pause began."""

    def ticket(self, kind: RequestKind) -> Ticket:
        """Return the next place among the requests of a kind."""
        return Ticket(kind, next(self._numbers))

    @asynccontextmanager
    async def turn(
        self,
        ticket: Ticket,
        stop: CancelToken | None = None,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncIterator[None]:
        """Wait for the ticket's turn and hold it; NotSent when ``stop`` is set before it comes.

        ``before`` is awaited when the turn has come and the place in flight perhaps has not; NotSent may be
        raised behind it, too.
        """
        stop = stop or CancelToken()
        await self._wait(ticket, stop)
        try:
            if before is not None:
                await before()
            async with self._in_flight:
                while self.paused_until is not None:
                    await self._resumed(stop)
                if stop.is_set():  # it was ready, and has not gone out
                    raise NotSent
                yield
        finally:
            self._release(ticket.kind)

    def pause(self, seconds: float) -> None:
        """Begin no request for so many seconds; a pause under way is only ever extended."""
        until = self._clock() + round(seconds * 1000)
        if self.paused_until is not None and until <= self.paused_until:
            return
        self.paused_until = until
        if self._pause is not None:
            self._pause.cancel()
        self._pause = asyncio.create_task(self._resume(seconds))
        self._notify()

    def close(self) -> None:
        """End the pause, and fail every request that waits with `NotSent`."""
        if self._pause is not None:
            self._pause.cancel()
        self.paused_until = self._pause = None
        for turn in [*(waiting.turn for waiting in self._queue), *self._ready]:
            _send_away(turn)
        self._queue.clear()
        self._ready.clear()

    async def _resume(self, seconds: float) -> None:
        await self._sleep(seconds)
        self.paused_until = self._pause = None
        self._notify()
        for turn in self._ready:
            if not turn.done():
                turn.set_result(None)
        self._ready.clear()
        self._admit()

    async def _resumed(self, stop: CancelToken) -> None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._ready.append(turn)

        def give_up() -> None:
            loop.call_soon_threadsafe(_send_away, turn)

        with stop.calls(give_up):
            await turn

    def _notify(self) -> None:
        if self._on_wait is not None:
            self._on_wait(self.paused_until)

    async def _wait(self, ticket: Ticket, stop: CancelToken) -> None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._queue, _QueuedRequest(ticket, turn))

        def give_up() -> None:
            loop.call_soon_threadsafe(_send_away, turn)

        with stop.calls(give_up):
            self._admit()
            try:
                await turn
            except asyncio.CancelledError:
                if _came(turn):
                    self._release(ticket.kind)
                raise
        if stop.is_set():  # in the same moment as the turn came
            self._release(ticket.kind)
            raise NotSent

    def _admit(self) -> None:
        while self._queue and self.paused_until is None and self._running < self._admitted:
            first = self._queue[0]
            if first.turn.done():
                heapq.heappop(self._queue)
                continue
            page = first.ticket.kind is RequestKind.PAGE
            if page and self._paging:
                return  # pages come last: after a page there are only pages
            heapq.heappop(self._queue)
            self._running += 1
            self._paging |= page
            first.turn.set_result(None)

    def _release(self, kind: RequestKind) -> None:
        self._running -= 1
        if kind is RequestKind.PAGE:
            self._paging = False
        self._admit()


def _came(turn: asyncio.Future[None]) -> bool:
    return turn.done() and not turn.cancelled() and turn.exception() is None


def _send_away(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_exception(NotSent())


async def sleep_until_cancelled(seconds: float, sleep: Sleep, stop: CancelToken) -> None:
    """Sleep, unless or until the stop is set."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(stopped.set)

    resting = asyncio.ensure_future(sleep(seconds))
    waking = asyncio.ensure_future(stopped.wait())
    with stop.calls(wake):
        try:
            await asyncio.wait((resting, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            resting.cancel()
            waking.cancel()
