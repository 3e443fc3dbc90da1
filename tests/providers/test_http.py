"""What the client does beside its adapters: downloads, redirects, cancellation, many calls at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobdash.domain.text import register_secret
from jobdash.errors import BadResponse, InvalidRequest, RateLimited, Unavailable
from jobdash.providers.http import Deadlines, HttpClient

KEY = "canary-key-0123"
register_secret(KEY)

Answer = Callable[[bytes], Awaitable[bytes] | bytes]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """Serve raw bytes: what ``answer`` makes of a request's head goes out, then the connection closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            made = answer(head)
            writer.write(made if isinstance(made, bytes) else await made)
        finally:
            writer.close()
            await writer.wait_closed()

    handlers: list[asyncio.Task[None] | None] = []
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for handler in filter(None, handlers):
            handler.cancel()
        await asyncio.gather(*filter(None, handlers), return_exceptions=True)


@asynccontextmanager
async def wired(base_url: str, **deadlines: float) -> AsyncIterator[HttpClient]:
    wire = HttpClient(base_url, deadlines=Deadlines(**deadlines))
    try:
        yield wire
    finally:
        await wire.aclose()


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@asynccontextmanager
async def chunks(*pieces: bytes) -> AsyncIterator[AsyncIterator[bytes]]:
    async def each() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    yield each()


@given(st.lists(st.binary(max_size=12)))
async def test_lines_do_not_depend_on_how_they_arrive(pieces: list[bytes]) -> None:
    wire = HttpClient.__new__(HttpClient)  # splitting needs no client
    lines = [line async for line in wire.lines(chunks(*pieces))]
    *whole, last = b"".join(pieces).split(b"\n")
    assert lines == [line + b"\n" for line in whole] + ([last] if last else [])


async def test_a_line_that_never_ends_is_given_up() -> None:
    wire = HttpClient.__new__(HttpClient)
    lines = wire.lines(chunks(b"12345678\n1234", b"5678", b"9"), longest=8)
    assert await anext(lines) == b"12345678\n"
    with pytest.raises(BadResponse, match="longer than 8 bytes"):
        await anext(lines)


async def test_only_a_newline_ends_a_line() -> None:
    body = '{"a": "x\u2028y\x85z\x0c"}\n'.encode()
    async with serving(lambda _: ok(body)) as url, wired(url) as wire:

        @asynccontextmanager
        async def download() -> AsyncIterator[AsyncIterator[bytes]]:
            async with wire.client.stream("GET", url) as response:
                yield response.aiter_bytes()

        assert [line async for line in wire.lines(download())] == [body]


