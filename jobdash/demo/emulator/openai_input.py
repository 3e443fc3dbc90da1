"""Reads a batch's input file as OpenAI's validation does."""

from __future__ import annotations

import json
from dataclasses import dataclass

from jobdash.demo.emulator.batch import BatchRequests
from jobdash.demo.emulator.batch_plan import LineError

MAX_REQUESTS = 50_000


@dataclass(frozen=True, slots=True)
class InputFile:
    """What an input file holds, and what is wrong with it."""

    requests: BatchRequests
    model: str
    errors: tuple[LineError, ...]


def read_input(content: bytes, endpoint: str) -> InputFile:
    """Check every line; the model is the first one named."""
    reader = _InputReader(endpoint)
    lines = content.splitlines()
    for number, line in enumerate(lines, start=1):
        reader.read(number, line)
    if not lines:
        reader.complain("empty_file", "The batch input file is empty.")
    elif len(lines) > MAX_REQUESTS:
        message = f"The batch input file has {len(lines)} requests; the limit is {MAX_REQUESTS}."
        reader.complain("too_many_tasks", message)
    return InputFile(
        BatchRequests(len(reader.ids), tuple(reader.ids)),
        model=reader.model or "",
        errors=tuple(reader.errors),
    )


class _InputReader:
    """Reads line by line, remembering what must be unique or the same in all of them."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.ids: dict[str, None] = {}
        self.model: str | None = None
        self.errors: list[LineError] = []

    def complain(self, code: str, message: str, line: int | None = None, param: str | None = None) -> None:
        self.errors.append(LineError(code, message, line, param))

    def read(self, number: int, line: bytes) -> None:
        request = _parse(line)
        if request is None:
            self.complain("invalid_json_line", "This line is not parseable as valid JSON.", number)
            return
        for name in ("custom_id", "method", "url", "body"):
            if not request.get(name):
                message = f"Missing required parameter: '{name}'."
                self.complain("missing_required_parameter", message, number, name)
        self._check_id(number, str(request.get("custom_id", "")))
        if request.get("url") not in {None, "", self.endpoint}:
            message = "The URL provided for this request does not prefix-match the batch endpoint."
            self.complain("invalid_url", message, number, "url")
        self._check_model(number, request.get("body"))

    def _check_id(self, number: int, custom_id: str) -> None:
        if custom_id in self.ids:
            message = (
                "The custom_id for this request is a duplicate of another request. "
                "The custom_id parameter must be unique for each request in a batch."
            )
            self.complain("duplicate_custom_id", message, number, "custom_id")
        self.ids[custom_id] = None

    def _check_model(self, number: int, body: object) -> None:
        model = body.get("model") if isinstance(body, dict) else None
        if not isinstance(model, str):
            return
        if self.model is None:
            self.model = model
        elif model != self.model:
            message = f"The model '{model}' differs from '{self.model}'; a batch has one model."
            self.complain("mismatched_model", message, number, "body.model")


def _parse(line: bytes) -> dict[str, object] | None:
    try:
        request = json.loads(line)
    except ValueError:
        return None
    return request if isinstance(request, dict) else None
