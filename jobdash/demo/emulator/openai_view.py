"""What OpenAI's API returns: batches, files, and the lines of result files."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from jobdash.demo.emulator.batch import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    EmulatedBatch,
    EmulatedFile,
    RequestOutcome,
    Role,
    UploadedFile,
)
from jobdash.demo.emulator.batch_plan import BatchFailure, MarkedRequests, Phase, Switches, read_marks
from jobdash.demo.emulator.emulator import EmulatedProvider, derived
from jobdash.demo.emulator.timeline import BatchSnapshot, failing_in, fails
from jobdash.demo.emulator.web import ApiError, JsonObject, jsonl_pieces, openai_form

_EXPIRED: JsonObject = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}


def _rendered(
    batch: EmulatedBatch, snapshot: BatchSnapshot, role: Role, switches: Switches
) -> Iterator[bytes]:
    if role is Role.INPUT:
        return jsonl_pieces((_request(batch, index) for index in range(batch.requests.count)), Switches())
    return jsonl_pieces(_results(batch, snapshot, role, switches), switches)


def _results(
    batch: EmulatedBatch, snapshot: BatchSnapshot, role: Role, switches: Switches
) -> Iterator[JsonObject]:
    # Once: to find them is to hash all ids.
    marks = MarkedRequests() if batch.requests.ids is None else _marks(batch.requests.ids)
    for planned in batch.answers(snapshot, switches):
        outcome = _as_marked(marks, planned)
        answered = outcome.failure is None and not outcome.expired
        if answered == (role is Role.OUTPUT):
            yield result_line(batch, outcome, switches)


@lru_cache(maxsize=256)
def _marks(ids: tuple[str, ...]) -> MarkedRequests:
    return read_marks(ids)


def _as_marked(marks: MarkedRequests, planned: RequestOutcome) -> RequestOutcome:
    """Return the outcome of a request of a file, as its key asks for it."""
    if planned.expired or planned.failure is not None:
        return planned
    place = bisect_left(marks.failing, planned.index)
    if place < len(marks.failing) and marks.failing[place] == planned.index:
        return replace(planned, failure=BatchFailure(1))
    return replace(planned, cut_off=True) if planned.index in marks.cut_off else planned


def _snapshot(provider: EmulatedProvider, batch: EmulatedBatch) -> BatchSnapshot:
    """Return how a batch is now, with the failures that its requests ask for."""
    snapshot, ids = provider.snapshot_of(batch), batch.requests.ids
    if ids is None or not provider.traits.has_files:
        return snapshot
    failing = _marks(ids).failing
    planned, total = failing_in(batch.plan, snapshot.total), snapshot.total
    asked = failing[: bisect_left(failing, snapshot.processed)]
    more = sum(not fails(index, planned, total) for index in asked)
    return replace(snapshot, succeeded=snapshot.succeeded - more, failed=snapshot.failed + more)


def result_line(batch: EmulatedBatch, outcome: RequestOutcome, switches: Switches) -> JsonObject:
    """The line of one outcome, of either file."""
    custom_id = outcome.key or batch.requests.id(outcome.index)
    response: JsonObject | None = None
    if not outcome.expired:
        failure = outcome.failure
        if failure is None:
            body = _answer(batch, custom_id, cut_off=outcome.cut_off)
        else:
            body = openai_form(ApiError(failure.status, failure.message, code=failure.code))
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


def _answer(batch: EmulatedBatch, custom_id: str, *, cut_off: bool) -> JsonObject:
    """A body as the batch's endpoint gives it."""
    common: JsonObject = {"model": batch.script.model, "created": int(batch.created)}
    text = f"An answer to {custom_id}.".ljust(batch.plan.answer_size, ".")
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
        answered = common | {"object": "response", "status": "completed", "output": [message]}
        answered["usage"] = {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}
        if cut_off:
            answered |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        return answered
    message = {"role": "assistant", "content": text}
    return common | {
        "id": "chatcmpl-" + derived(f"{batch.id}/{custom_id}", 24),
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "length" if cut_off else "stop"}],
        "usage": {
            "prompt_tokens": INPUT_TOKENS,
            "completion_tokens": OUTPUT_TOKENS,
            "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        },
    }


def _request(batch: EmulatedBatch, index: int) -> JsonObject:
    custom_id = batch.requests.id(index)
    question: JsonObject = {"model": batch.script.model}
    if batch.script.endpoint == "/v1/chat/completions":
        question["messages"] = [{"role": "user", "content": f"What about {custom_id}?"}]
    else:
        question["input"] = f"What about {custom_id}?"
    return {"custom_id": custom_id, "method": "POST", "url": batch.script.endpoint, "body": question}


