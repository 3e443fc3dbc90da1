"""Requests, errors and JSON lines, as the APIs have them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, StreamingResponse

from jobdash.demo.emulator.batch_plan import Switches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute


JsonObject = dict[str, object]

_PIECE = 512 * 1024
"""Bytes that are sent at once."""
_STATUS_WORDS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class ApiError(Exception):
    """A request is refused: an HTTP status and the provider's own sentence.

    `code` is OpenAI's `code`, Gemini's `reason`, or Anthropic's `type`; `status_word` overrides Gemini's word
    for the status.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status_word: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.status_word = status_word


def openai_form(error: ApiError) -> JsonObject:
    """The body of an error at OpenAI."""
    kind, code = "invalid_request_error", error.code
    if error.status == 429:
        code = code or "rate_limit_exceeded"
        kind = "requests" if code == "rate_limit_exceeded" else code
    elif error.status >= 500:
        kind = "server_error"
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": code}}


def gemini_form(error: ApiError) -> JsonObject:
    """The body of an error at Gemini, a google.rpc.Status."""
    word = error.status_word or _STATUS_WORDS.get(error.status, "UNKNOWN")
    body: JsonObject = {"code": error.status, "message": error.message, "status": word}
    if error.code is not None:
        body["details"] = [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": error.code,
                "domain": "googleapis.com",
                "metadata": {"service": "generativelanguage.googleapis.com"},
            }
        ]
    return {"error": body}


_ANTHROPIC_KINDS: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def anthropic_form(error: ApiError) -> JsonObject:
    """The body of an error at Anthropic."""
    other = "api_error" if error.status >= 500 else "invalid_request_error"
    kind = error.code or _ANTHROPIC_KINDS.get(error.status, other)
    return {"type": "error", "error": {"type": kind, "message": error.message}, "request_id": "req_emulated"}


def mistral_form(error: ApiError) -> JsonObject:
    """The body of an error at Mistral."""
    if error.status == 401:
        return {"detail": "Unauthorized"}
    kind = "server_error" if error.status >= 500 else "invalid_request_error"
    return {"object": "error", "message": error.message, "type": kind, "param": None, "code": error.code}


def to_jsonl(objects: Iterable[JsonObject], switches: Switches) -> bytes:
    """One object a line; nothing at all for no object."""
    return b"".join(jsonl_pieces(objects, switches))


def jsonl_pieces(objects: Iterable[JsonObject], switches: Switches) -> Iterator[bytes]:
    """Yield the same in pieces of some size, as they are sent."""
    piece, end = bytearray(), b""
    for line in _lines(objects, switches):
        piece += end + line.encode()
        end = b"\n"
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece) if switches.no_trailing_newline else bytes(piece + end)


def _lines(objects: Iterable[JsonObject], switches: Switches) -> Iterator[str]:
    for number, item in enumerate(objects):
        yield json.dumps(item, ensure_ascii=False)
        if number == 0 and switches.garbage_lines:
            yield from ("", "<html>502 Bad Gateway</html>")


def streamed(pieces: Iterable[bytes], media_type: str) -> StreamingResponse:
    """Return an answer whose body is sent as it is made."""

    async def sent() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece
            await asyncio.sleep(0)  # else a client that has gone would be noticed at the end of the file only

    return StreamingResponse(sent(), media_type=media_type)


async def read_object(request: Request) -> JsonObject:
    """The body, which has to be a JSON object."""
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise ApiError(400, f"We could not parse the JSON body of your request. ({error})") from error
    if not isinstance(body, dict):
        raise ApiError(400, "The JSON body of your request has to be an object.")
    return body


def read_number(request: Request, name: str, *, default: int, highest: int) -> int:
    """A whole number of the query, between 1 and `highest`."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= highest:
        raise ApiError(400, f"Invalid '{name}': {text!r} is not between 1 and {highest}.", param=name)
    return int(text)


def api_app(
    routes: Sequence[BaseRoute],
    form: Callable[[ApiError], JsonObject],
    unrouted: Callable[[Request, int], ApiError],
) -> Starlette:
    """An application whose every error has the provider's form.

    `unrouted` words the answers to unknown paths (404) and wrong methods (405).
    """

    async def refuse(_request: Request, error: Exception) -> Response:
        if not isinstance(error, ApiError):
            raise error
        return JSONResponse(form(error), status_code=error.status)

    async def refuse_unrouted(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        return await refuse(request, unrouted(request, error.status_code))

    return Starlette(
        routes=list(routes), exception_handlers={ApiError: refuse, HTTPException: refuse_unrouted}
    )
