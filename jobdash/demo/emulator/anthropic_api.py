"""Anthropic's HTTP API, as far as batches need it, and the list of models."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator
from itertools import takewhile
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jobdash.demo.emulator.batch import INPUT_TOKENS, OUTPUT_TOKENS, BatchIndex, BatchRequests, EmulatedBatch
from jobdash.demo.emulator.batch_plan import BatchScript, Phase
from jobdash.demo.emulator.emulator import HOUR, EmulatedAccount, EmulatedProvider, derived
from jobdash.demo.emulator.timeline import BatchSnapshot
from jobdash.demo.emulator.web import (
    ApiError,
    ApiHandlers,
    JsonObject,
    anthropic_form,
    api_app,
    bearer_key,
    jsonl_pieces,
    read_number,
    read_object,
    streamed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.applications import Starlette
    from starlette.requests import Request


MODELS = ("claude-x", "claude-x-mini")
MAX_REQUESTS = 100_000
_VERSION = re.compile(r"20\d\d-\d\d-\d\d")
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
KEPT = 29 * 24 * HOUR
"""Seconds from a batch's creation for which its results are kept."""


def anthropic_app(provider: EmulatedProvider, accepts: Callable[[str], bool]) -> Starlette:
    """The application; `accepts` decides which keys are good."""
    api = _Anthropic(provider, accepts)
    batches = "/v1/messages/batches"
    routes = [
        Route("/v1/models", api.list_models),
        Route(batches, api.list_batches, methods=["GET"]),
        Route(batches, api.create_batch, methods=["POST"]),
        Route(f"{batches}/{{id}}", api.get_batch, methods=["GET"]),
        Route(f"{batches}/{{id}}", api.delete_batch, methods=["DELETE"]),
        Route(f"{batches}/{{id}}/cancel", api.cancel_batch, methods=["POST"]),
        Route(f"{batches}/{{id}}/results", api.get_results),
    ]
    return api_app(routes, anthropic_form, lambda _request, status: ApiError(status, "Not Found"))


def presented_key(request: Request) -> str:
    """The API key: of its own header, as the documentation has it, or of the one that the SDK sends."""
    return request.headers.get("x-api-key", "").strip() or bearer_key(request)


def is_meant(request: Request) -> bool:
    """Whether a request is for this API, whose paths are others' as well."""
    headers = request.headers.keys()
    return request.url.path.startswith("/v1/messages/") or "anthropic-version" in headers


