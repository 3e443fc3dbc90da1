"""Gemini's HTTP API (Developer API, v1 and v1beta), as far as batches need it: upload, files, batches."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jobdash.demo.emulator.batch import BatchRequests, EmulatedFile, UploadedFile
from jobdash.demo.emulator.batch_plan import BatchScript, Ending, LineError
from jobdash.demo.emulator.gemini_view import file_content, file_json, is_embedding, operation_json
from jobdash.demo.emulator.web import (
    ApiError,
    ApiHandlers,
    JsonObject,
    api_app,
    gemini_form,
    parse_object,
    read_number,
    read_object,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.applications import Starlette
    from starlette.requests import Request

    from jobdash.demo.emulator.batch import EmulatedBatch
    from jobdash.demo.emulator.emulator import EmulatedProvider

MODELS = ("gemini-x-flash", "gemini-x-pro", "gemini-x-embedding")
LONGEST_FILE_ID = 40
_KEY_HEADER = "x-goog-api-key"


def read_file(content: bytes, *, embeddings: bool = False) -> tuple[BatchRequests, tuple[LineError, ...]]:
    """The requests of an input file, and what is wrong with it."""
    wrong, without = ("contents", "content") if embeddings else ("content", "contents")
    keys: list[str] = []
    errors: list[LineError] = []
    for number, line in enumerate(content.splitlines(), start=1):
        item = parse_object(line)
        request = None if item is None else item.get("request")
        if item is None or not isinstance(request, dict):
            errors.append(LineError("INVALID_ARGUMENT", "not a JSON object with a request", number))
        elif wrong in request and without not in request:
            errors.append(LineError("INVALID_ARGUMENT", f'Unknown name "{wrong}" at request', number))
        else:
            keys.append(str(item.get("key", "")))
    if not keys and not errors:
        errors.append(LineError("INVALID_ARGUMENT", "the input file is empty"))
    return BatchRequests(len(keys), tuple(keys)), tuple(errors)


def read_inline(config: dict[str, object]) -> BatchRequests:
    """The requests of an `inputConfig`; `metadata` of each goes back with its response."""
    outer = config.get("requests")
    items = outer.get("requests") if isinstance(outer, dict) else None
    if not isinstance(items, list) or not items:
        raise ApiError(400, "The batch has neither a file nor requests.")
    metadata = tuple(item.get("metadata") if isinstance(item, dict) else None for item in items)
    return BatchRequests(len(items), metadata=metadata)


@dataclass(slots=True)
class UploadSession:
    """An upload under way, in the account whose key started it."""

    key: str
    display_name: str
    mime_type: str
    wanted_id: str | None
    content: bytearray = field(default_factory=bytearray)

    def receive(self, command: str, offset: str, piece: bytes) -> bool:
        """Take a piece; True with the last one."""
        commands = {word.strip() for word in command.split(",")}
        if not commands or commands - {"upload", "finalize"}:
            raise ApiError(400, f"Unknown upload command: '{command}'.")
        if "upload" in commands:
            if offset != str(len(self.content)):
                raise ApiError(400, f"The offset is {offset}; {len(self.content)} bytes were received.")
            self.content += piece
        return "finalize" in commands


def gemini_app(provider: EmulatedProvider, accepts: Callable[[str], bool]) -> Starlette:
    """The application; `accepts` decides which keys are good."""
    api = _Gemini(provider, accepts)
    routes = []
    for version in ("v1", "v1beta"):
        routes += [
            Route(f"/upload/{version}/files", api.upload, methods=["POST"]),
            Route(f"/download/{version}/files/{{id}}:download", api.download),
            Route(f"/{version}/files/{{id}}:download", api.download),
            Route(f"/{version}/files", api.list_files, methods=["GET"]),
            Route(f"/{version}/files/{{id}}", api.get_file, methods=["GET"]),
            Route(f"/{version}/files/{{id}}", api.delete_file, methods=["DELETE"]),
            Route(f"/{version}/models", api.list_models),
            Route(f"/{version}/models/{{model}}:batchGenerateContent", api.create_batch, methods=["POST"]),
            Route(
                f"/{version}/models/{{model}}:asyncBatchEmbedContent", api.create_embeddings, methods=["POST"]
            ),
            Route(f"/{version}/batches", api.list_batches),
            Route(f"/{version}/batches/{{id}}:cancel", api.cancel_batch, methods=["POST"]),
            Route(f"/{version}/batches/{{id}}", api.get_batch, methods=["GET"]),
            Route(f"/{version}/batches/{{id}}", api.delete_batch, methods=["DELETE"]),
        ]
    return api_app(routes, gemini_form, _unrouted)


def presented_key(request: Request) -> str:
    """The API key, from the header or the query."""
    return request.headers.get(_KEY_HEADER) or request.query_params.get("key", "")


class _Gemini(ApiHandlers):
    """The handlers."""

    key = staticmethod(presented_key)
    batch_prefix = "batches/"
    no_batch = "Requested entity was not found."

    def __init__(self, provider: EmulatedProvider, accepts: Callable[[str], bool]) -> None:
        super().__init__(provider, accepts)
        self._uploads: dict[str, UploadSession] = {}
        """The uploads under way, by the id in their URL."""

    def file_content(self, file: EmulatedFile) -> bytes | None:
        return file_content(self._provider, file)

    async def list_models(self, request: Request) -> Response:
        self.account(request)
        return JSONResponse({"models": [{"name": f"models/{name}", "displayName": name} for name in MODELS]})

    async def upload(self, request: Request) -> Response:
        """Both steps of a resumable upload come to the same path; the second one has an id."""
        upload_id = request.query_params.get("upload_id")
        if upload_id is None:
            return await self._start_upload(request)
        headers = request.headers
        session = self._uploads.get(upload_id)
        if session is None:
            raise ApiError(404, "The upload is unknown or was finalized.")
        command, offset = headers.get("x-goog-upload-command", ""), headers.get("x-goog-upload-offset", "")
        if not session.receive(command, offset, await request.body()):
            return Response(headers={"X-Goog-Upload-Status": "active"})
        del self._uploads[upload_id]
        file = UploadedFile(
            id=session.wanted_id or self._provider.new_file_id(),
            name=session.display_name,
            created=self._provider.clock.now(),
            content=bytes(session.content),
            mime_type=session.mime_type,
        )
        self._provider.account(session.key).files.add(file)
        shown = file_json(self._provider, file, file.content, _base_url(request))
        return JSONResponse({"file": shown}, headers={"X-Goog-Upload-Status": "final"})

    async def list_files(self, request: Request) -> Response:
        files = self.account(request).files
        limit = read_number(request, "pageSize", default=10, highest=100)
        found = self.existing(files.newest_first(after=request.query_params.get("pageToken")))
        base_url = _base_url(request)
        shown = [file_json(self._provider, *each, base_url) for each in islice(found, limit + 1)]
        answer: JsonObject = {"files": shown[:limit]}
        if len(shown) > limit:
            answer["nextPageToken"] = shown[limit - 1]["name"]
        return JSONResponse(answer)

    async def get_file(self, request: Request) -> Response:
        return JSONResponse(file_json(self._provider, *self._file(request), _base_url(request)))

    async def delete_file(self, request: Request) -> Response:
        if len(request.path_params["id"]) > LONGEST_FILE_ID:
            limit = f"File ID (name excluding 'files/') cannot be more than {LONGEST_FILE_ID} characters."
            raise ApiError(400, f"* DeleteFileRequest.name: {limit}\n")
        file, _ = self._file(request)
        self.account(request).files.remove(file.id)
        return JSONResponse({})

    async def download(self, request: Request) -> Response:
        file, content = self._file(request)
        if isinstance(file, UploadedFile):
            raise ApiError(400, "Only generated files can be downloaded.")
        return Response(content, media_type="application/octet-stream")

    async def create_batch(self, request: Request) -> Response:
        return await self._create(request, "batchGenerateContent", embeddings=False)

    async def create_embeddings(self, request: Request) -> Response:
        return await self._create(request, "asyncBatchEmbedContent", embeddings=True)

    async def _create(self, request: Request, method: str, *, embeddings: bool) -> Response:
        account = self.account(request)
        model = str(request.path_params["model"])
        if is_embedding(model) is not embeddings:
            unknown = "is not found for API version v1beta, or is not supported for"
            raise ApiError(404, f"models/{model} {unknown} {method}.")
        batch_wanted = _object(await read_object(request), "batch")
        config = _object(batch_wanted, "inputConfig")
        plan, file_name = self._provider.plan, config.get("fileName")
        if isinstance(file_name, str):
            content = self.content_of(account, file_name)
            if content is None:
                raise ApiError(404, f"File not found: {file_name}.")
            requests, errors = read_file(content, embeddings=embeddings)
            if errors:
                plan = replace(plan, ending=Ending.FAILS, line_errors=errors)
        else:
            requests = read_inline(config)
        script = BatchScript(
            name=str(batch_wanted.get("displayName", "")),
            model=model,
            inline=not isinstance(file_name, str),
            plan=plan,
        )
        input_file = file_name if isinstance(file_name, str) else None
        batch = self._provider.create(presented_key(request), script, requests, input_file)
        return JSONResponse(operation_json(self._provider, batch))

    async def list_batches(self, request: Request) -> Response:
        batches = self.account(request).batches
        limit = read_number(request, "pageSize", default=50, highest=100)
        listing, cursor = self._provider.listing, _cursor(request.query_params.get("pageToken"))
        if isinstance(cursor, int) and cursor < listing.empty_pages:
            return JSONResponse({"nextPageToken": _token(cursor + 1)})
        after = None if isinstance(cursor, int) or listing.repeat_page else batches.get(cursor)
        if isinstance(cursor, str) and after is None and not listing.repeat_page:
            raise ApiError(400, "Invalid page token.")
        page = batches.page(limit, after=after)
        answer: JsonObject = {}
        if page.batches:
            answer["operations"] = [
                operation_json(self._provider, batch, listed=True) for batch in page.batches
            ]
            if page.has_more or listing.repeat_page:
                answer["nextPageToken"] = _token(page.batches[-1].id)
        return JSONResponse(answer)

    async def get_batch(self, request: Request) -> Response:
        return JSONResponse(operation_json(self._provider, self.batch(request)))

    async def cancel_batch(self, request: Request) -> Response:
        self.ask_cancel(request)
        return JSONResponse({})

    async def delete_batch(self, request: Request) -> Response:
        batch = self.batch(request)
        self.account(request).batches.remove(batch.id)
        return JSONResponse({})

    async def _start_upload(self, request: Request) -> Response:
        self.account(request)
        if request.headers.get("x-goog-upload-command") != "start":
            raise ApiError(400, "An upload begins with the command 'start'.")
        file = (await read_object(request)).get("file")
        wanted = file if isinstance(file, dict) else {}
        name = wanted.get("displayName", wanted.get("display_name", ""))
        upload_id = self._provider.ids.word("upload", 32)
        self._uploads[upload_id] = UploadSession(
            key=presented_key(request),
            display_name=str(name),  # protobuf takes both spellings, and the SDK sends the second
            mime_type=request.headers.get("x-goog-upload-header-content-type", ""),
            wanted_id=wanted.get("name"),
        )
        url = request.url.include_query_params(upload_id=upload_id, upload_protocol="resumable")
        return JSONResponse({}, headers={"X-Goog-Upload-URL": str(url), "X-Goog-Upload-Status": "active"})

    def wrong_key(self, key: str) -> ApiError:
        if not key:
            return ApiError(403, "Method doesn't allow unregistered callers. Please use API Key.")
        return ApiError(400, "API key not valid. Please pass a valid API key.", code="API_KEY_INVALID")

    def late_cancel(self, batch: EmulatedBatch, status: int | None) -> ApiError:
        word = "FAILED_PRECONDITION" if status in {None, 400} else None
        return ApiError(status or 400, f"The batch {batch.id} has already finished.", status_word=word)

    def _file(self, request: Request) -> tuple[EmulatedFile, bytes]:
        """A file that exists, and its content."""
        file_id = request.path_params["id"]
        file = self.account(request).files.get(f"files/{file_id}")
        content = None if file is None else self.file_content(file)
        if file is None or content is None:
            message = f"You do not have permission to access the File {file_id} or it may not exist."
            raise ApiError(403, message)
        return file, content


def _base_url(request: Request) -> str:
    """Scheme, host and version, in front of a resource's name."""
    version = "v1beta" if "/v1beta/" in request.url.path else "v1"
    return f"{request.url.scheme}://{request.url.netloc}/{version}"


def _object(body: JsonObject, name: str) -> JsonObject:
    value = body.get(name)
    if not isinstance(value, dict):
        raise ApiError(400, f"The field '{name}' is required.")
    return value


def _token(cursor: str | int) -> str:
    """Opaque, as tokens are, lest a client make one up.

    The cursor is the last batch of the page before, or the number of empty pages given so far.
    """
    return base64.urlsafe_b64encode(json.dumps({"after": cursor}).encode()).decode()


def _cursor(token: str | None) -> str | int:
    if token is None:
        return 0
    try:
        cursor = json.loads(base64.urlsafe_b64decode(token))["after"]
    except (ValueError, KeyError, TypeError):
        cursor = None
    if not isinstance(cursor, str | int):
        raise ApiError(400, "Invalid page token.")
    return cursor


def _unrouted(request: Request, status: int) -> ApiError:
    return ApiError(status, f"The requested URL {request.url.path} was not found on this server.")
