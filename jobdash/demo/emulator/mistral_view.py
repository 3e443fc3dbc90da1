"""What Mistral's API returns: batches, files, and the lines of result files."""

from __future__ import annotations

from collections.abc import Iterator

from jobdash.demo.emulator.batch import Batch, BatchFile, Role, UploadedFile
from jobdash.demo.emulator.batch_plan import Phase
from jobdash.demo.emulator.emulator import EmulatedProvider
from jobdash.demo.emulator.openai_view import result_line
from jobdash.demo.emulator.timeline import BatchSnapshot
from jobdash.demo.emulator.web import JsonObject, to_jsonl

_WORDS = {
    Phase.VALIDATING: "QUEUED",
    Phase.IN_PROGRESS: "RUNNING",
    Phase.FINALIZING: "RUNNING",
    Phase.CANCELLING: "CANCELLATION_REQUESTED",
    Phase.COMPLETED: "SUCCESS",
    Phase.FAILED: "FAILED",
    Phase.EXPIRED: "TIMEOUT_EXCEEDED",
    Phase.CANCELLED: "CANCELLED",
}
_SAMPLES = {Role.INPUT: "batch_request", Role.OUTPUT: "batch_result", Role.ERRORS: "batch_error"}


def job_json(provider: EmulatedProvider, batch: Batch, *, inline: bool = False) -> JsonObject:
    """The batch object; ``inline``: with the results that it has in itself."""
    snapshot, switches = provider.snapshot_of(batch), provider.switches_of(batch)
    silent = switches.null_counts or snapshot.phase in {Phase.VALIDATING, Phase.FAILED}
    outputs = None
    if inline and batch.script.inline and _has(provider, batch, snapshot, Role.OUTPUT):
        outputs = [*_results(provider, batch, Role.OUTPUT), *_results(provider, batch, Role.ERRORS)]
    return {
        "id": batch.id,
        "object": "batch",
        "input_files": [] if batch.input_file is None else [batch.input_file],
        "metadata": _metadata(batch),
        "endpoint": batch.script.endpoint,
        "model": batch.script.model,
        "agent_id": None,
        "output_file": _file_id(provider, batch, snapshot, Role.OUTPUT),
        "error_file": _file_id(provider, batch, snapshot, Role.ERRORS),
        "outputs": outputs,
        "errors": _errors(batch, snapshot),
        "status": switches.words.get(snapshot.phase, _WORDS[snapshot.phase]),
        "created_at": int(batch.created),
        "total_requests": 0 if silent else snapshot.total,
        "completed_requests": 0 if silent else snapshot.processed,
        "succeeded_requests": 0 if silent else snapshot.succeeded,
        "failed_requests": 0 if silent else snapshot.failed,
        "started_at": _entered(snapshot, Phase.IN_PROGRESS),
        "completed_at": _entered(snapshot, snapshot.phase) if snapshot.phase.terminal else None,
    }


def file_json(provider: EmulatedProvider, file: UploadedFile | BatchFile, content: bytes) -> JsonObject:
    """The file object of a file with that content."""
    role = file.role if isinstance(file, BatchFile) else Role.INPUT
    return {
        "id": file.id,
        "object": "file",
        "bytes": len(content),
        "created_at": int(provider.made_at(file)),
        "filename": file.name if isinstance(file, UploadedFile) else f"{file.batch.id}_{file.role}.jsonl",
        "purpose": "batch",
        "sample_type": _SAMPLES[role],
        "source": "upload" if role is Role.INPUT else "mistral",
        "num_lines": content.count(b"\n"),
        "expires_at": _deleted_at(provider, file),
        "deleted": False,
    }


def file_content(provider: EmulatedProvider, file: UploadedFile | BatchFile) -> bytes | None:
    """The bytes of a file; None for one its batch has not made, or that is deleted by now."""
    if isinstance(file, UploadedFile):
        return file.content
    batch, switches = file.batch, provider.switches_of(file.batch)
    if file.role is Role.INPUT:
        return to_jsonl((_request(batch, index) for index in range(batch.requests.count)), switches)
    deleted_at = _deleted_at(provider, file)
    gone = deleted_at is not None and provider.clock.now() >= deleted_at
    if gone or batch.script.inline or not _has(provider, batch, provider.snapshot_of(batch), file.role):
        return None
    return to_jsonl(_results(provider, batch, file.role), switches)


def _results(provider: EmulatedProvider, batch: Batch, role: Role) -> Iterator[JsonObject]:
    """The answers, or the failures; of what did not get its turn there is neither."""
    switches = provider.switches_of(batch)
    for outcome in batch.answers(provider.snapshot_of(batch), switches):
        if outcome.expired or (outcome.failure is None) != (role is Role.OUTPUT):
            continue
        line = result_line(batch, outcome, switches)
        if outcome.failure is not None and switches.nameless_failures:
            line["custom_id"] = None
        yield line


def _request(batch: Batch, index: int) -> JsonObject:
    key = batch.requests.id(index)
    message = {"role": "user", "content": f"What about {key}?"}
    return {"custom_id": key, "body": {"max_tokens": 100, "messages": [message]}}


def _has(provider: EmulatedProvider, batch: Batch, snapshot: BatchSnapshot, role: Role) -> bool:
    """Whether a batch has that file by now."""
    if not snapshot.phase.terminal:
        return False
    if snapshot.phase is not Phase.COMPLETED and not provider.keeps_partial(batch):
        return False
    return (snapshot.succeeded if role is Role.OUTPUT else snapshot.failed) > 0


def _file_id(provider: EmulatedProvider, batch: Batch, snapshot: BatchSnapshot, role: Role) -> str | None:
    if batch.script.inline or not _has(provider, batch, snapshot, role):
        return None
    return provider.result_file(batch, role)


def _deleted_at(provider: EmulatedProvider, file: UploadedFile | BatchFile) -> int | None:
    """When results are deleted, in seconds since the epoch; None for never."""
    if isinstance(file, UploadedFile) or file.role is Role.INPUT:
        return None
    kept, snapshot = provider.switches_of(file.batch).results_kept, provider.snapshot_of(file.batch)
    return None if kept is None else int(snapshot.entered[snapshot.phase] + kept)


def _metadata(batch: Batch) -> JsonObject | None:
    metadata: JsonObject = dict(batch.script.metadata)
    if batch.script.name:
        metadata["name"] = batch.script.name
    return metadata or None


def _errors(batch: Batch, snapshot: BatchSnapshot) -> list[JsonObject]:
    if snapshot.phase is not Phase.FAILED:
        return []
    messages = [error.message for error in batch.plan.line_errors]
    return [{"message": each, "count": messages.count(each)} for each in dict.fromkeys(messages)]


def _entered(snapshot: BatchSnapshot, phase: Phase) -> int | None:
    moment = snapshot.entered.get(phase)
    return None if moment is None else int(moment)
