"""Reads the requests of a new Gemini batch, from a file's lines or from the batch itself."""

from __future__ import annotations

import json

from jobdash.demo.emulator.batch import BatchRequests
from jobdash.demo.emulator.batch_plan import LineError
from jobdash.demo.emulator.errors import ApiError


def is_embedding(model: str) -> bool:
    """Whether a model makes embeddings, and nothing else."""
    return "embedding" in model


def read_file(content: bytes, *, embeddings: bool = False) -> tuple[BatchRequests, tuple[LineError, ...]]:
    """The requests of an input file, and what is wrong with it."""
    wrong, without = ("contents", "content") if embeddings else ("content", "contents")
    keys: list[str] = []
    errors: list[LineError] = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            item = json.loads(line)
        except ValueError:
            item = None
        if not isinstance(item, dict) or not isinstance(item.get("request"), dict):
            errors.append(LineError("INVALID_ARGUMENT", "not a JSON object with a request", number))
        elif wrong in item["request"] and without not in item["request"]:
            errors.append(LineError("INVALID_ARGUMENT", f'Unknown name "{wrong}" at request', number))
        else:
            keys.append(str(item.get("key", "")))
    if not keys and not errors:
        errors.append(LineError("INVALID_ARGUMENT", "the input file is empty"))
    return BatchRequests(len(keys), tuple(keys)), tuple(errors)


def read_inline(config: dict[str, object]) -> BatchRequests:
    """The requests of an `inputConfig`; `metadata` of each goes back with its response."""
    outer = config.get("requests")
    items = outer.get("requests") if isinstance(outer, dict) else None
    if not isinstance(items, list) or not items:
        raise ApiError(400, "The batch has neither a file nor requests.")
    metadata = tuple(item.get("metadata") if isinstance(item, dict) else None for item in items)
    return BatchRequests(len(items), metadata=metadata)
