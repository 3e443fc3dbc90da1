"""The session of one account: its requests, with one adapter, rate limiter and retry policy."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, Self, TypeVar

import stamina
from stamina.instrumentation import set_on_retry_hooks

from jobdash.domain.account import Account
from jobdash.domain.provider_info import Capabilities
from jobdash.domain.remote_job import FailedRequest, RemoteJob
from jobdash.domain.text import redact
from jobdash.domain.time import Clock, system_clock
from jobdash.errors import AuthRejected, BadResponse, ConfigError, JobdashError, QuotaExhausted
from jobdash.operations.accounts.rate_limiter import (
    CancelToken,
    NotSent,
    OnWait,
    RateLimiter,
    RequestKind,
    Sleep,
)
from jobdash.operations.accounts.retry_policy import ACTION_TRIES, READ_TRIES, Jitter, RetryPolicy
from jobdash.providers.base import Adapter, RemotePage, Submission
from jobdash.providers.registry import open_adapter

__all__ = [
    "AccountSession",
    "CancelBatch",
    "CancelToken",
    "CreateBatch",
    "DeleteBatch",
    "DeleteFile",
    "FileReady",
    "GetBatch",
    "GetErrors",
    "ListPage",
    "NotSent",
    "Request",
    "UploadFile",
]

# By default stamina warns through `logging` at every retry, which without a handler is printed on stderr:
# across the dashboard, and with the arguments of the call.
set_on_retry_hooks([])

IN_FLIGHT = 32
_FOR_ONE_SHORT = 4
"""Of every so many places in flight, one is kept free of long requests."""
_LONGEST_MESSAGE = 4_000
"""Characters held of one failed request's error; the store keeps less."""

PreSendHook = Callable[[], Awaitable[None]]
"""Awaited when a request has its turn, right before it is sent, and again before each further sending."""

T = TypeVar("T")


class Request(ABC, Generic[T]):
    """One call of an adapter; ``T`` is the type of its result."""

    kind: ClassVar[RequestKind]
    long: ClassVar = False
    """It may take an hour: such requests leave room for others."""

    @abstractmethod
    async def send(self, adapter: Adapter) -> T:
        """Send it, once."""


@dataclass(frozen=True, slots=True)
class ListPage(Request[RemotePage]):
    """The request for one page of the list."""

    kind: ClassVar = RequestKind.PAGE
    cursor: str | None = None
    limit: int | None = None

    async def send(self, adapter: Adapter) -> RemotePage:
        """Ask for the page."""
        return await adapter.list(self.cursor, self.limit)


@dataclass(frozen=True, slots=True)
class GetBatch(Request[RemoteJob]):
    """The request for the state of one batch."""

    kind: ClassVar = RequestKind.QUESTION
    remote_id: str

    async def send(self, adapter: Adapter) -> RemoteJob:
        """Ask for the batch."""
        return await adapter.get(self.remote_id)


@dataclass(frozen=True, slots=True)
class GetErrors(Request[tuple[FailedRequest, ...]]):
    """The request for a batch's failed requests, at most ``most``, which are read from its results."""

    kind: ClassVar = RequestKind.QUESTION
    job: RemoteJob
    most: int
    within: float = 300.0
    """Seconds for all of it: a download that drips would hold its place in the account's queue for ever."""

    async def send(self, adapter: Adapter) -> tuple[FailedRequest, ...]:
        """Read the results until there are enough errors."""
        found: list[FailedRequest] = []
        try:
            async with asyncio.timeout(self.within), aclosing(adapter.results(self.job)) as lines:
                async for line in lines:
                    if line.error is not None:
                        message = line.error.message[:_LONGEST_MESSAGE]
                        found.append(FailedRequest(line.key, replace(line.error, message=message)))
                    if len(found) >= self.most:
                        break
        except TimeoutError:
            # Not Unavailable, which is asked again: three times so long helps no one.
            raise BadResponse(f"the results were not read within {self.within:g} s") from None
        return tuple(found)


@dataclass(frozen=True, slots=True)
class CancelBatch(Request[RemoteJob | None]):
    """The request to cancel a batch."""

    kind: ClassVar = RequestKind.ACTION
    remote_id: str

    async def send(self, adapter: Adapter) -> RemoteJob | None:
        """Ask for the cancel."""
        return await adapter.cancel(self.remote_id)


@dataclass(frozen=True, slots=True)
class DeleteBatch(Request[None]):
    """The request to delete a batch's record."""

    kind: ClassVar = RequestKind.ACTION
    remote_id: str

    async def send(self, adapter: Adapter) -> None:
        """Delete the record."""
        await adapter.delete(self.remote_id)


@dataclass(frozen=True, slots=True)
class DeleteFile(Request[None]):
    """The request to delete one file."""

    kind: ClassVar = RequestKind.ACTION
    file_id: str

    async def send(self, adapter: Adapter) -> None:
        """Delete the file."""
        await adapter.delete_file(self.file_id)


@dataclass(frozen=True, slots=True)
class UploadFile(Request[str]):
    """The upload of a submit's file; returns the file's id."""

    kind: ClassVar = RequestKind.ACTION
    submission: Submission

    async def send(self, adapter: Adapter) -> str:
        """Upload the file."""
        return await adapter.upload(self.submission)


