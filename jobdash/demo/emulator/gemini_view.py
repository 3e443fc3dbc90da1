"""What Gemini's API returns: batches (long-running operations), files, and the lines of result files."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator

from jobdash.demo.emulator.batch import BatchFile, EmulatedBatch, EmulatedFile, RequestOutcome, Role
from jobdash.demo.emulator.batch_plan import BatchFailure, Phase, Switches
from jobdash.demo.emulator.emulator import HOUR, EmulatedProvider, derived
from jobdash.demo.emulator.timeline import BatchSnapshot
from jobdash.demo.emulator.web import JsonObject, jsonl_pieces

_RPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 500: 13, 503: 14}
"""google.rpc.Code by HTTP status."""
FILE_LIFE = 48 * HOUR
_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main."
_WORDS = {
    Phase.VALIDATING: "BATCH_STATE_PENDING",
    Phase.IN_PROGRESS: "BATCH_STATE_RUNNING",
    Phase.FINALIZING: "BATCH_STATE_RUNNING",
    Phase.COMPLETED: "BATCH_STATE_SUCCEEDED",
    Phase.FAILED: "BATCH_STATE_FAILED",
    Phase.EXPIRED: "BATCH_STATE_EXPIRED",
    Phase.CANCELLED: "BATCH_STATE_CANCELLED",
}
_ERRORS = {
    Phase.FAILED: (3, "The batch could not be processed."),
    Phase.EXPIRED: (4, "The batch expired before it was completed."),
    Phase.CANCELLED: (1, "The batch was cancelled."),
}
"""The code (google.rpc.Code) and sentence of an operation that ended without a result."""


def is_embedding(model: str) -> bool:
    """Whether a model makes embeddings, and nothing else."""
    return "embedding" in model


def inline_responses(batch: EmulatedBatch, snapshot: BatchSnapshot, switches: Switches) -> list[JsonObject]:
    """What a batch of inline requests answers, with the metadata that came with each request."""
    metadata = batch.requests.metadata
    responses = []
    for outcome in batch.answers(snapshot, switches):
        response = _result(batch, outcome, switches)
        own: object = {"key": _key(batch, outcome)} if metadata is None else metadata[outcome.index]
        if own is not None:
            response["metadata"] = own
        responses.append(response)
    return responses


def _results(batch: EmulatedBatch, snapshot: BatchSnapshot, switches: Switches) -> Iterator[JsonObject]:
    for outcome in batch.answers(snapshot, switches):
        yield {"key": _key(batch, outcome), **_result(batch, outcome, switches)}


def _key(batch: EmulatedBatch, outcome: RequestOutcome) -> str:
    return outcome.key or batch.requests.id(outcome.index)


def _result(batch: EmulatedBatch, outcome: RequestOutcome, switches: Switches) -> JsonObject:
    if outcome.expired:
        return {"error": {"code": 4, "message": "The batch expired before this request was processed."}}
    if outcome.failure is not None:
        return {"error": _status(outcome.failure, details=switches.detail_objects)}
    key = batch.requests.id(outcome.index)
    if is_embedding(batch.script.model):
        return {"response": {"embedding": {"values": [0.1, -0.2, 0.3]}, "tokenCount": "4"}}
    reason = "MAX_TOKENS" if outcome.cut_off else "STOP"
    text = f"An answer to {key}.".ljust(batch.plan.answer_size, ".")
    content = {"role": "model", "parts": [{"text": text}]}
    response: JsonObject = {
        "candidates": [{"content": content, "finishReason": reason, "index": 0}],
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


def _request(batch: EmulatedBatch, index: int) -> JsonObject:
    key = batch.requests.id(index)
    if is_embedding(batch.script.model):
        return {"key": key, "request": {"content": {"parts": [{"text": f"What about {key}?"}]}}}
    contents = [{"role": "user", "parts": [{"text": f"What about {key}?"}]}]
    return {"key": key, "request": {"contents": contents}}


def operation_json(provider: EmulatedProvider, batch: EmulatedBatch, *, listed: bool = False) -> JsonObject:
    """The operation that a batch is; in a list it has no inline results."""
    snapshot = provider.snapshot_of(batch)
    switches = provider.switches_of(batch)
    output = _output(provider, batch, snapshot)
    if listed and batch.script.inline and output is not None:
        output = {}
    operation: JsonObject = {"name": batch.id, "metadata": _metadata(provider, batch, snapshot, output)}
    if not snapshot.phase.terminal:
        return operation
    operation["done"] = True
    if output is not None:
        operation["response"] = {"@type": f"{_TYPE}GenerateContentBatchOutput", **output}
    else:
        operation["error"] = _error(batch, snapshot.phase, details=switches.detail_objects)
    return operation


def file_json(provider: EmulatedProvider, file: EmulatedFile, content: bytes, base_url: str) -> JsonObject:
    """The file object of a file with that content; its links begin with `base_url`."""
    generated = isinstance(file, BatchFile)
    created = provider.made_at(file)
    shown: JsonObject = {
        "name": file.id,
        "mimeType": "application/json" if isinstance(file, BatchFile) else file.mime_type,
        "sizeBytes": str(len(content)),
        "createTime": timestamp(created),
        "updateTime": timestamp(created),
        "expirationTime": timestamp(created + FILE_LIFE),
        "sha256Hash": hashlib.sha256(content).hexdigest(),
        "uri": f"{base_url}/{file.id}",
        "state": "ACTIVE",
        "source": "GENERATED" if generated else "UPLOADED",
    }
    if not isinstance(file, BatchFile) and file.name:
        shown["displayName"] = file.name
    if generated:
        shown["downloadUri"] = f"{base_url}/{file.id}:download?alt=media"
    return shown


def file_content(provider: EmulatedProvider, file: EmulatedFile) -> bytes | None:
    """The bytes of a file; None for one its batch has not made."""
    if not isinstance(file, BatchFile):
        return file.content
    batch, snapshot = file.batch, provider.snapshot_of(file.batch)
    if file.role is Role.INPUT:
        requests = (_request(batch, index) for index in range(batch.requests.count))
        return b"".join(jsonl_pieces(requests, Switches()))
    if not _has_output(provider, batch, snapshot):
        return None
    switches = provider.switches_of(batch)
    return b"".join(jsonl_pieces(_results(batch, snapshot, switches), switches))


def timestamp(moment: float) -> str:
    """RFC 3339 in UTC with nanoseconds, as Google writes it."""
    text = dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{text}000Z"


def _metadata(
    provider: EmulatedProvider, batch: EmulatedBatch, snapshot: BatchSnapshot, output: JsonObject | None
) -> JsonObject:
    switches = provider.switches_of(batch)
    metadata: JsonObject = {
        "@type": f"{_TYPE}{'Embed' if is_embedding(batch.script.model) else 'Generate'}ContentBatch",
        "name": batch.id,
        "displayName": batch.script.name,
        "model": f"models/{batch.script.model}",
        "state": switches.words.get(snapshot.phase, _word(snapshot)),
        "createTime": timestamp(batch.created),
        "updateTime": timestamp(max(snapshot.entered.values(), default=batch.created)),
    }
    if batch.input_file is not None:
        metadata["inputConfig"] = {"fileName": batch.input_file}
    if snapshot.phase.terminal:
        metadata["endTime"] = timestamp(snapshot.entered[snapshot.phase])
    if not switches.null_counts:
        metadata["batchStats"] = _stats(snapshot)
    if output is not None and not switches.output_only_in_response:
        metadata["output"] = output
    return metadata


def _word(snapshot: BatchSnapshot) -> str:
    """The state; a batch whose cancel is under way goes on showing what it was before."""
    if snapshot.phase is not Phase.CANCELLING:
        return _WORDS[snapshot.phase]
    return _WORDS[Phase.IN_PROGRESS if Phase.IN_PROGRESS in snapshot.entered else Phase.VALIDATING]


def _stats(snapshot: BatchSnapshot) -> JsonObject:
    """Counts as protobuf writes 64-bit numbers to JSON: strings, and zero not at all."""
    counts = {
        "requestCount": snapshot.total,
        "successfulRequestCount": snapshot.succeeded,
        "failedRequestCount": snapshot.failed,
        "pendingRequestCount": snapshot.total - snapshot.processed,
    }
    return {name: str(count) for name, count in counts.items() if count}


def _output(provider: EmulatedProvider, batch: EmulatedBatch, snapshot: BatchSnapshot) -> JsonObject | None:
    if not _has_output(provider, batch, snapshot):
        return None
    if batch.script.inline:
        responses = inline_responses(batch, snapshot, provider.switches_of(batch))
        return {"inlinedResponses": {"inlinedResponses": responses}}
    return {"responsesFile": provider.result_file(batch, Role.OUTPUT)}


def _has_output(provider: EmulatedProvider, batch: EmulatedBatch, snapshot: BatchSnapshot) -> bool:
    if snapshot.phase in {Phase.CANCELLED, Phase.EXPIRED}:
        return provider.keeps_partial(batch) and snapshot.processed > 0
    return snapshot.phase is Phase.COMPLETED


def _error(batch: EmulatedBatch, phase: Phase, *, details: bool) -> JsonObject:
    code, message = _ERRORS[phase]
    reasons = batch.plan.line_errors if phase is Phase.FAILED else ()
    if reasons:
        message = "; ".join(
            reason.message if reason.line is None else f"line {reason.line}: {reason.message}"
            for reason in reasons
        )
    error: JsonObject = {"code": code, "message": message}
    if details:
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.DebugInfo", "detail": message}]
    return error