@asynccontextmanager
async def redirecting() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that redirects to another one: its address, and the heads of the requests to both."""
    heads: list[bytes] = []

    def answering(answer: bytes) -> Callable[[bytes], bytes]:
        def answered(head: bytes) -> bytes:
            heads.append(head)
            return answer

        return answered

    async with serving(answering(ok(b"{}"))) as other:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: {other}/x\r\nContent-Length: 0\r\n\r\n".encode()
        async with serving(answering(moved)) as home:
            yield home, heads


async def test_a_key_does_not_follow_a_redirect_to_another_server() -> None:
    async with redirecting() as (home, heads), wired(home) as wire:
        headers = {"authorization": f"Bearer {KEY}", "x-goog-api-key": KEY}
        assert await wire.ask(wire.client.get(home, headers=headers)) == {}
    _, followed = heads
    assert KEY.encode() not in followed


async def test_a_key_goes_in_the_header_its_server_wants_and_to_no_other_server() -> None:
    async with redirecting() as (home, heads):
        wire = HttpClient(home, deadlines=Deadlines(), key_header="api-key")
        await wire.ask(wire.client.get(home, headers={"authorization": f"Bearer {KEY}"}))
        await wire.aclose()
    asked, followed = (head.lower() for head in heads)
    assert f"\napi-key: {KEY}\r".lower().encode() in asked
    assert b"authorization" not in asked + followed
    assert KEY.lower().encode() not in followed


async def test_each_call_gets_its_own_answer() -> None:
    async def slow_for_the_first(head: bytes) -> bytes:
        path = head.split()[1]
        await asyncio.sleep(0.02 if path == b"/0" else 0)
        return ok(b'"%b"' % path)

    async with serving(slow_for_the_first) as url, wired(url) as wire:
        calls = [wire.ask(wire.client.get(f"{url}/{number}")) for number in range(20)]
        assert await asyncio.gather(*calls) == [f"/{number}" for number in range(20)]


async def test_cancellation_passes_through() -> None:
    arrived = asyncio.Event()

    async def never(_: bytes) -> bytes:
        arrived.set()
        return await asyncio.Future()

    async with serving(never) as url, wired(url) as wire:
        task = asyncio.create_task(wire.ask(wire.client.get(url)))  # type: ignore[arg-type]
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_nobody_listens() -> None:
    async with serving(lambda _: b"") as url:
        pass
    async with wired(url) as wire:
        with pytest.raises(Unavailable, match="cannot connect") as caught:
            await wire.ask(wire.client.get(url))
    assert not caught.value.sent


async def test_a_broken_connection_may_have_carried_the_request() -> None:
    async with serving(lambda _: b"") as url, wired(url) as wire:
        with pytest.raises(Unavailable) as caught:
            await wire.ask(wire.client.post(url))
    assert caught.value.sent


async def test_a_read_has_its_deadline() -> None:
    async def never(_: bytes) -> bytes:
        return await asyncio.Future()

    async with serving(never) as url, wired(url, read=0.05) as wire, asyncio.timeout(2):
        # google-genai asks for no time-out at all
        with pytest.raises(Unavailable, match="no answer in time"):
            await wire.ask(wire.client.get(url, timeout=None))


async def test_a_refusal_counts_though_its_words_are_cut_off() -> None:
    answer = b"HTTP/1.1 429 Slow down\r\nRetry-After: 20\r\nContent-Length: 100\r\n\r\n{"
    async with serving(lambda _: answer) as url, wired(url) as wire:
        with pytest.raises(RateLimited) as caught:
            await wire.ask(wire.client.get(url))
    assert caught.value.retry_after == 20.0


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", Unavailable),
        (b"SSH-2.0-OpenSSH\r\n", Unavailable),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx", BadResponse),
        (b"HTTP/1.1 307 Moved\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n", BadResponse),
        (ok(b"<html>log in</html>"), BadResponse),
    ],
)
async def test_strange_servers(answer: bytes, kind: type[Exception]) -> None:
    async with serving(lambda _: answer) as url, wired(url) as wire:
        with pytest.raises(kind):
            await wire.ask(wire.client.get(url))


async def test_a_request_that_cannot_be_made_was_not_sent() -> None:
    async def objecting() -> None:
        raise ValueError(f"an odd {KEY}")

    async with wired("http://localhost") as wire:
        with pytest.raises(InvalidRequest, match="not sent") as caught:
            await wire.ask(objecting())
        assert KEY not in f"{caught.value} {caught.value.detail}"
        with pytest.raises(BadResponse):
            await wire.ask(asyncio.sleep(0))


async def test_an_answer_is_used_though_its_reader_failed() -> None:
    async with serving(lambda _: ok(b'{"a": 1}')) as url, wired(url) as wire:

        async def misreading() -> None:
            await wire.client.get(url)
            raise IndexError

        assert await wire.ask(misreading()) == {"a": 1}


async def test_a_broken_second_answer_does_not_count_as_the_first() -> None:
    async with serving(lambda _: ok(b'{"a": 1}')) as url, wired(url) as wire:

        async def twice() -> None:
            await wire.client.get(url)
            raise httpx2.ReadError("gone")

        with pytest.raises(Unavailable):
            await wire.ask(twice())


def moved(status: int, place: str) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("status", [301, 302, 303])
async def test_an_action_never_becomes_a_question(method: str, status: int) -> None:
    heads: list[bytes] = []

    def answer(head: bytes) -> bytes:
        heads.append(head)
        return ok(b"{}") if head.startswith(b"GET") else moved(status, "/login?x=1")

    async with serving(answer) as url, wired(url) as wire:
        # It may have been carried out all the same: a 303 is what follows an action that was.
        with pytest.raises(
            BadResponse, match=rf"redirected to /login, where no action follows \({status}\); set base_url"
        ):
            await wire.ask(wire.client.request(method, url))
    assert len(heads) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("place", ["http://[::1/x", "http://host:port/x"])
async def test_a_redirect_that_cannot_be_read_was_an_answer(method: str, place: str) -> None:
    async with serving(lambda _: moved(302, place)) as url, wired(url) as wire:
        with pytest.raises(BadResponse, match=r"redirected to an address that cannot be read \(302\)"):
            await wire.ask(wire.client.request(method, url))


@pytest.mark.parametrize("status", [307, 308])
async def test_an_action_goes_where_its_own_server_sends_it(status: int) -> None:
    def answer(head: bytes) -> bytes:
        return ok(b'"%b"' % head.split()[0]) if b"/new" in head else moved(status, "/new")

    async with serving(answer) as url, wired(url) as wire:
        assert await wire.ask(wire.client.post(url, content=b"x")) == "POST"


async def test_an_action_goes_to_no_other_server() -> None:
    async with (
        serving(lambda _: ok(b"{}")) as other,
        serving(lambda _: moved(307, other)) as url,
        wired(url) as wire,
    ):
        with pytest.raises(InvalidRequest, match=f"redirected to {other}, .*set base_url"):
            await wire.ask(wire.client.post(url))


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_server_that_got_no_key_does_not_judge_it(status: int) -> None:
    no = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()
    async with (
        serving(lambda _: no) as other,
        serving(lambda _: moved(301, other)) as url,
        wired(url) as wire,
    ):
        with pytest.raises(InvalidRequest, match=f"redirected to {other}, .*set base_url"):
            await wire.ask(wire.client.get(url))
