"""The lines of OpenAI's batch files: input, output and errors."""

from __future__ import annotations

import json
from collections.abc import Iterator

from jobdash.demo.emulator.batch import Batch, RequestOutcome
from jobdash.demo.emulator.batch_plan import BatchFailure, Switches
from jobdash.demo.emulator.errors import ApiError, JsonObject, openai_form
from jobdash.demo.emulator.files import Role
from jobdash.demo.emulator.ids import derived
from jobdash.demo.emulator.lines import to_jsonl
from jobdash.demo.emulator.timeline import BatchSnapshot

_EXPIRED: JsonObject = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}


def render(batch: Batch, snapshot: BatchSnapshot, role: Role, switches: Switches) -> bytes:
    """The whole file."""
    if role is Role.INPUT:
        return to_jsonl((_request(batch, index) for index in range(batch.requests.count)), Switches())
    return to_jsonl(_results(batch, snapshot, role, switches), switches)


def _results(batch: Batch, snapshot: BatchSnapshot, role: Role, switches: Switches) -> Iterator[JsonObject]:
    for outcome in batch.outcomes(snapshot, shuffled=switches.shuffled):
        answered = outcome.failure is None and not outcome.expired
        if answered == (role is Role.OUTPUT):
            yield _line(batch, outcome, switches)


def _line(batch: Batch, outcome: RequestOutcome, switches: Switches) -> JsonObject:
    custom_id = batch.requests.id(outcome.index)
    response: JsonObject | None = None
    if not outcome.expired:
        failure = outcome.failure
        body = _answer(batch, custom_id) if failure is None else _refusal(failure)
        response = {
            "status_code": 200 if failure is None else failure.status,
            "request_id": "req_" + derived(f"{batch.id}/{outcome.index}", 32),
            "body": json.dumps(body) if switches.body_as_string else body,
        }
    return {
        "id": "batch_req_" + derived(f"{batch.id}/line/{outcome.index}", 32),
        "custom_id": custom_id,
        "response": response,
        "error": _EXPIRED if outcome.expired else None,
    }


def _refusal(failure: BatchFailure) -> JsonObject:
    return openai_form(ApiError(failure.status, failure.message, code=failure.code))


def _answer(batch: Batch, custom_id: str) -> JsonObject:
    """A body as the batch's endpoint gives it."""
    common: JsonObject = {"model": batch.script.model, "created": int(batch.created)}
    text = f"An answer to {custom_id}."
    if batch.script.endpoint == "/v1/embeddings":
        vector = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.125]}
        return common | {
            "object": "list",
            "data": [vector],
            "usage": {"prompt_tokens": 20, "total_tokens": 20},
        }
    if batch.script.endpoint == "/v1/responses":
        content = [{"type": "output_text", "text": text, "annotations": []}]
        message = {"type": "message", "role": "assistant", "status": "completed", "content": content}
        return common | {"object": "response", "status": "completed", "output": [message]}
    message = {"role": "assistant", "content": text}
    return common | {
        "id": "chatcmpl-" + derived(f"{batch.id}/{custom_id}", 24),
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50},
    }


def _request(batch: Batch, index: int) -> JsonObject:
    custom_id = batch.requests.id(index)
    question: JsonObject = {"model": batch.script.model}
    if batch.script.endpoint == "/v1/chat/completions":
        question["messages"] = [{"role": "user", "content": f"What about {custom_id}?"}]
    else:
        question["input"] = f"What about {custom_id}?"
    return {"custom_id": custom_id, "method": "POST", "url": batch.script.endpoint, "body": question}
