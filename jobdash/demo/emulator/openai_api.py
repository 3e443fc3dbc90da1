"""OpenAI's HTTP API, as far as batches need it: files, batches, and the list of models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jobdash.demo.emulator.batch import BatchRequests, EmulatedFile, UploadedFile
from jobdash.demo.emulator.batch_plan import BatchScript, Ending, LineError
from jobdash.demo.emulator.openai_view import batch_json, file_json, file_pieces, purpose_of
from jobdash.demo.emulator.web import (
    ApiError,
    ApiHandlers,
    JsonObject,
    api_app,
    openai_form,
    parse_object,
    read_number,
    read_object,
    streamed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.applications import Starlette
    from starlette.requests import Request

    from jobdash.demo.emulator.batch import EmulatedBatch
    from jobdash.demo.emulator.emulator import EmulatedAccount, EmulatedProvider

MAX_REQUESTS = 50_000
ENDPOINTS = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/moderations")
MODELS = ("gpt-x", "gpt-x-mini", "embed-x")
MAX_METADATA = (16, 64, 512)
"""Pairs, characters of a key, characters of a value."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """What an input file holds, and what is wrong with it."""

    requests: BatchRequests
    model: str
    errors: tuple[LineError, ...]


def read_input(content: bytes, endpoint: str) -> InputFile:
    """Check every line; the model is the first one named."""
    reader = _InputReader(endpoint)
    lines = content.splitlines()
    for number, line in enumerate(lines, start=1):
        reader.read(number, line)
    if not lines:
        reader.complain("empty_file", "The batch input file is empty.")
    elif len(lines) > MAX_REQUESTS:
        message = f"The batch input file has {len(lines)} requests; the limit is {MAX_REQUESTS}."
        reader.complain("too_many_tasks", message)
    return InputFile(
        BatchRequests(len(reader.ids), tuple(reader.ids)),
        model=reader.model or "",
        errors=tuple(reader.errors),
    )


class _InputReader:
    """Reads line by line, remembering what must be unique or the same in all of them."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.ids: dict[str, None] = {}
        self.model: str | None = None
        self.errors: list[LineError] = []

    def complain(self, code: str, message: str, line: int | None = None, param: str | None = None) -> None:
        self.errors.append(LineError(code, message, line, param))

    def read(self, number: int, line: bytes) -> None:
        request = parse_object(line)
        if request is None:
            self.complain("invalid_json_line", "This line is not parseable as valid JSON.", number)
            return
        for name in ("custom_id", "method", "url", "body"):
            if not request.get(name):
                message = f"Missing required parameter: '{name}'."
                self.complain("missing_required_parameter", message, number, name)
        self._check_id(number, str(request.get("custom_id", "")))
        if request.get("url") not in {None, "", self.endpoint}:
            message = "The URL provided for this request does not prefix-match the batch endpoint."
            self.complain("invalid_url", message, number, "url")
        self._check_model(number, request.get("body"))

    def _check_id(self, number: int, custom_id: str) -> None:
        if custom_id in self.ids:
            message = (
                "The custom_id for this request is a duplicate of another request. "
                "The custom_id parameter must be unique for each request in a batch."
            )
            self.complain("duplicate_custom_id", message, number, "custom_id")
        self.ids[custom_id] = None

    def _check_model(self, number: int, body: object) -> None:
        model = body.get("model") if isinstance(body, dict) else None
        if not isinstance(model, str):
            return
        if self.model is None:
            self.model = model
        elif model != self.model:
            message = f"The model '{model}' differs from '{self.model}'; a batch has one model."
            self.complain("mismatched_model", message, number, "body.model")


def openai_app(provider: EmulatedProvider, accepts: Callable[[str], bool]) -> Starlette:
    """The application; `accepts` decides which keys are good."""
    return app_of(OpenAIHandlers(provider, accepts), "/v1")


def app_of(api: OpenAIHandlers, root: str, *more: Route) -> Starlette:
    """The application of such handlers at a path; ``more`` are routes that OpenAI does not have."""
    routes = [
        Route(f"{root}/models", api.list_models),
        Route(f"{root}/files", api.list_files, methods=["GET"]),
        Route(f"{root}/files", api.create_file, methods=["POST"]),
        Route(f"{root}/files/{{id}}", api.get_file, methods=["GET"]),
        Route(f"{root}/files/{{id}}", api.delete_file, methods=["DELETE"]),
        Route(f"{root}/files/{{id}}/content", api.get_content),
        Route(f"{root}/batches", api.list_batches, methods=["GET"]),
        Route(f"{root}/batches", api.create_batch, methods=["POST"]),
        Route(f"{root}/batches/{{id}}", api.get_batch),
        Route(f"{root}/batches/{{id}}/cancel", api.cancel_batch, methods=["POST"]),
        *more,
    ]
    return api_app(routes, openai_form, _unrouted)


