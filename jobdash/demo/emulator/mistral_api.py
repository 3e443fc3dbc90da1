"""Mistral's HTTP API, as far as batches need it: files and batch jobs."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jobdash.demo.emulator.batch import BatchFile, BatchRequests, UploadedFile
from jobdash.demo.emulator.batch_plan import BatchScript, Ending, LineError
from jobdash.demo.emulator.mistral_view import file_content, file_json, job_json
from jobdash.demo.emulator.openai_api import OpenAIHandlers, presented_key
from jobdash.demo.emulator.web import ApiError, JsonObject, api_app, mistral_form, read_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.applications import Starlette
    from starlette.requests import Request

    from jobdash.demo.emulator.emulator import EmulatedProvider

_LARGEST_PAGE = 1000
_LONGEST_HOURS = 7 * 24


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

    def file_shown(self, file: UploadedFile | BatchFile, content: bytes) -> JsonObject:
        """The file object."""
        return file_json(self._provider, file, content)

    def file_content(self, file: UploadedFile | BatchFile) -> bytes | None:
        """The bytes of a file; None for one its batch has not made."""
        return file_content(self._provider, file)

    async def list_files(self, request: Request) -> Response:
        number, size = _page(request)
        found = [
            self.file_shown(file, content)
            for file in self.account(request).files.newest_first()
            if (content := self.file_content(file)) is not None
        ]
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
            file = account.files.get(input_file)
            content = None if file is None else self.file_content(file)
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
            model=model,
            endpoint=endpoint,
            metadata=_metadata(wanted),
            inline=input_file is None,
            plan=plan,
        )
        batch = self._provider.create(presented_key(request), script, requests, input_file)
        return JSONResponse(job_json(self._provider, batch))

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
            found = [each for each in found if job_json(self._provider, each)["status"] in words]
        shown = [job_json(self._provider, batch) for batch in found[number * size : (number + 1) * size]]
        total = 10**6 if self._provider.listing.repeat_page else len(found)
        return JSONResponse({"object": "list", "data": shown, "total": total})

    async def get_batch(self, request: Request) -> Response:
        inline = request.query_params.get("inline", "").lower() == "true"
        return JSONResponse(job_json(self._provider, self.batch(request), inline=inline))

    async def cancel_batch(self, request: Request) -> Response:
        batch = self.batch(request)
        if not self._provider.ask_cancel(batch):
            status = self._provider.switches_of(batch).cancel_refusal or 400
            raise ApiError(status, f"Job {batch.id} is finished and cannot be cancelled.")
        return JSONResponse(job_json(self._provider, batch))

    async def delete_batch(self, request: Request) -> Response:
        batch = self.batch(request)
        self.account(request).batches.remove(batch.id)
        return JSONResponse({"id": batch.id, "object": "batch", "deleted": True})


def read_lines(lines: list[bytes]) -> tuple[BatchRequests, tuple[LineError, ...]]:
    """The requests of an input, and what is wrong with it."""
    ids: list[str] = []
    errors: list[LineError] = []
    for number, line in enumerate(lines, start=1):
        try:
            request = json.loads(line)
        except ValueError:
            request = None
        if not isinstance(request, dict) or not isinstance(request.get("body"), dict):
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
