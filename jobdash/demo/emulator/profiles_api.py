"""Servers that speak OpenAI's API with differences: Azure, Groq, Novita, Together, OpenRouter."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, NoReturn

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jobdash.demo.emulator.batch import BatchFile, BatchRequests, EmulatedFile, Role, UploadedFile
from jobdash.demo.emulator.batch_plan import BatchScript, Phase
from jobdash.demo.emulator.openai_api import ALL, OpenAIHandlers, app_of
from jobdash.demo.emulator.openai_view import result_line
from jobdash.demo.emulator.web import ApiError, JsonObject, read_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.applications import Starlette
    from starlette.requests import Request

    from jobdash.demo.emulator.batch import EmulatedBatch
    from jobdash.demo.emulator.emulator import EmulatedAccount, EmulatedProvider

_AZURE_CODES = {"invalid_url": "url_mismatch", "mismatched_model": "model_mismatch"}
_NOVITA_WORDS = {Phase.IN_PROGRESS: "PROGRESS", Phase.FINALIZING: "PROGRESS"}


class _Azure(OpenAIHandlers):
    """Wants its key in ``api-key``, has words of its own for what is wrong with a file, and names an error
    file of every batch that has ended, with nothing in it where nothing failed.
    """

    key = staticmethod(lambda request: request.headers.get("api-key", "").strip())

    def batch_shown(self, batch: EmulatedBatch) -> JsonObject:
        shown = super().batch_shown(batch)
        if isinstance(errors := shown["errors"], dict):
            data = [
                error | {"code": _AZURE_CODES.get(error["code"], error["code"])} for error in errors["data"]
            ]
            shown["errors"] = errors | {"data": data}
        ended = self._provider.snapshot_of(batch).phase.terminal
        shown["error_file_id"] = self._provider.result_file(batch, Role.ERRORS) if ended else ""
        return shown

    def file_pieces(self, file: EmulatedFile) -> Iterator[bytes] | None:
        pieces = super().file_pieces(file)
        if pieces is not None or not isinstance(file, BatchFile) or file.role is not Role.ERRORS:
            return pieces
        ended = self._provider.snapshot_of(file.batch).phase.terminal
        return iter(()) if ended and not self._provider.is_deleted(file) else None


class _Groq(OpenAIHandlers):
    """Lists all batches in one answer, and takes windows up to a week."""

    windows = ("24h", "48h", "3d", "7d")

    async def list_batches(self, request: Request) -> Response:
        page = self.account(request).batches.page(ALL)
        return JSONResponse({"object": "list", "data": [self.batch_shown(batch) for batch in page.batches]})


class _Novita(OpenAIHandlers):
    """Has words in capitals, one of them its own; writes some times as texts and the others as objects."""

    windows = ("48h",)

    def batch_shown(self, batch: EmulatedBatch) -> JsonObject:
        shown = super().batch_shown(batch)
        phase = self._provider.snapshot_of(batch).phase
        word = self._provider.switches_of(batch).words.get(phase) or _NOVITA_WORDS.get(phase) or phase.upper()
        shown |= {"status": word, "completion_window": "48h", "version": 1, "remark": ""}
        for name, value in shown.items():
            if name.endswith("_at") and isinstance(value, int):
                moment = dt.datetime.fromtimestamp(value, dt.UTC).isoformat()
                shown[name] = moment if name == "created_at" else {"Time": moment, "Valid": True}
        shown["errors"] = _messages(shown)
        return shown


class _Together(OpenAIHandlers):
    """Takes a file in three steps; counts nothing, keeps no metadata, and lists batches as an array."""

    def __init__(self, provider: EmulatedProvider, accepts: Callable[[str], bool]) -> None:
        super().__init__(provider, accepts)
        self._places: dict[str, tuple[EmulatedAccount, str]] = {}
        """By id of a file to come, whose it is and what it is called."""

    async def create_file(self, request: Request) -> Response:
        account, form = self.account(request), await request.form()
        name, purpose = form.get("file_name"), form.get("purpose")
        if not isinstance(name, str) or purpose != "batch-api":
            raise ApiError(
                400, "Missing required parameter: 'file_name', or a purpose that is not 'batch-api'."
            )
        file_id = self._provider.new_file_id()
        self._places[file_id] = account, name
        headers = {"location": f"/together/store/{file_id}", "x-together-file-id": file_id}
        return Response("Found", 302, headers)

    async def put_file(self, request: Request) -> Response:
        """Take the content of a file, as a store of files does: without a key."""
        file_id = request.path_params["id"]
        if "authorization" in request.headers:
            raise ApiError(400, "Only one auth mechanism allowed.")
        account, name = self._places.get(file_id) or self._missing(file_id)
        content, now = await request.body(), self._provider.clock.now()
        account.files.add(UploadedFile(file_id, name, now, content, "batch-api"))
        return Response(status_code=200)

    async def preprocess(self, request: Request) -> Response:
        """Look through a file that was sent."""
        return await self.get_file(request)

    def _missing(self, file_id: str) -> NoReturn:
        raise ApiError(404, f"No such file: {file_id}")

    async def create_batch(self, request: Request) -> Response:
        made = await super().create_batch(request)
        return JSONResponse({"job": json.loads(bytes(made.body)), "warning": ""})

    async def list_batches(self, request: Request) -> Response:
        page = self.account(request).batches.page(ALL)
        return JSONResponse([self.batch_shown(batch) for batch in page.batches] or None)

    def batch_shown(self, batch: EmulatedBatch) -> JsonObject:
        shown, snapshot = super().batch_shown(batch), self._provider.snapshot_of(batch)
        phase = snapshot.phase
        word = Phase.IN_PROGRESS if phase in {Phase.FINALIZING, Phase.CANCELLING} else phase
        return {
            "id": batch.id,
            "status": self._provider.switches_of(batch).words.get(phase) or word.upper(),
            "endpoint": shown["endpoint"],
            "model_id": shown["model"],
            "input_file_id": shown["input_file_id"],
            "output_file_id": shown["output_file_id"],
            "error_file_id": shown["error_file_id"],
            "progress": 100 * snapshot.processed / max(1, snapshot.total),
            "created_at": _text_time(shown["created_at"]),
            "completed_at": _text_time(_ended_at(shown)),
            "job_deadline": _text_time(shown["expires_at"]),
            "error": _messages(shown),
        }


class _OpenRouter(OpenAIHandlers):
    """Has requests and results in the batch, no files, no cancel and no metadata; deletes what has ended."""

    async def create_batch(self, request: Request) -> Response:
        self.account(request)
        wanted = await read_object(request)
        names = list(wanted)
        requests, model, endpoint = (wanted.get(name) for name in ("requests", "model", "endpoint"))
        if not isinstance(requests, list) or not requests or len(requests) > MOST_INLINE:
            raise ApiError(400, f"requests: between 1 and {MOST_INLINE:,}")
        if not isinstance(model, str) or not isinstance(endpoint, str) or names[-1] != "requests":
            raise ApiError(400, "endpoint and model are required, in front of requests")
        ids = tuple(dict.fromkeys(str(each.get("custom_id")) for each in requests if "body" in each))
        if len(ids) < len(requests):
            raise ApiError(400, "every request has a custom_id of its own, and a body")
        script = BatchScript(model=model, endpoint=endpoint, inline=True, plan=self._provider.plan)
        batch = self._provider.create(self.key(request), script, BatchRequests(len(ids), ids), None)
        return JSONResponse(self.batch_shown(batch), 202)

    async def get_batch(self, request: Request) -> Response:
        batch = self.batch(request)
        shown, snapshot = self.batch_shown(batch), self._provider.snapshot_of(batch)
        switches = self._provider.switches_of(batch)
        if snapshot.phase.terminal:
            outcomes = batch.answers(snapshot, switches)
            shown["results"] = [result_line(batch, outcome, switches) for outcome in outcomes]
        return JSONResponse(shown)

    async def delete_batch(self, request: Request) -> Response:
        """Delete a batch that has ended."""
        batch = self.batch(request)
        if not self._provider.snapshot_of(batch).phase.terminal:
            raise ApiError(409, f"Batch {batch.id} is still in progress.")
        return await super().delete_batch(request)

    async def no_cancel(self, request: Request) -> Response:
        """Refuse."""
        raise ApiError(404, f"Not found: {request.url.path}")

    cancel_batch = create_file = list_files = no_cancel

    def batch_shown(self, batch: EmulatedBatch) -> JsonObject:
        shown, snapshot = super().batch_shown(batch), self._provider.snapshot_of(batch)
        kept = ("id", "object", "endpoint", "model", "status", "created_at", "completion_window", "usage")
        counts = {"total": snapshot.total, "completed": snapshot.succeeded, "failed": snapshot.failed}
        errors = shown["errors"]
        failed = (
            {"message": errors["data"][0]["message"]} if isinstance(errors, dict) and errors["data"] else None
        )
        usage = shown["usage"]
        spent = {"usage": usage | {"cost": _paid(usage)}} if isinstance(usage, dict) else {}
        return {name: shown[name] for name in kept} | {
            **spent,
            "request_counts": None if shown["request_counts"] is None else counts,
            "finalized_at": _ended_at(shown),
            "error": failed,
            "results": None,
        }


def _paid(usage: JsonObject) -> float:
    """Return what a batch costs at OpenRouter, in dollars: here half a dollar for a million tokens."""
    tokens = usage.get("total_tokens")
    return 0.5e-6 * tokens if isinstance(tokens, int) else 0.0


MOST_INLINE = 5_000
_ENDED = ("completed_at", "failed_at", "expired_at", "cancelled_at")


def _ended_at(shown: JsonObject) -> object:
    return next((shown[name] for name in _ENDED if shown[name] is not None), None)


def _messages(shown: JsonObject) -> str | None:
    """The errors of a batch as one text."""
    errors = shown["errors"]
    return "; ".join(each["message"] for each in errors["data"]) if isinstance(errors, dict) else None


def _text_time(value: object) -> str | None:
    return dt.datetime.fromtimestamp(value, dt.UTC).isoformat() if isinstance(value, int) else None


_HANDLERS = {
    "azure": _Azure,
    "groq": _Groq,
    "novita": _Novita,
    "together": _Together,
    "openrouter": _OpenRouter,
}
ROOT = "openai/v1"
"""The path of the API, behind the name of the profile."""
KEYS = {name: handlers.key for name, handlers in _HANDLERS.items()}


def profile_app(name: str, provider: EmulatedProvider, accepts: Callable[[str], bool]) -> Starlette:
    """The application of a profile; `accepts` decides which keys are good."""
    api, root = _HANDLERS[name](provider, accepts), f"/{name}/{ROOT}"
    more: list[Route] = []
    if isinstance(api, _Together):
        more.append(Route("/together/store/{id}", api.put_file, methods=["PUT"]))
        more.append(Route(f"{root}/files/{{id}}/preprocess", api.preprocess, methods=["POST"]))
    if isinstance(api, _OpenRouter):
        more.append(Route(f"{root}/batches/{{id}}", api.delete_batch, methods=["DELETE"]))
    return app_of(api, root, *more)
