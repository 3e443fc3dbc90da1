"""What Anthropic's API returns: batches, and the lines of their results."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator

from jobdash.demo.emulator.batch import Batch
from jobdash.demo.emulator.batch_plan import Phase
from jobdash.demo.emulator.emulator import HOUR, EmulatedProvider, derived
from jobdash.demo.emulator.timeline import BatchSnapshot
from jobdash.demo.emulator.web import ApiError, JsonObject, anthropic_form, to_jsonl

INPUT_TOKENS = 20
OUTPUT_TOKENS = 30
KEPT = 29 * 24 * HOUR
"""Seconds from a batch's creation for which its results are kept."""


def batch_json(provider: EmulatedProvider, batch: Batch, base_url: str) -> JsonObject:
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


def archived_at(provider: EmulatedProvider, batch: Batch) -> float | None:
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


def results(provider: EmulatedProvider, batch: Batch) -> bytes:
    """The lines of an ended batch: one for each request, whatever it came to."""
    return to_jsonl(_lines(provider, batch), provider.switches_of(batch))


def _lines(provider: EmulatedProvider, batch: Batch) -> Iterator[JsonObject]:
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


def _message(batch: Batch, key: str, cut_off: bool) -> JsonObject:
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
