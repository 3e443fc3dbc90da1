"""Mistral's HTTP API, as far as batches need it: files and batch jobs."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jobdash.demo.emulator.batch import (
    BatchFile,
    BatchRequests,
    EmulatedBatch,
    EmulatedFile,
    Role,
    UploadedFile,
)
from jobdash.demo.emulator.batch_plan import BatchScript, Ending, LineError, Phase
from jobdash.demo.emulator.openai_api import OpenAIHandlers
from jobdash.demo.emulator.openai_view import result_line
from jobdash.demo.emulator.web import (
    ApiError,
    JsonObject,
    api_app,
    jsonl_pieces,
    mistral_form,
    parse_object,
    read_object,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.applications import Starlette
    from starlette.requests import Request

    from jobdash.demo.emulator.emulator import EmulatedProvider
    from jobdash.demo.emulator.timeline import BatchSnapshot

_LARGEST_PAGE = 1000
_LONGEST_HOURS = 7 * 24
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


def mistral_app(provider: EmulatedProvider, accepts: Callable[[str], bool]) -> Starlette:
    """The application; `accepts` decides which keys are good."""
    api = _Mistral(provider, accepts)
    root, jobs = "/mistral/v1", "/mistral/v1/batch/jobs"
    routes = [
        Route(f"{root}/files", api.list_files, methods=["GET"]),
        Route(f"{root}/files", api.create_file, methods=["POST"]),
        Route(f"{root}/files/{{id}}", api.get_file, methods=["GET"]),
        Route(f"{root}/files/{{id}}", api.delete_file, methods=["DELETE"]),
        Route(f"{root}/files/{{id}}/content", api.get_content),
        Route(jobs, api.list_batches, methods=["GET"]),
        Route(jobs, api.create_batch, methods=["POST"]),
        Route(f"{jobs}/{{id}}", api.get_batch, methods=["GET"]),
        Route(f"{jobs}/{{id}}", api.delete_batch, methods=["DELETE"]),
        Route(f"{jobs}/{{id}}/cancel", api.cancel_batch, methods=["POST"]),
    ]
    return api_app(routes, mistral_form, lambda _request, status: ApiError(status, "no Route matched"))


class _Mistral(OpenAIHandlers):
    """The handlers; files are kept as OpenAI's are."""

    def file_shown(self, file: EmulatedFile, content: bytes) -> JsonObject:
        """The file object."""
        return file_json(self._provider, file, content)

    def file_pieces(self, file: EmulatedFile) -> Iterator[bytes] | None:
        """The bytes of a file as they are sent; None for one its batch has not made."""
        return file_pieces(self._provider, file)

    def batch_shown(self, batch: EmulatedBatch) -> JsonObject:
        """The batch object, without inline results."""
        return job_json(self._provider, batch)

    async def list_files(self, request: Request) -> Response:
        number, size = _page(request)
        found = [self.file_shown(*each) for each in self.existing(self.account(request).files.newest_first())]
        shown = found[number * size : (number + 1) * size]
        return JSONResponse({"object": "list", "data": shown, "total": len(found)})

    async def create_batch(self, request: Request) -> Response:
        account, wanted = self.account(request), await read_object(request)
        endpoint, model, hours = (wanted.get(name) for name in ("endpoint", "model", "timeout_hours"))
        if not isinstance(endpoint, str) or not isinstance(model, str):
            raise ApiError(422, "endpoint and model: Field required")
        if not isinstance(hours, int) or not 0 < hours <= _LONGEST_HOURS:
            raise ApiError(422, f"timeout_hours: Input should be between 1 and {_LONGEST_HOURS}")
        plan, files = self._provider.plan, wanted.get("input_files") or []
        lines, input_file = _inline(wanted), None
        if isinstance(files, list) and files:
            input_file = str(files[0])
            content = self.content_of(account, input_file)
            if content is None:
                raise ApiError(404, f"File {input_file} not found.")
            lines = content.splitlines()
        if not lines:
            raise ApiError(422, "input_files or requests: Field required")
        requests, errors = read_lines(lines)
        if errors:
            plan = replace(plan, ending=Ending.FAILS, line_errors=errors)
        if plan.timing.expires_after is None:
            plan = replace(plan, timing=replace(plan.timing, expires_after=hours * 3600.0))
        script = BatchScript(
            model=model, endpoint=endpoint, metadata=_metadata(wanted), inline=input_file is None, plan=plan
        )
        batch = self._provider.create(self.key(request), script, requests, input_file)
        return JSONResponse(self.batch_shown(batch))

    async def list_batches(self, request: Request) -> Response:
        batches, asked = self.account(request).batches, request.query_params
        number, size = _page(request)
        found = list(batches.page(len(batches)).batches)
        if asked.get("order_by") == "created":
            found.reverse()
        if after := asked.get("created_after"):
            moment = dt.datetime.fromisoformat(after).timestamp()
            found = [batch for batch in found if batch.created > moment]
        if self._provider.listing.repeat_page:
            number = 0
        elif words := asked.getlist("status"):
            found = [each for each in found if self.batch_shown(each)["status"] in words]
        shown = [self.batch_shown(batch) for batch in found[number * size : (number + 1) * size]]
        total = 10**6 if self._provider.listing.repeat_page else len(found)
        return JSONResponse({"object": "list", "data": shown, "total": total})

    async def get_batch(self, request: Request) -> Response:
        inline = request.query_params.get("inline", "").lower() == "true"
        return JSONResponse(job_json(self._provider, self.batch(request), inline=inline))

    def late_cancel(self, batch: EmulatedBatch, status: int | None) -> ApiError:
        return ApiError(status or 400, f"Job {batch.id} is finished and cannot be cancelled.")


