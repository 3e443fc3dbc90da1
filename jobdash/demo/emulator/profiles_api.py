"""Three servers that speak OpenAI's API with differences: Azure, Groq, Novita."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from jobdash.demo.emulator.batch import BatchFile, Role
from jobdash.demo.emulator.batch_plan import Phase
from jobdash.demo.emulator.openai_api import ALL, OpenAIHandlers, app_of, presented_key
from jobdash.demo.emulator.web import JsonObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.applications import Starlette
    from starlette.requests import Request

    from jobdash.demo.emulator.batch import Batch, UploadedFile
    from jobdash.demo.emulator.emulator import EmulatedProvider

_AZURE_CODES = {"invalid_url": "url_mismatch", "mismatched_model": "model_mismatch"}
_NOVITA_WORDS = {Phase.IN_PROGRESS: "PROGRESS", Phase.FINALIZING: "PROGRESS"}


def azure_key(request: Request) -> str:
    """The key of Azure's own header."""
    return request.headers.get("api-key", "").strip()


class _Azure(OpenAIHandlers):
    """Wants its key in ``api-key``, has words of its own for what is wrong with a file, and names an error
    file of every batch that has ended, with nothing in it where nothing failed.
    """

    def key(self, request: Request) -> str:
        return azure_key(request)

    def batch_shown(self, batch: Batch) -> JsonObject:
        shown = super().batch_shown(batch)
        if isinstance(errors := shown["errors"], dict):
            data = [
                error | {"code": _AZURE_CODES.get(error["code"], error["code"])} for error in errors["data"]
            ]
            shown["errors"] = errors | {"data": data}
        ended = self._provider.snapshot_of(batch).phase.terminal
        shown["error_file_id"] = self._provider.result_file(batch, Role.ERRORS) if ended else ""
        return shown

    def file_content(self, file: UploadedFile | BatchFile) -> bytes | None:
        content = super().file_content(file)
        empty = isinstance(file, BatchFile) and file.role is Role.ERRORS
        return b"" if content is None and empty else content


class _Groq(OpenAIHandlers):
    """Lists all batches in one answer, and takes windows up to a week."""

    windows = ("24h", "48h", "3d", "7d")

    async def list_batches(self, request: Request) -> Response:
        page = self.account(request).batches.page(ALL)
        return JSONResponse({"object": "list", "data": [self.batch_shown(batch) for batch in page.batches]})


class _Novita(OpenAIHandlers):
    """Has words in capitals, one of them its own; writes some times as texts and the others as objects."""

    windows = ("48h",)

    def batch_shown(self, batch: Batch) -> JsonObject:
        shown = super().batch_shown(batch)
        phase = self._provider.snapshot_of(batch).phase
        word = self._provider.switches_of(batch).words.get(phase) or _NOVITA_WORDS.get(phase) or phase.upper()
        shown |= {"status": word, "completion_window": "48h", "version": 1, "remark": ""}
        for name, value in shown.items():
            if name.endswith("_at") and isinstance(value, int):
                moment = dt.datetime.fromtimestamp(value, dt.UTC).isoformat()
                shown[name] = moment if name == "created_at" else {"Time": moment, "Valid": True}
        if isinstance(errors := shown["errors"], dict):
            shown["errors"] = "; ".join(error["message"] for error in errors["data"])
        return shown


_HANDLERS = {"azure": _Azure, "groq": _Groq, "novita": _Novita}
ROOT = "openai/v1"
"""The path of the API, behind the name of the profile."""
KEYS: dict[str, Callable[[Request], str]] = {
    "azure": azure_key,
    "groq": presented_key,
    "novita": presented_key,
}


def profile_app(name: str, provider: EmulatedProvider, accepts: Callable[[str], bool]) -> Starlette:
    """The application of a profile; `accepts` decides which keys are good."""
    return app_of(_HANDLERS[name](provider, accepts), f"/{name}/{ROOT}")
