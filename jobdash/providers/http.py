"""The HTTP client of every adapter: deadlines, keys that are sent to their own server alone, raw answers.

An adapter's SDK, where it has one, builds the requests; what it makes of the answers is not used, because
SDKs drop fields we show and stumble over values the APIs do send. So an answer is kept as it came, and a
refusal is translated while its headers and words are still whole.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from io import BufferedReader
from pathlib import Path

import httpx2

from jobdash.domain.account import Header
from jobdash.domain.text import redact
from jobdash.domain.time import Clock, system_clock
from jobdash.errors import BadResponse, ConfigError, InvalidRequest, ProviderError, Unavailable
from jobdash.providers.json_values import decode
from jobdash.providers.refusals import answered_error, refusal

_kept: ContextVar[list[bytes]] = ContextVar("_kept")
"""The bodies answered to the call under way; many calls share one client, each in a context of its own."""

_KEY_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
_BEARER = "Bearer "

_LONGEST_LINE = 64 * 1024 * 1024
"""One request's answer; what never ends a line must not fill the memory."""

REDIRECT_EXPECTED = "jobdash.redirect_expected"
"""The extension of a request whose answer is a redirect: its headers are what `HttpClient.ask` returns."""

_FOLLOWED = frozenset({"GET", "HEAD"})
"""What changes nothing, and may go wherever a server sends it."""

_LONGEST_PLACE = 200
"""How much of an address is shown, in characters."""

_OBJECTIONS = (ValueError, TypeError, FileNotFoundError, PermissionError, httpx2.InvalidURL)
"""What an SDK, HTTPX or the disk raises over a request it will not send."""


def bearer(key: str) -> dict[str, str]:
    """Return the header that presents a key."""
    return {"Authorization": f"{_BEARER}{key}"}


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long an answer may take, in seconds."""

    connect: float = 10.0
    read: float = 60.0
    """Between two pieces of an answer, and between two of a request."""
    call: float = 90.0
    """A whole call, whatever happens in it."""
    upload: float = 1800.0
    """A whole upload: 200 MB at a megabit a second."""

    def per_request(self) -> dict[str, float | None]:
        """Return them as HTTPX's ``timeout`` extension of a request."""
        return {"connect": self.connect, "read": self.read, "write": self.read, "pool": self.call}


@cache
def trust() -> ssl.SSLContext:
    """Return the certificates this process trusts, read once: they take 0.7 MiB for each client.

    ConfigError, naming the variable, when those that the environment names cannot be read.
    """
    try:
        return httpx2.create_ssl_context()
    except OSError as error:  # an SSLError is one
        named = [f"{name}={value}" for name in _TRUST if (value := os.environ.get(name))]
        where = f" ({', '.join(named)})" if named else ""
        raise ConfigError(f"its certificates cannot be read{where}: {error.strerror or error}") from None


