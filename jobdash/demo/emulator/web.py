"""Requests, errors, JSON lines and the base of the handlers, as the APIs have them."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
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

    from jobdash.demo.emulator.batch import EmulatedBatch, EmulatedFile
    from jobdash.demo.emulator.emulator import EmulatedAccount, EmulatedProvider

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


def jsonl_pieces(objects: Iterable[JsonObject], switches: Switches) -> Iterator[bytes]:
    """Yield one object a line, in pieces of some size, as they are sent; nothing at all for no object."""
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


def parse_object(line: bytes) -> JsonObject | None:
    """A line as the JSON object that it has to be; None for anything else."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


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


def bearer_key(request: Request) -> str:
    """The API key of the Authorization header; empty without one."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


class ApiHandlers(ABC):
    """What the handlers of every API share; `accepts` decides which keys are good."""

    key = staticmethod(bearer_key)
    batch_prefix = ""
    """What ids of batches begin with, and paths leave out."""
    no_batch: str
    """What is said where no batch has an id, ``{}``."""

    def __init__(self, provider: EmulatedProvider, accepts: Callable[[str], bool]) -> None:
        self._provider = provider
        self._accepts = accepts

    def account(self, request: Request) -> EmulatedAccount:
        """The account of the presented key; refused without one that is accepted."""
        key = self.key(request)
        if not key or not self._accepts(key):
            raise self.wrong_key(key)
        return self._provider.account(key)

    @abstractmethod
    def wrong_key(self, key: str) -> ApiError:
        """The refusal of a key that is not accepted, or is empty."""

    def batch(self, request: Request) -> EmulatedBatch:
        """The batch of the path, in the key's account."""
        batch_id = self.batch_prefix + request.path_params["id"]
        batch = self.account(request).batches.get(batch_id)
        if batch is None:
            raise ApiError(404, self.no_batch.format(batch_id))
        return batch

    def ask_cancel(self, request: Request) -> EmulatedBatch:
        """Note a cancel of the batch of the path, and return it; refused for one that has ended."""
        batch = self.batch(request)
        if not self._provider.ask_cancel(batch):
            raise self.late_cancel(batch, self._provider.switches_of(batch).cancel_refusal)
        return batch

    @abstractmethod
    def late_cancel(self, batch: EmulatedBatch, status: int | None) -> ApiError:
        """The refusal of a cancel after the end, with the API's own status if ``status`` is None."""

    def existing(self, files: Iterable[EmulatedFile]) -> Iterator[tuple[EmulatedFile, bytes]]:
        """Those of some files that there are by now, and still, each with its content."""
        for file in files:
            if (content := self.file_content(file)) is not None:
                yield file, content

    def content_of(self, account: EmulatedAccount, file_id: str) -> bytes | None:
        """The bytes of the file of an id; None where there is no such file."""
        file = account.files.get(file_id)
        return None if file is None else self.file_content(file)

    def file_content(self, file: EmulatedFile) -> bytes | None:
        """The bytes of a file; None for one its batch has not made, or that is deleted."""
        return None


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