class _Anthropic(ApiHandlers):
    """The handlers."""

    key = staticmethod(presented_key)
    no_batch = "Batch {} not found"

    async def list_models(self, request: Request) -> Response:
        self.account(request)
        models: list[JsonObject] = [
            {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
            for name in MODELS
        ]
        return JSONResponse(_page(models, has_more=False))

    async def create_batch(self, request: Request) -> Response:
        self.account(request)
        requests, model = read_requests(await read_object(request))
        script = BatchScript(model=model, endpoint="/v1/messages", inline=True, plan=self._provider.plan)
        batch = self._provider.create(self.key(request), script, requests, None)
        return JSONResponse(self._shown(request, batch))

    async def list_batches(self, request: Request) -> Response:
        batches = self.account(request).batches
        limit = read_number(request, "limit", default=20, highest=1000)
        repeats = self._provider.listing.repeat_page
        older, newer = (request.query_params.get(name) for name in ("after_id", "before_id"))
        if newer is not None:
            found, more = _before(batches, _known(batches, newer), limit)
        else:
            after = None if older is None or repeats else _known(batches, older)
            page = batches.page(limit, after=after)
            found, more = list(page.batches), page.has_more or (repeats and bool(page.batches))
        return JSONResponse(_page([self._shown(request, batch) for batch in found], has_more=more))

    async def get_batch(self, request: Request) -> Response:
        return JSONResponse(self._shown(request, self.batch(request)))

    async def cancel_batch(self, request: Request) -> Response:
        return JSONResponse(self._shown(request, self.ask_cancel(request)))

    async def delete_batch(self, request: Request) -> Response:
        batch = self.batch(request)
        if not self._provider.snapshot_of(batch).phase.terminal:
            raise ApiError(400, f"Batch {batch.id} cannot be deleted: its processing has not ended.")
        self.account(request).batches.remove(batch.id)
        return JSONResponse({"id": batch.id, "type": "message_batch_deleted"})

    async def get_results(self, request: Request) -> Response:
        batch = self.batch(request)
        if not self._provider.snapshot_of(batch).phase.terminal:
            raise ApiError(404, f"Batch {batch.id} has no available results.")
        if archived_at(self._provider, batch) is not None:
            raise ApiError(404, f"Batch {batch.id} is archived: its results are not available any more.")
        return streamed(results(self._provider, batch), "application/x-jsonl")

    def _shown(self, request: Request, batch: EmulatedBatch) -> JsonObject:
        return batch_json(self._provider, batch, f"{request.url.scheme}://{request.url.netloc}")

    def account(self, request: Request) -> EmulatedAccount:
        """The account of the presented key; 401 without one that is accepted, 400 without a version."""
        account = super().account(request)
        if _VERSION.fullmatch(request.headers.get("anthropic-version", "")) is None:
            raise ApiError(400, "anthropic-version: header is required")
        return account

    def batch(self, request: Request) -> EmulatedBatch:
        batch = super().batch(request)
        if self._hidden(batch):
            raise ApiError(404, self.no_batch.format(batch.id))
        return batch

    def wrong_key(self, key: str) -> ApiError:
        return ApiError(401, "invalid x-api-key" if key else "x-api-key header is required")

    def late_cancel(self, batch: EmulatedBatch, status: int | None) -> ApiError:
        return ApiError(status or 400, f"Batch {batch.id} cannot be canceled: its processing has ended.")

    def _hidden(self, batch: EmulatedBatch) -> bool:
        """Whether a batch is not found now, for a while."""
        lasting = self._provider.switches_of(batch).not_found_for
        if not lasting:
            return False
        snapshot, now = self._provider.snapshot_of(batch), self._provider.clock.now()
        ended = snapshot.entered[snapshot.phase] if snapshot.phase.terminal else batch.created
        return now - batch.created < lasting or (snapshot.phase.terminal and now - ended < lasting)


def read_requests(body: JsonObject) -> tuple[BatchRequests, str]:
    """The requests of a batch, and the first model; a batch with a wrong one is refused whole."""
    requests = body.get("requests")
    if not isinstance(requests, list) or not requests:
        raise ApiError(400, "requests: Field required")
    if len(requests) > MAX_REQUESTS:
        raise ApiError(400, f"requests: List should have at most {MAX_REQUESTS} items")
    ids: dict[str, None] = {}
    model = ""
    for number, request in enumerate(requests):
        entry = request if isinstance(request, dict) else {}
        custom_id, params = entry.get("custom_id"), entry.get("params")
        if not isinstance(custom_id, str) or _CUSTOM_ID.fullmatch(custom_id) is None:
            raise ApiError(400, f"requests.{number}.custom_id: String should match '^[a-zA-Z0-9_-]{{1,64}}$'")
        if custom_id in ids:
            raise ApiError(400, f"requests.{number}.custom_id: duplicate of an earlier request")
        if not isinstance(params, dict):
            raise ApiError(400, f"requests.{number}.params: Field required")
        for name in ("model", "max_tokens", "messages"):
            if name not in params:
                raise ApiError(400, f"requests.{number}.params.{name}: Field required")
        if params.get("stream"):
            raise ApiError(400, f"requests.{number}.params.stream: batches are not streamed")
        ids[custom_id] = None
        model = model or str(params["model"])
    return BatchRequests(len(ids), tuple(ids)), model


def _known(batches: BatchIndex, batch_id: str) -> EmulatedBatch:
    batch = batches.get(batch_id)
    if batch is None:
        raise ApiError(400, f"Invalid cursor: no batch {batch_id}")
    return batch


def _before(batches: BatchIndex, cursor: EmulatedBatch, limit: int) -> tuple[list[EmulatedBatch], bool]:
    """The `limit` batches right before one in the list, which are newer, and whether there are more."""
    newer = list(takewhile(lambda batch: batch is not cursor, batches.page(len(batches)).batches))
    return newer[-limit:], len(newer) > limit


def _page(items: list[JsonObject], *, has_more: bool) -> JsonObject:
    return {
        "data": items,
        "has_more": has_more,
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
    }


def batch_json(provider: EmulatedProvider, batch: EmulatedBatch, base_url: str) -> JsonObject:
    """The batch object; the address of its results begins with `base_url`."""
    snapshot, switches = provider.snapshot_of(batch), provider.switches_of(batch)
    ended, expires = snapshot.phase.terminal, provider.expires(batch)
    archived = archived_at(provider, batch) if ended else None
    word = "ended" if ended else "canceling" if snapshot.phase is Phase.CANCELLING else "in_progress"
    asked = snapshot.entered.get(Phase.CANCELLING)
    has_results = ended and archived is None
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": switches.words.get(snapshot.phase, word),
        "request_counts": None if switches.null_counts else _counts(snapshot),
        "created_at": timestamp(batch.created),
        # A window without end has no date.
        "expires_at": timestamp(expires if math.isfinite(expires) else batch.created + 365 * 24 * HOUR),
        "ended_at": timestamp(snapshot.entered[snapshot.phase]) if ended else None,
        "cancel_initiated_at": None if asked is None else timestamp(asked),
        "archived_at": None if archived is None else timestamp(archived),
        "results_url": f"{base_url}/v1/messages/batches/{batch.id}/results" if has_results else None,
    }


