"""The HTTP side of the emulator: a server that journals every request and applies faults. Imports uvicorn."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn
from starlette.requests import Request

from jobdash.demo.emulator import anthropic_api, gemini_api, mistral_api, openai_api, profiles_api
from jobdash.demo.emulator.faults import CutBody, Delay, Effect, EmptyJson, ErrorAnswer, MalformedJson, Reset
from jobdash.demo.emulator.journal import JournalEntry, key_label
from jobdash.demo.emulator.web import (
    ApiError,
    JsonObject,
    anthropic_form,
    bearer_key,
    gemini_form,
    mistral_form,
    openai_form,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from jobdash.demo.emulator.emulator import Emulator

ResetConnection = Callable[[tuple[str, int]], None]
"""Resets the connection of the client at that address."""

JOURNALED = 2_000
"""Characters of a body that the journal keeps."""
IDLE_TIMEOUT = 75
"""Seconds a connection may idle, so that a client polling every half minute does not run into its closing."""
LINGER_NOT = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing sends RST, not FIN."""


@dataclass(frozen=True, slots=True)
class _Api:
    """One provider's API."""

    app: ASGIApp
    presented_key: Callable[[Request], str]
    form: Callable[[ApiError], JsonObject]
    wrong_key: str | None
    """The code of a 401, which mostly is a wrong key."""


@dataclass(frozen=True, slots=True)
class _RequestLine:
    """A request that has arrived completely."""

    request: Request
    body: bytes
    api: _Api
    key: str


@dataclass(frozen=True, slots=True)
class _Response:
    """An answer before it is sent; its headers are without Content-Length."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class FaultMiddleware:
    """The ASGI application the server runs."""

    def __init__(self, emulator: Emulator, reset: ResetConnection) -> None:
        self._emulator = emulator
        self._reset = reset
        accepts = emulator.accepts
        self._openai = _Api(
            openai_api.openai_app(emulator.openai, accepts), bearer_key, openai_form, "invalid_api_key"
        )
        self._gemini = _Api(
            gemini_api.gemini_app(emulator.gemini, accepts),
            gemini_api.presented_key,
            gemini_form,
            "API_KEY_INVALID",
        )
        self._anthropic = _Api(
            anthropic_api.anthropic_app(emulator.anthropic, accepts),
            anthropic_api.presented_key,
            anthropic_form,
            "authentication_error",
        )
        mistral = mistral_api.mistral_app(emulator.mistral, accepts)
        self._named = {"mistral": _Api(mistral, bearer_key, mistral_form, None)}
        """Those at a path of their own, by its first part."""
        for name, side in emulator.profiles.items():
            app = profiles_api.profile_app(name, side, accepts)
            self._named[name] = _Api(app, profiles_api.KEYS[name], openai_form, "invalid_api_key")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request, apply it and answer it, unless a fault prevents that."""
        call = await self._read(scope, receive)
        effect = self._emulator.faults.effect_on(call.request.method, call.request.url.path, call.key)
        if effect is None:
            await self._pass_on(call, receive, send)
            return
        early, late = _pauses(effect)
        await asyncio.sleep(self._emulator.latency + early)
        applied = not isinstance(effect, ErrorAnswer) and effect != Reset(applied=False)
        reply: _Response | None = None
        if isinstance(effect, ErrorAnswer):
            reply = _fault_answer(effect, call.api)
        elif applied:
            reply = await _ask(call)
        if isinstance(effect, Reset):
            reply = None

        self._note(call, effect, applied=applied, status=None if reply is None else reply.status)
        if reply is None:
            self._reset(scope["client"])
            await receive()  # returns once the server has noticed, and expects no answer any more
        else:
            await asyncio.sleep(late)
            await _send(reply, effect, send)

    async def _pass_on(self, call: _RequestLine, receive: Receive, send: Send) -> None:
        """Answer as the API does, while it makes its answer."""
        await asyncio.sleep(self._emulator.latency)

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(call, None, applied=True, status=message["status"])
            await send(message)

        await call.api.app(dict(call.request.scope), _with_body(call.body, receive), noted)

    async def _read(self, scope: Scope, receive: Receive) -> _RequestLine:
        request = Request(scope, receive)
        api = self._api(request)
        return _RequestLine(request, await request.body(), api, api.presented_key(request))

    def _api(self, request: Request) -> _Api:
        """The API that is meant; `/v1/files` and the like are distinguished by the way the key is sent."""
        if (named := self._named.get(request.url.path.split("/", 2)[1])) is not None:
            return named
        if anthropic_api.is_meant(request):
            return self._anthropic
        if request.url.path.startswith(("/v1beta/", "/upload/", "/download/")) or gemini_api.presented_key(
            request
        ):
            return self._gemini
        return self._openai

    def _note(self, call: _RequestLine, effect: Effect | None, *, applied: bool, status: int | None) -> None:
        entry = JournalEntry(
            at=self._emulator.clock.now(),
            method=call.request.method,
            path=call.request.url.path,
            query=call.request.url.query,
            account=key_label(call.key),
            body=_summary(call),
            applied=applied,
            status=status,
            fault=None if effect is None else type(effect).__name__,
        )
        self._emulator.journal.add(entry)