class OpenAIHandlers(ApiHandlers):
    """The handlers; other APIs have most of them as well, and show things in their own way."""

    windows: tuple[str, ...] = ("24h",)
    """The completion windows."""
    no_batch = "No batch found with id '{}'."

    async def list_models(self, request: Request) -> Response:
        """The models."""
        self.account(request)
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "emulator"} for name in MODELS]
        return JSONResponse({"object": "list", "data": models})

    async def create_file(self, request: Request) -> Response:
        """Upload a file."""
        account = self.account(request)
        async with request.form() as form:
            sent, purpose = form.get("file"), form.get("purpose")
            if not isinstance(sent, UploadFile):
                raise ApiError(400, "Missing required parameter: 'file'.", param="file")
            if not isinstance(purpose, str):
                raise ApiError(400, "Missing required parameter: 'purpose'.", param="purpose")
            content = await sent.read()
            kept = form.get("expires_after[seconds]")
        now = self._provider.clock.now()
        file = UploadedFile(
            id=self._provider.new_file_id(),
            name=sent.filename or "upload",
            created=now,
            content=content,
            purpose=purpose,
            expires=now + int(kept) if isinstance(kept, str) else None,
        )
        account.files.add(file)
        return JSONResponse(self.file_shown(file, content))

    def file_shown(self, file: EmulatedFile, content: bytes) -> JsonObject:
        """The file object."""
        return file_json(self._provider, file, content)

    def file_pieces(self, file: EmulatedFile) -> Iterator[bytes] | None:
        """The bytes of a file as they are sent; None for one its batch has not made."""
        return file_pieces(self._provider, file)

    def file_content(self, file: EmulatedFile) -> bytes | None:
        """The same in one."""
        pieces = self.file_pieces(file)
        return None if pieces is None else b"".join(pieces)

    async def list_files(self, request: Request) -> Response:
        """Files, newest first."""
        account = self.account(request)
        limit = read_number(request, "limit", default=10_000, highest=10_000)
        purpose, after = request.query_params.get("purpose"), request.query_params.get("after")
        asked = (f for f in account.files.newest_first(after=after) if purpose in {None, purpose_of(f)})
        shown = [self.file_shown(*each) for each in islice(self.existing(asked), limit + 1)]
        return JSONResponse(_list(shown[:limit], has_more=len(shown) > limit))

    async def get_file(self, request: Request) -> Response:
        """One file."""
        return JSONResponse(self.file_shown(*self._file(request)))

    async def delete_file(self, request: Request) -> Response:
        """Delete a file."""
        file, _ = self._file(request)
        self.account(request).files.remove(file.id)
        return JSONResponse({"id": file.id, "object": "file", "deleted": True})

    async def get_content(self, request: Request) -> Response:
        """What is in a file."""
        return streamed(self._found(request)[1], "application/octet-stream")

    async def create_batch(self, request: Request) -> Response:
        """Make a batch of an uploaded file."""
        account = self.account(request)
        wanted = await read_object(request)
        file_id = _text(wanted, "input_file_id")
        content = self.content_of(account, file_id)
        if content is None:
            raise ApiError(400, f"Invalid file id '{file_id}'.", param="input_file_id")
        endpoint = _text(wanted, "endpoint")
        if endpoint not in ENDPOINTS:
            raise ApiError(
                400, f"Invalid value: '{endpoint}'. Supported values are: {ENDPOINTS}.", param="endpoint"
            )
        if _text(wanted, "completion_window") not in self.windows:
            known = " or ".join(f"'{window}'" for window in self.windows)
            raise ApiError(
                400, f"Invalid value: the completion window has to be {known}.", param="completion_window"
            )
        found = read_input(content, endpoint)
        plan, errors = self._provider.plan, found.errors or self._over_limit(account, found.model, content)
        if errors:
            plan = replace(plan, ending=Ending.FAILS, line_errors=errors)
        if isinstance(kept := wanted.get("output_expires_after"), dict):
            own = plan.switches or self._provider.switches
            plan = replace(plan, switches=replace(own, results_kept=float(kept["seconds"])))
        script = BatchScript(model=found.model, endpoint=endpoint, metadata=_read_metadata(wanted), plan=plan)
        batch = self._provider.create(self.key(request), script, found.requests, file_id)
        return JSONResponse(self.batch_shown(batch))

    def batch_shown(self, batch: EmulatedBatch) -> JsonObject:
        """The batch object."""
        return batch_json(self._provider, batch)

    def _over_limit(self, account: EmulatedAccount, model: str, content: bytes) -> tuple[LineError, ...]:
        """The error of a batch for which too many tokens are enqueued; empty when there is room."""
        limit = self._provider.enqueued_limit
        if limit is None:
            return ()
        used = sum(
            self._tokens_of(account, batch)
            for batch in account.batches.page(ALL).batches
            if batch.script.model == model and not self._provider.snapshot_of(batch).phase.terminal
        )
        if used + _tokens(content) <= limit:
            return ()
        message = (
            f"Enqueued token limit reached for {model}. Limit: {limit:,} enqueued tokens. "
            "Please try again once some in_progress batches have been completed."
        )
        return (LineError("token_limit_exceeded", message),)

    def _tokens_of(self, account: EmulatedAccount, batch: EmulatedBatch) -> int:
        content = None if batch.input_file is None else self.content_of(account, batch.input_file)
        # One that is refused takes no room, also while it is validated.
        refused = batch.plan.ending is Ending.FAILS
        return 0 if content is None or refused else _tokens(content)

    async def list_batches(self, request: Request) -> Response:
        """Batches, newest first."""
        batches = self.account(request).batches
        limit = read_number(request, "limit", default=20, highest=100)
        cursor = request.query_params.get("after")
        repeats = self._provider.listing.repeat_page
        after = None if cursor is None or repeats else batches.get(cursor)
        if cursor is not None and after is None and not repeats:
            raise ApiError(400, f"Invalid 'after': no batch with id '{cursor}'.", param="after")
        page = batches.page(limit, after=after)
        shown = [self.batch_shown(batch) for batch in page.batches]
        return JSONResponse(_list(shown, has_more=page.has_more or (repeats and bool(shown))))

    async def get_batch(self, request: Request) -> Response:
        """One batch."""
        return JSONResponse(self.batch_shown(self.batch(request)))

    async def cancel_batch(self, request: Request) -> Response:
        """Note a cancel; refused for a batch that has ended."""
        return JSONResponse(self.batch_shown(self.ask_cancel(request)))

    async def delete_batch(self, request: Request) -> Response:
        """Delete a batch, which OpenAI itself has no path for."""
        batch = self.batch(request)
        self.account(request).batches.remove(batch.id)
        return JSONResponse({"id": batch.id, "object": "batch", "deleted": True})

    def wrong_key(self, key: str) -> ApiError:
        """401, with a part of the key."""
        if not key:
            ask = "You need to provide your API key in an Authorization header."
            return ApiError(401, f"You didn't provide an API key. {ask}")
        shown = f"{key[:8]}{'*' * 8}{key[-4:]}" if len(key) > 16 else "*" * 8
        return ApiError(401, f"Incorrect API key provided: {shown}.", code="invalid_api_key")

    def late_cancel(self, batch: EmulatedBatch, status: int | None) -> ApiError:
        """409, unless it is to be another status."""
        word = self.batch_shown(batch)["status"]
        return ApiError(status or 409, f"Cannot cancel a batch with status '{word}'.")

    def _file(self, request: Request) -> tuple[EmulatedFile, bytes]:
        """A file that exists, and its content."""
        file, pieces = self._found(request)
        return file, b"".join(pieces)

    def _found(self, request: Request) -> tuple[EmulatedFile, Iterator[bytes]]:
        file_id = request.path_params["id"]
        file = self.account(request).files.get(file_id)
        pieces = None if file is None else self.file_pieces(file)
        if file is None or pieces is None:
            raise ApiError(404, f"No such File object: {file_id}", param="id")
        return file, pieces