def read_lines(lines: list[bytes]) -> tuple[BatchRequests, tuple[LineError, ...]]:
    """The requests of an input, and what is wrong with it."""
    ids: list[str] = []
    errors: list[LineError] = []
    for number, line in enumerate(lines, start=1):
        request = parse_object(line)
        if request is None or not isinstance(request.get("body"), dict):
            errors.append(LineError("invalid", "Invalid request: a line has to have a body", number))
        else:
            ids.append(str(request.get("custom_id") or number))
    return BatchRequests(len(ids), tuple(ids)), tuple(errors)


def _inline(wanted: JsonObject) -> list[bytes]:
    requests = wanted.get("requests")
    return [json.dumps(each).encode() for each in requests] if isinstance(requests, list) else []


def _metadata(wanted: JsonObject) -> dict[str, str]:
    metadata = wanted.get("metadata") or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ApiError(422, "metadata: Input should be a dictionary of strings")
    return metadata


def _page(request: Request) -> tuple[int, int]:
    """The number of a page, from 0, and its size."""
    number, size = (
        request.query_params.get(name, default) for name, default in (("page", "0"), ("page_size", "100"))
    )
    if not (number.isdecimal() and size.isdecimal() and 0 < int(size) <= _LARGEST_PAGE):
        raise ApiError(422, f"page_size: Input should be between 1 and {_LARGEST_PAGE}")
    return int(number), int(size)


def job_json(provider: EmulatedProvider, batch: EmulatedBatch, *, inline: bool = False) -> JsonObject:
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
        "metadata": batch.script.shown_metadata,
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
        "started_at": snapshot.began(Phase.IN_PROGRESS),
        "completed_at": snapshot.began(snapshot.phase) if snapshot.phase.terminal else None,
    }


def file_json(provider: EmulatedProvider, file: EmulatedFile, content: bytes) -> JsonObject:
    """The file object of a file with that content."""
    role = file.role if isinstance(file, BatchFile) else Role.INPUT
    expires = provider.deleted_at(file)
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
        "expires_at": None if expires is None else int(expires),
        "deleted": False,
    }


def file_pieces(provider: EmulatedProvider, file: EmulatedFile) -> Iterator[bytes] | None:
    """The bytes of a file; None for one its batch has not made, or that is deleted by now."""
    if provider.is_deleted(file):
        return None
    if isinstance(file, UploadedFile):
        return iter((file.content,))
    batch, switches = file.batch, provider.switches_of(file.batch)
    if file.role is Role.INPUT:
        return jsonl_pieces((_request(batch, index) for index in range(batch.requests.count)), switches)
    if batch.script.inline or not _has(provider, batch, provider.snapshot_of(batch), file.role):
        return None
    return jsonl_pieces(_results(provider, batch, file.role), switches)


def _results(provider: EmulatedProvider, batch: EmulatedBatch, role: Role) -> Iterator[JsonObject]:
    """The answers, or the failures; of what did not get its turn there is neither."""
    switches = provider.switches_of(batch)
    for outcome in batch.answers(provider.snapshot_of(batch), switches):
        if outcome.expired or (outcome.failure is None) != (role is Role.OUTPUT):
            continue
        line = result_line(batch, outcome, switches)
        if outcome.failure is not None and switches.nameless_failures:
            line["custom_id"] = None
        yield line


def _request(batch: EmulatedBatch, index: int) -> JsonObject:
    key = batch.requests.id(index)
    message = {"role": "user", "content": f"What about {key}?"}
    return {"custom_id": key, "body": {"max_tokens": 100, "messages": [message]}}


def _has(provider: EmulatedProvider, batch: EmulatedBatch, snapshot: BatchSnapshot, role: Role) -> bool:
    """Whether a batch has that file by now."""
    if not snapshot.phase.terminal:
        return False
    if snapshot.phase is not Phase.COMPLETED and not provider.keeps_partial(batch):
        return False
    return (snapshot.succeeded if role is Role.OUTPUT else snapshot.failed) > 0


def _file_id(
    provider: EmulatedProvider, batch: EmulatedBatch, snapshot: BatchSnapshot, role: Role
) -> str | None:
    if batch.script.inline or not _has(provider, batch, snapshot, role):
        return None
    return provider.result_file(batch, role)


def _errors(batch: EmulatedBatch, snapshot: BatchSnapshot) -> list[JsonObject]:
    if snapshot.phase is not Phase.FAILED:
        return []
    messages = [error.message for error in batch.plan.line_errors]
    return [{"message": each, "count": messages.count(each)} for each in dict.fromkeys(messages)]
