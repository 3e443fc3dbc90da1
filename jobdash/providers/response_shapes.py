"""Answers in another shape than the documented one, read where they are plain; else shown."""

from __future__ import annotations

import json
from collections.abc import Mapping

from jobdash.domain.text import redact
from jobdash.errors import BadResponse
from jobdash.providers.json_values import mapping, rfc3339_ms, text, unix_ms

_WRAPPERS = ("job", "batch", "data", "result", "response")
"""Fields in which servers put the one object that was asked for."""
_SHOWN = 300
"""How much of an answer is shown, in characters."""
_YES, _NO = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0", "null", "none", ""})

PENDING_FILE = frozenset(
    {
        "pending", "uploading", "processing", "running", "queued", "in_progress", "notstarted", "not_started",
        "validating", "importing",
    }
)  # fmt: skip
"""States of an uploaded file, in lower case, in which no batch can be made of it yet."""
REFUSED_FILE = frozenset({"error", "failed", "invalid", "deleted", "cancelled", "canceled"})


def identifier(value: object) -> str | None:
    """Return an id: a text, or a whole number as one."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text(value)


def unwrapped_object(value: object, *wrappers: str) -> Mapping[str, object]:
    """Return the object with an id that an answer is, or that it holds in a field like ``job``."""
    found = mapping(value)
    if identifier(found.get("id")) is None:
        inner = (mapping(found.get(name)) for name in (*wrappers, *_WRAPPERS))
        return next((each for each in inner if identifier(each.get("id")) is not None), found)
    return found


def moment_ms(value: object) -> int | None:
    """Return a time, a Unix time or one as RFC 3339 writes it, as milliseconds UTC."""
    return rfc3339_ms(value) if isinstance(value, str) else unix_ms(value)


def yes_or_no(value: object) -> bool | None:
    """Return a truth value, also one written as a text or a number; None for anything else."""
    if isinstance(value, str):
        word = value.strip().lower()
        return True if word in _YES else False if word in _NO else None
    return bool(value) if isinstance(value, bool | int) else None


def shown(error: BadResponse, value: object) -> BadResponse:
    """Return an error with the beginning of the answer that it is about."""
    try:
        excerpt = redact(json.dumps(value, ensure_ascii=False))
    except (ValueError, TypeError):
        excerpt = type(value).__name__
    excerpt = excerpt if len(excerpt) <= _SHOWN else f"{excerpt[:_SHOWN]}…"
    return BadResponse(f"{error}. It answered: {excerpt}", status=error.status, detail=error.detail)