def batch_json(provider: EmulatedProvider, batch: EmulatedBatch) -> JsonObject:
    """The batch object."""
    snapshot = _snapshot(provider, batch)
    switches = provider.switches_of(batch)
    expires = provider.expires(batch)
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.script.endpoint,
        "model": batch.script.model,
        "errors": _errors(batch, snapshot),
        "input_file_id": batch.input_file,
        "completion_window": "24h",
        "status": switches.words.get(snapshot.phase, snapshot.phase.value),
        "output_file_id": _result_id(provider, batch, snapshot, Role.OUTPUT),
        "error_file_id": _result_id(provider, batch, snapshot, Role.ERRORS),
        "created_at": int(batch.created),
        "in_progress_at": snapshot.began(Phase.IN_PROGRESS),
        "expires_at": int(expires) if math.isfinite(expires) else None,
        "finalizing_at": snapshot.began(Phase.FINALIZING),
        "completed_at": snapshot.began(Phase.COMPLETED),
        "failed_at": snapshot.began(Phase.FAILED),
        "expired_at": snapshot.began(Phase.EXPIRED),
        "cancelling_at": snapshot.began(Phase.CANCELLING),
        "cancelled_at": snapshot.began(Phase.CANCELLED),
        "request_counts": None if switches.null_counts else _counts(snapshot),
        "usage": _usage(snapshot) if snapshot.phase.terminal else None,
        "metadata": batch.script.shown_metadata,
    }


def file_json(provider: EmulatedProvider, file: EmulatedFile, content: bytes) -> JsonObject:
    """The file object of a file with that content."""
    name = file.name if isinstance(file, UploadedFile) else f"{file.batch.id}_{file.role}.jsonl"
    expires = provider.deleted_at(file)
    return {
        "id": file.id,
        "object": "file",
        "bytes": len(content),
        "created_at": int(provider.made_at(file)),
        "expires_at": None if expires is None else int(expires),
        "filename": name,
        "purpose": purpose_of(file),
        "status": "processed",
    }


def purpose_of(file: EmulatedFile) -> str:
    """What a file is for, in OpenAI's words."""
    if isinstance(file, UploadedFile):
        return file.purpose
    return "batch" if file.role is Role.INPUT else "batch_output"


def file_content(provider: EmulatedProvider, file: EmulatedFile) -> bytes | None:
    """The bytes of a file; None for one its batch has not made."""
    pieces = file_pieces(provider, file)
    return None if pieces is None else b"".join(pieces)


def file_pieces(provider: EmulatedProvider, file: EmulatedFile) -> Iterator[bytes] | None:
    """The bytes of a file as they are sent; None for one its batch has not made."""
    if provider.is_deleted(file):
        return None
    if isinstance(file, UploadedFile):
        return iter((file.content,))
    snapshot = _snapshot(provider, file.batch)
    if not _exists(provider, file.batch, snapshot, file.role):
        return None
    return _rendered(file.batch, snapshot, file.role, provider.switches_of(file.batch))


def _exists(provider: EmulatedProvider, batch: EmulatedBatch, snapshot: BatchSnapshot, role: Role) -> bool:
    """Whether a batch has that file by now."""
    if role is Role.INPUT:
        return True
    if snapshot.phase is Phase.CANCELLED and not provider.keeps_partial(batch):
        return False
    if role is Role.OUTPUT:
        return snapshot.phase.terminal and snapshot.succeeded > 0
    left = snapshot.phase is Phase.EXPIRED and snapshot.processed < snapshot.total
    return snapshot.phase.terminal and (snapshot.failed > 0 or left)


def _result_id(
    provider: EmulatedProvider, batch: EmulatedBatch, snapshot: BatchSnapshot, role: Role
) -> str | None:
    if _exists(provider, batch, snapshot, role):
        return provider.result_file(batch, role)
    return None


def _counts(snapshot: BatchSnapshot) -> JsonObject:
    """Zeros until validation has counted the lines, as OpenAI does."""
    if snapshot.phase in {Phase.VALIDATING, Phase.FAILED}:
        return {"total": 0, "completed": 0, "failed": 0}
    return {"total": snapshot.total, "completed": snapshot.succeeded, "failed": snapshot.failed}


def _usage(snapshot: BatchSnapshot) -> JsonObject:
    into, out = snapshot.succeeded * INPUT_TOKENS, snapshot.succeeded * OUTPUT_TOKENS
    return {
        "input_tokens": into,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": into + out,
    }


def _errors(batch: EmulatedBatch, snapshot: BatchSnapshot) -> JsonObject | None:
    if snapshot.phase is not Phase.FAILED:
        return None
    data = [
        {"code": error.code, "line": error.line, "message": error.message, "param": error.param}
        for error in batch.plan.line_errors
    ]
    return {"object": "list", "data": data}