ALL = 1_000_000


def _tokens(content: bytes) -> int:
    return -(-len(content.decode("utf-8", "replace")) // 4)


def _text(body: JsonObject, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise ApiError(400, f"Missing required parameter: '{name}'.", param=name)
    return value


def _read_metadata(body: JsonObject) -> dict[str, str]:
    metadata = body.get("metadata") or {}
    pairs, longest_key, longest_value = MAX_METADATA
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ApiError(400, "Invalid type for 'metadata': expected a map of strings.", param="metadata")
    if len(metadata) > pairs:
        raise ApiError(400, f"Invalid 'metadata': at most {pairs} pairs are allowed.", param="metadata")
    for key, value in metadata.items():
        if len(key) > longest_key or len(value) > longest_value:
            raise ApiError(400, f"Invalid 'metadata.{key[:longest_key]}': string too long.", param="metadata")
    return metadata


def _list(items: list[JsonObject], *, has_more: bool) -> JsonObject:
    return {
        "object": "list",
        "data": items,
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": has_more,
    }


def _unrouted(request: Request, status: int) -> ApiError:
    if status == 405:
        message = f"Not allowed to {request.method} on {request.url.path}."
        return ApiError(405, f"{message} (HINT: Perhaps you meant to use a different HTTP method?)")
    return ApiError(status, f"Invalid URL ({request.method} {request.url.path})")
