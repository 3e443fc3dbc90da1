"""What OpenAI's API shows of a batch and of a file."""

from __future__ import annotations

import math

from jobdash.demo.emulator.batch import Batch
from jobdash.demo.emulator.batch_plan import Phase
from jobdash.demo.emulator.errors import JsonObject
from jobdash.demo.emulator.files import BatchFile, Role, UploadedFile
from jobdash.demo.emulator.openai_results import render
from jobdash.demo.emulator.provider import EmulatedProvider
from jobdash.demo.emulator.timeline import BatchSnapshot

INPUT_TOKENS = 20
OUTPUT_TOKENS = 30


def batch_json(provider: EmulatedProvider, batch: Batch) -> JsonObject:
    """The batch object."""
    snapshot = provider.look(batch)
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
        "in_progress_at": _entered(snapshot, Phase.IN_PROGRESS),
        "expires_at": int(expires) if math.isfinite(expires) else None,
        "finalizing_at": _entered(snapshot, Phase.FINALIZING),
        "completed_at": _entered(snapshot, Phase.COMPLETED),
        "failed_at": _entered(snapshot, Phase.FAILED),
        "expired_at": _entered(snapshot, Phase.EXPIRED),
        "cancelling_at": _entered(snapshot, Phase.CANCELLING),
        "cancelled_at": _entered(snapshot, Phase.CANCELLED),
        "request_counts": None if switches.null_counts else _counts(snapshot),
        "usage": _usage(snapshot) if snapshot.phase.terminal else None,
        "metadata": _metadata(batch),
    }


def file_json(provider: EmulatedProvider, file: UploadedFile | BatchFile, content: bytes) -> JsonObject:
    """The file object of a file with that content."""
    if isinstance(file, UploadedFile):
        name, created = file.name, file.created
    else:
        name, created = f"{file.batch.id}_{file.role}.jsonl", _made_at(provider, file)
    return {
        "id": file.id,
        "object": "file",
        "bytes": len(content),
        "created_at": int(created),
        "filename": name,
        "purpose": purpose_of(file),
        "status": "processed",
    }


def purpose_of(file: UploadedFile | BatchFile) -> str:
    """What a file is for, in OpenAI's words."""
    if isinstance(file, UploadedFile):
        return file.purpose
    return "batch" if file.role is Role.INPUT else "batch_output"


def file_content(provider: EmulatedProvider, file: UploadedFile | BatchFile) -> bytes | None:
    """The bytes of a file; None for one its batch has not made."""
    if isinstance(file, UploadedFile):
        return file.content
    snapshot = provider.look(file.batch)
    if not _exists(provider, file.batch, snapshot, file.role):
        return None
    return render(file.batch, snapshot, file.role, provider.switches_of(file.batch))


def _exists(provider: EmulatedProvider, batch: Batch, snapshot: BatchSnapshot, role: Role) -> bool:
    """Whether a batch has that file by now."""
    if role is Role.INPUT:
        return True
    if snapshot.phase is Phase.CANCELLED and not provider.keeps_partial(batch):
        return False
    if role is Role.OUTPUT:
        return snapshot.phase.terminal and snapshot.succeeded > 0
    left = snapshot.phase is Phase.EXPIRED and snapshot.processed < snapshot.total
    return snapshot.phase.terminal and (snapshot.failed > 0 or left)


def _made_at(provider: EmulatedProvider, file: BatchFile) -> float:
    """Input files are as old as their batch, results as old as its end."""
    if file.role is Role.INPUT:
        return file.batch.created
    snapshot = provider.look(file.batch)
    return snapshot.entered[snapshot.phase]


def _result_id(provider: EmulatedProvider, batch: Batch, snapshot: BatchSnapshot, role: Role) -> str | None:
    if _exists(provider, batch, snapshot, role):
        return provider.result_file(batch, role)
    return None


def _entered(snapshot: BatchSnapshot, phase: Phase) -> int | None:
    moment = snapshot.entered.get(phase)
    return None if moment is None else int(moment)


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


def _metadata(batch: Batch) -> JsonObject | None:
    metadata: JsonObject = dict(batch.script.metadata)
    if batch.script.name:
        metadata["name"] = batch.script.name
    return metadata or None


def _errors(batch: Batch, snapshot: BatchSnapshot) -> JsonObject | None:
    if snapshot.phase is not Phase.FAILED:
        return None
    data = [
        {"code": error.code, "line": error.line, "message": error.message, "param": error.param}
        for error in batch.plan.line_errors
    ]
    return {"object": "list", "data": data}