def archived_at(provider: EmulatedProvider, batch: EmulatedBatch) -> float | None:
    """When the results of an ended batch went, in seconds since the epoch; None while they are kept."""
    kept = provider.switches_of(batch).results_kept
    moment = batch.created + (KEPT if kept is None else kept)
    return moment if provider.clock.now() >= moment else None


def _counts(snapshot: BatchSnapshot) -> JsonObject:
    """All of them are being processed until the batch has ended."""
    left = snapshot.total - snapshot.processed
    phase = snapshot.phase
    if not phase.terminal:
        return _tally(processing=snapshot.total)
    if phase is Phase.FAILED:  # there is no such end: each request fails
        return _tally(errored=snapshot.total)
    rest = {"canceled": left} if phase is Phase.CANCELLED else {"expired": left}
    return _tally(succeeded=snapshot.succeeded, errored=snapshot.failed, **rest)


def _tally(**counts: int) -> JsonObject:
    names = ("processing", "succeeded", "errored", "canceled", "expired")
    return {name: counts.get(name, 0) for name in names}


def results(provider: EmulatedProvider, batch: EmulatedBatch) -> Iterator[bytes]:
    """The lines of an ended batch: one for each request, whatever it came to."""
    return jsonl_pieces(_lines(provider, batch), provider.switches_of(batch))


def _lines(provider: EmulatedProvider, batch: EmulatedBatch) -> Iterator[JsonObject]:
    snapshot = provider.snapshot_of(batch)
    if snapshot.phase is Phase.FAILED:
        why = "; ".join(error.message for error in batch.plan.line_errors) or "Invalid request"
        for index in range(snapshot.total):
            yield _line(batch.requests.id(index), _errored(ApiError(400, why)))
        return
    for outcome in batch.answers(snapshot, provider.switches_of(batch)):
        key = outcome.key or batch.requests.id(outcome.index)
        failure = outcome.failure
        if outcome.expired:
            yield _line(key, {"type": "expired"})
        elif failure is not None:
            # Codes of plans are OpenAI's; the status alone has an equivalent here.
            yield _line(key, _errored(ApiError(failure.status, failure.message)))
        else:
            yield _line(key, {"type": "succeeded", "message": _message(batch, key, outcome.cut_off)})
    if snapshot.phase is Phase.CANCELLED:
        for index in range(snapshot.processed, snapshot.total):
            yield _line(batch.requests.id(index), {"type": "canceled"})


def _line(custom_id: str, result: JsonObject) -> JsonObject:
    return {"custom_id": custom_id, "result": result}


def _errored(error: ApiError) -> JsonObject:
    return {"type": "errored", "error": anthropic_form(error)}


def _message(batch: EmulatedBatch, key: str, cut_off: bool) -> JsonObject:
    return {
        "id": "msg_" + derived(f"{batch.id}/{key}", 24),
        "type": "message",
        "role": "assistant",
        "model": batch.script.model,
        "content": [{"type": "text", "text": f"An answer to {key}."}],
        "stop_reason": "max_tokens" if cut_off else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": OUTPUT_TOKENS,
            "service_tier": "batch",
        },
    }


def timestamp(moment: float) -> str:
    """RFC 3339 in UTC with microseconds."""
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat()