def _with_body(body: bytes, receive: Receive) -> Receive:
    """Return what receives a body that was read already, and behind it what ``receive`` does."""
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def first() -> Message:
        return unread.pop() if unread else await receive()

    return first


async def _never() -> Message:
    """Wait for a disconnect that does not come."""
    await asyncio.Event().wait()
    raise AssertionError("an event that is never set")


async def _ask(call: _RequestLine) -> _Response:
    """The API's own answer."""
    status = 0
    headers: list[tuple[bytes, bytes]] = []
    body = bytearray()

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            headers.extend(pair for pair in message["headers"] if pair[0] != b"content-length")
        else:
            body.extend(message.get("body", b""))

    await call.api.app(dict(call.request.scope), _with_body(call.body, _never), send)
    return _Response(status, tuple(headers), bytes(body))


def _pauses(effect: Effect | None) -> tuple[float, float]:
    """The seconds to wait before a request is applied, and after it."""
    if not isinstance(effect, Delay):
        return 0.0, 0.0
    return (0.0, effect.seconds) if effect.applied_first else (effect.seconds, 0.0)


def _fault_answer(answer: ErrorAnswer, api: _Api) -> _Response:
    """The answer of a fault."""
    body = answer.body
    if body is None:
        code = answer.code
        if answer.status == 401 and code is None:
            code = api.wrong_key
        error = ApiError(answer.status, f"The emulator was set to answer {answer.status}.", code=code)
        body = json.dumps(api.form(error))
    headers = {"content-type": "application/json", **answer.all_headers()}
    return _Response(
        answer.status,
        tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()),
        body.encode(),
    )


async def _send(reply: _Response, effect: Effect | None, send: Send) -> None:
    """Send an answer, changed by the fault."""
    body = reply.body
    if isinstance(effect, MalformedJson):
        body = body[: len(body) // 2]
    elif isinstance(effect, EmptyJson):
        body = b"{}"
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": reply.status, "headers": [*reply.headers, length]})
    if isinstance(effect, CutBody):
        # Returning with more to come makes the server close the connection after what it has.
        await send(
            {"type": "http.response.body", "body": body[: int(len(body) * effect.keep)], "more_body": True}
        )
        return
    await send({"type": "http.response.body", "body": body})


def _summary(call: _RequestLine) -> str:
    kind = call.request.headers.get("content-type", "").partition(";")[0]
    if kind == "application/json":
        return call.body[:JOURNALED].decode(errors="replace")
    return f"<{len(call.body)} bytes of {kind or 'no type'}>" if call.body else ""


class PromptServer(uvicorn.Server):
    """Serves an emulator until `stop` is called, from any thread."""

    def __init__(self, emulator: Emulator, on_started: Callable[[PromptServer], None]) -> None:
        config = uvicorn.Config(
            FaultMiddleware(emulator, self.reset),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            timeout_keep_alive=IDLE_TIMEOUT,
        )
        super().__init__(config)
        # A handler of its own keeps `logging` from writing to the terminal when it is not set up.
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())
        self._on_started = on_started
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event

    def stop(self) -> None:
        """Make the server return soon."""
        self._loop.call_soon_threadsafe(self._stopping.set)

    def reset(self, client: tuple[str, int]) -> None:
        """Reset the connection from that address, so that the client sees neither an answer nor an end."""
        for connection in list(self.server_state.connections):
            transport = connection.transport
            if transport.get_extra_info("peername") == client:
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
                transport.abort()

    async def main_loop(self) -> None:
        """Wait for `stop`; uvicorn's own loop wakes up ten times a second."""
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._on_started(self)
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drop everything; uvicorn would wait for answers under way."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
