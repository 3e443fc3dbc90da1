"""Recognising files that hold something else than requests of a batch, so that they are refused by name."""

from __future__ import annotations

import json
from collections.abc import Mapping

HEAD = 1024 * 1024
"""How much of a file is looked at to tell what it is, in bytes."""

_PRETTY = (
    "this is pretty-printed JSON, of which a request takes many lines; a batch wants one request a line "
    "(jq -c . FILE > requests.jsonl makes it so)"
)
_ARRAY = (
    "this is one JSON array; a batch wants one request a line, without brackets and commas "
    "(jq -c '.[]' FILE > requests.jsonl makes it so)"
)
_ANTHROPIC = 'the line looks like one for Anthropic ("params"), whose batches jobdash does not send; {wants}'
_RESULTS = "this is a file of results ({fields}), not of requests; submit the file the batch was made from"


def not_lines(head: str, *, cut: bool) -> str | None:
    """Return what a file is that does not have one JSON object a line, None when nobody can tell.

    ``head`` is its beginning, ``cut`` says that there is more of it.
    """
    start = head.lstrip()
    if start.startswith("["):
        return _ARRAY
    first, _, rest = start.partition("\n")
    if not first.startswith("{") or not rest.strip():
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(start)
    except (ValueError, RecursionError):
        return _PRETTY if cut and first.strip() == "{" else None
    return _PRETTY if "\n" in start[:end] else None


def not_a_request(line: Mapping[str, object], wants: str) -> str | None:
    """Return what a line is that is no request of a provider jobdash knows; None for any other.

    ``wants`` is what the line should have.
    """
    if "body" in line or "request" in line:
        return None
    if "custom_id" in line and "params" in line:
        return _ANTHROPIC.format(wants=wants)
    results = [name for name in ("response", "result", "error") if name in line]
    if results and ("custom_id" in line or "key" in line):
        return _RESULTS.format(fields=", ".join(f'"{name}"' for name in results))
    return None