_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""The variables that name the certificates to trust."""


class HttpClient:
    """One account's HTTP client, to be used in the one event loop that made it."""

    def __init__(
        self,
        base_url: str,
        *,
        deadlines: Deadlines,
        clock: Clock = system_clock,
        query: Sequence[tuple[str, str]] = (),
        headers: Sequence[Header] = (),
        key_header: str = "",
    ) -> None:
        """``key_header``: the header in which the server wants the key that an SDK sends as a bearer's."""
        self.trust = trust()
        self.client = httpx2.AsyncClient(
            verify=self.trust,
            follow_redirects=True,
            limits=httpx2.Limits(max_connections=64),
            event_hooks={"request": [self._before_request], "response": [self._after_response]},
        )
        self._home = httpx2.URL(base_url).origin
        self._query = tuple(query)
        self._headers = tuple(headers)
        self._key_header = key_header
        self._deadlines = deadlines
        self._clock = clock

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()

    async def ask(self, call: Awaitable[object], *, deadline: float | None = None) -> object:
        """Await one SDK call and return the JSON of the last answer it got, None for an empty one.

        ``deadline`` is in seconds, by default that of a whole call. Raises only `ProviderError`.
        """
        answers: list[bytes] = []
        mark = _kept.set(answers)
        try:
            async with asyncio.timeout(deadline or self._deadlines.call):
                await call
        except ProviderError:
            raise
        except Exception as error:  # noqa: BLE001  an SDK may fail in any way over an answer it did not expect
            failure = self._no_answer(error)
            if failure is not None or not answers:
                raise (failure or self._unanswered(error)) from None
        finally:
            _kept.reset(mark)
        if not answers:
            raise BadResponse("no answer was read")
        value = decode(answers[-1]) if answers[-1].strip() else None
        if (refused := answered_error(value)) is not None:
            raise refused
        return value

    @asynccontextmanager
    async def download(
        self, url: str, headers: Mapping[str, str], **params: str
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a download, as `lines` and `chunks` want it; ``params`` go into the query."""
        # Without an SDK, which takes half as long again to build the request as to send it, or can only push
        # a download into a file.
        async with self.client.stream("GET", url, params=params or None, headers=headers) as answer:
            yield answer.aiter_bytes()

    async def lines(
        self, opening: AbstractAsyncContextManager[AsyncIterator[bytes]], *, longest: int = _LONGEST_LINE
    ) -> AsyncGenerator[bytes, None]:
        r"""Yield the lines of a download as they arrive, split after ``\n`` alone (a JSON text may hold any
        other line break), with it; the last one may have none. Raises only `ProviderError`, `BadResponse` for
        a line of more than ``longest`` bytes.
        """
        pending: list[bytes] = []
        held = 0
        async with aclosing(self.chunks(opening)) as chunks:
            async for chunk in chunks:
                *whole, last = chunk.split(b"\n")
                if whole and pending:
                    whole[0] = b"".join((*pending, whole[0]))
                    pending, held = [], 0
                for piece in whole:
                    yield piece + b"\n"
                pending.append(last)
                held += len(last)
                if held > longest:
                    raise BadResponse(f"a line of the file is longer than {longest:,} bytes")
        if rest := b"".join(pending):
            yield rest

    async def chunks(
        self, opening: AbstractAsyncContextManager[AsyncIterator[bytes]]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the pieces of a download as they arrive. Raises only `ProviderError`."""
        try:
            async with opening as chunks:
                async for chunk in chunks:
                    yield chunk
        except ProviderError:
            raise
        except Exception as error:  # noqa: BLE001  as in `ask`
            raise (self._no_answer(error) or self._unreadable(error)) from None

    async def _before_request(self, request: httpx2.Request) -> None:
        # Here and not on the client, because google-genai replaces the client's own time-outs by none.
        request.extensions["timeout"] = self._deadlines.per_request()
        if request.url.origin != self._home:
            for name in (*_KEY_HEADERS, *(header.name for header in self._headers)):
                request.headers.pop(name, None)
            return
        if self._key_header and (sent := request.headers.pop("authorization", "")):
            request.headers[self._key_header] = sent.removeprefix(_BEARER)
        for header in self._headers:
            request.headers[header.name] = header.reveal()
        asked = request.url.params.keys()
        for name, value in self._query:
            if name not in asked:
                request.url = request.url.copy_add_param(name, value)

    async def _after_response(self, response: httpx2.Response) -> None:
        if response.has_redirect_location:
            if response.request.extensions.get(REDIRECT_EXPECTED):
                _kept.get().append(json.dumps(dict(response.headers)).encode())
            else:
                self._check_redirect(response)
            return
        if response.is_success:
            answers = _kept.get(None)
            if answers is not None:
                answers.append(await response.aread())
            return
        try:
            content = await response.aread()
        except httpx2.HTTPError:
            content = b""
        self._check_place(response)
        now = self._clock() / 1000
        raise refusal(response.status_code, response.headers, content, now=now)

    def _check_redirect(self, response: httpx2.Response) -> None:
        """Raise for a redirect that must not be followed.

        HTTPX would make a GET of an action, which asks for nothing and is answered with a 200. Only a 307 or
        308 means that the action was not carried out; a 303 mostly follows one that was.
        """
        request, status = response.request, response.status_code
        target = _target(response)
        at_home = target.origin == self._home
        unapplied = status in {307, 308}
        if request.method not in _FOLLOWED and not (unapplied and at_home):
            where = f"{target.path if at_home else _place(target)}, where no action follows"
            raise _redirected(where, status, InvalidRequest if unapplied else BadResponse)

    def _check_place(self, response: httpx2.Response) -> None:
        """Raise for a refusal by another server than the account's: it got no key."""
        method, url, status = response.request.method, response.request.url, response.status_code
        if method in _FOLLOWED and url.origin != self._home and status in {401, 403, 404, 407}:
            raise _redirected(f"{_place(url)}, which is not given the key", status)

    def _no_answer(self, error: Exception) -> ProviderError | None:
        """Return the `ProviderError` for a failure of the network or the deadline; None for any other."""
        cause = _cause(error)
        detail = self._detail(cause)
        match cause:
            case httpx2.ConnectTimeout():
                words = f"no connection within {self._deadlines.connect:g} s"
                return Unavailable(words, detail=detail, sent=False)
            case httpx2.PoolTimeout():
                return Unavailable("no connection was free in time", detail=detail, sent=False)
            case TimeoutError() | httpx2.TimeoutException():
                return Unavailable("no answer in time", detail=detail)
            case httpx2.ConnectError():
                words = redact(str(cause)) or type(cause).__name__
                if "CERTIFICATE_VERIFY_FAILED" in words:
                    words += "; SSL_CERT_FILE names the certificates to trust"
                return Unavailable(f"cannot connect: {words}", detail=words, sent=False)
            case httpx2.TransportError() | ConnectionError() | ssl.SSLError():
                return Unavailable("the connection broke", detail=detail)
            case httpx2.DecodingError() | httpx2.TooManyRedirects():
                return self._unreadable(cause)
            case _:
                return None

    def _unanswered(self, error: Exception) -> ProviderError:
        """Return the `ProviderError` for a failure before any answer that is not the network's."""
        cause = _cause(error)
        if isinstance(cause, _OBJECTIONS):
            return InvalidRequest(f"not sent: {redact(str(cause))}", detail=self._detail(cause))
        return Unavailable("no answer", detail=self._detail(cause))

    def _unreadable(self, error: Exception) -> ProviderError:
        return BadResponse("the answer cannot be read", detail=self._detail(error))

    def _detail(self, error: Exception) -> str:
        return redact(f"{type(error).__name__}: {error}".removesuffix(": "))


def _place(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"


def _target(response: httpx2.Response) -> httpx2.URL:
    try:
        return response.request.url.join(response.headers["location"])
    except (httpx2.InvalidURL, ValueError):
        status = response.status_code
        reason = f"redirected to an address that cannot be read ({status})"
        raise BadResponse(reason, status=status, detail=reason) from None


def _redirected(where: str, status: int, kind: type[ProviderError] = InvalidRequest) -> ProviderError:
    reason = redact(f"redirected to {where[:_LONGEST_PLACE]} ({status}); set base_url to where it belongs")
    return kind(reason, status=status, detail=reason)


def _cause(error: Exception) -> Exception:
    """Return HTTPX's error, or the system's, that an SDK's own connection error was raised from."""
    if isinstance(error, httpx2.HTTPError) or not isinstance(error.__cause__, (httpx2.HTTPError, OSError)):
        return error
    return error.__cause__


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open the file of an upload, read piece by piece as it is sent; InvalidRequest when it cannot be."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise InvalidRequest(f"not sent: cannot read {path}: {error.strerror}") from None
    with file:
        yield file