@dataclass(frozen=True, slots=True)
class FileReady(Request[bool]):
    """The question whether an uploaded file has been processed, so that a batch can be made of it."""

    kind: ClassVar = RequestKind.QUESTION
    file_id: str

    async def send(self, adapter: Adapter) -> bool:
        """Ask for the file, where its upload was answered as pending."""
        return await adapter.file_ready(self.file_id)


@dataclass(frozen=True, slots=True)
class CreateBatch(Request[RemoteJob]):
    """The creation of a batch from an uploaded file."""

    kind: ClassVar = RequestKind.ACTION
    submission: Submission
    file_id: str

    async def send(self, adapter: Adapter) -> RemoteJob:
        """Create the batch."""
        return await adapter.create(self.submission, self.file_id)


class AccountSession:
    """A rate-limited adapter of an account: ``async with AccountSession(account) as s: await s.call(…)``.

    Lives in the event loop it is entered in. Entering raises AuthRejected without a key and ConfigError when
    the account's settings cannot be used, or when its client cannot be made for whatever reason.

    ``on_wait`` is called with pauses (see `rate_limiter.OnWait`); ``open_adapter``, ``clock``, ``sleep`` and
    ``jitter`` are there for tests.
    """

    def __init__(
        self,
        account: Account,
        *,
        in_flight: int = IN_FLIGHT,
        on_wait: OnWait | None = None,
        open_adapter: Callable[[Account], Adapter] = open_adapter,
        clock: Clock = system_clock,
        sleep: Sleep = asyncio.sleep,
        jitter: Jitter = lambda longest: random.uniform(0.0, longest),  # noqa: S311
    ) -> None:
        self.account = account
        self._open_adapter = open_adapter
        self._limiter = RateLimiter(in_flight=in_flight, clock=clock, sleep=sleep, on_wait=on_wait)
        self._long = asyncio.Semaphore(max(1, in_flight - in_flight // _FOR_ONE_SHORT))
        self._sleep = sleep
        self._jitter = jitter
        self._rejected: AuthRejected | QuotaExhausted | None = None

    async def __aenter__(self) -> Self:
        """Open the adapter."""
        self._loop = asyncio.get_running_loop()
        try:
            self._adapter = await self._open_adapter(self.account).__aenter__()
        except JobdashError:
            raise
        except ImportError as error:
            raise ConfigError(f"its client cannot be made: {redact(str(error))}") from error
        except Exception as error:
            # A proxy in the environment, most likely; the error's text can hold its password.
            reason = f"its client cannot be made ({type(error).__name__}): look at HTTPS_PROXY, ALL_PROXY"
            raise ConfigError(reason) from error
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Fail the requests that wait with `NotSent`, and close the adapter."""
        self._limiter.close()
        await self._adapter.__aexit__(*exc)

    @property
    def origin(self) -> str:
        """The server's identity."""
        return self._adapter.origin

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the account's server."""
        return self._adapter.capabilities

    @property
    def paused_until(self) -> int | None:
        """The end of the pause the provider asked for, in milliseconds UTC; None when there is none."""
        return self._limiter.paused_until

    def reset(self) -> None:
        """Forget that the key was rejected or the quota used up."""
        self._rejected = None

    async def call(
        self, request: Request[T], *, before: PreSendHook | None = None, stop: CancelToken | None = None
    ) -> T:
        """Send a request when its turn comes, and again where that is certain to do no harm.

        A read is tried three times. An action is sent again only when it certainly was not applied: after
        a 429, or a 503 that names a time, at most five times, while the whole account pauses. ``before``
        is awaited right before each sending; what it raises is raised here and nothing more is sent.

        Raises NotSent when ``stop`` was set before the request went out (or out again), else only
        `ProviderError`. Once a key is rejected or a quota used up, actions fail at once with that error,
        "not sent: …", until `reset` or an answered read.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("a session belongs to the event loop it was entered in")
        action = request.kind is RequestKind.ACTION
        ticket = self._limiter.ticket(request.kind)
        policy = RetryPolicy(action, self._limiter, self._jitter)
        # stamina waits 0 s: the limiter and this loop wait, where a pause is shown and can be cancelled.
        async for attempt in stamina.retry_context(
            on=policy, attempts=ACTION_TRIES if action else READ_TRIES, timeout=None, wait_max=0.0
        ):
            with attempt:
                if policy.rest:
                    await self._sleep(policy.rest)
                if action:
                    self._refuse_if_rejected()
                room = self._long if request.long else nullcontext()
                async with room, self._limiter.turn(ticket, stop, self._preparing(action, before)):
                    return await self._send(request)
        raise AssertionError("stamina ends with an answer or an error")

    def _preparing(self, action: bool, before: PreSendHook | None) -> PreSendHook:
        async def prepare() -> None:
            if action:
                self._refuse_if_rejected()
            if before is not None:
                await before()

        return prepare

    async def _send(self, request: Request[T]) -> T:
        action = request.kind is RequestKind.ACTION
        if action:
            self._refuse_if_rejected()
        try:
            answer = await request.send(self._adapter)
        except (AuthRejected, QuotaExhausted) as error:
            if action:
                self._rejected = error
            raise
        if not action:
            self.reset()
        return answer

    def _refuse_if_rejected(self) -> None:
        error = self._rejected
        if error is not None:
            raise error.reworded(f"not sent: {error}")
