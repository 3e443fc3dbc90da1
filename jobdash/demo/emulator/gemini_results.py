"""The lines of Gemini's batch files, and responses that stand in the batch itself."""

from __future__ import annotations

from collections.abc import Iterator

from jobdash.demo.emulator.batch import Batch, RequestOutcome
from jobdash.demo.emulator.batch_plan import BatchFailure, Switches
from jobdash.demo.emulator.errors import JsonObject
from jobdash.demo.emulator.files import Role
from jobdash.demo.emulator.gemini_input import is_embedding
from jobdash.demo.emulator.ids import derived
from jobdash.demo.emulator.lines import to_jsonl
from jobdash.demo.emulator.timeline import BatchSnapshot

_RPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 500: 13, 503: 14}
"""google.rpc.Code by HTTP status."""


def render(batch: Batch, snapshot: BatchSnapshot, role: Role, switches: Switches) -> bytes:
    """The whole file."""
    if role is Role.INPUT:
        return to_jsonl((_request(batch, index) for index in range(batch.requests.count)), Switches())
    return to_jsonl(_results(batch, snapshot, switches), switches)


def inline_responses(batch: Batch, snapshot: BatchSnapshot, switches: Switches) -> list[JsonObject]:
    """What a batch of inline requests answers, with the metadata that came with each request."""
    metadata = batch.requests.metadata
    responses = []
    for outcome in batch.outcomes(snapshot, shuffled=switches.shuffled):
        response = _result(batch, outcome, switches)
        own: object = (
            {"key": batch.requests.id(outcome.index)} if metadata is None else metadata[outcome.index]
        )
        if own is not None:
            response["metadata"] = own
        responses.append(response)
    return responses


def _results(batch: Batch, snapshot: BatchSnapshot, switches: Switches) -> Iterator[JsonObject]:
    for outcome in batch.outcomes(snapshot, shuffled=switches.shuffled):
        yield {"key": batch.requests.id(outcome.index), **_result(batch, outcome, switches)}


def _result(batch: Batch, outcome: RequestOutcome, switches: Switches) -> JsonObject:
    if outcome.expired:
        return {"error": {"code": 4, "message": "The batch expired before this request was processed."}}
    if outcome.failure is not None:
        return {"error": _status(outcome.failure, details=switches.detail_objects)}
    key = batch.requests.id(outcome.index)
    if is_embedding(batch.script.model):
        return {"response": {"embedding": {"values": [0.1, -0.2, 0.3]}, "tokenCount": "4"}}
    content = {"role": "model", "parts": [{"text": f"An answer to {key}."}]}
    response: JsonObject = {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 30, "totalTokenCount": 50},
        "modelVersion": batch.script.model,
        "responseId": derived(f"{batch.id}/{key}", 22),
    }
    return {"response": response}


def _status(failure: BatchFailure, *, details: bool) -> JsonObject:
    status: JsonObject = {"code": _RPC_CODES.get(failure.status, 2), "message": failure.message}
    if details:
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": failure.code.upper()}
        status["details"] = [info]
    return status


def _request(batch: Batch, index: int) -> JsonObject:
    key = batch.requests.id(index)
    if is_embedding(batch.script.model):
        return {"key": key, "request": {"content": {"parts": [{"text": f"What about {key}?"}]}}}
    contents = [{"role": "user", "parts": [{"text": f"What about {key}?"}]}]
    return {"key": key, "request": {"contents": contents}}
