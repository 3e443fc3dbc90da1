"""Lines of OpenAI's output and error files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jobdash.providers.base import ResultLine
from jobdash.providers.json_values import items, mapping, text, whole
from jobdash.providers.results import Completion, answer, remote_error, unwrapped

_CUT_OFF = frozenset({"length", "content_filter", "max_output_tokens", "max_tokens", "model_length"})
"""Finish reasons of answers that are not whole."""


def read_line(line: Mapping[str, object]) -> ResultLine | None:
    """Read a line of an output or error file: ``{custom_id, response: {status_code, body}, error}``."""
    key = text(line.get("custom_id"))
    if key is None:
        return None
    response = mapping(line.get("response"))
    body = unwrapped(response.get("body"))
    code = whole(response.get("status_code"))
    if line.get("error"):
        return answer(key, None, remote_error(line["error"], fallback="failed, without a reason"))
    if code is not None and code >= 400:
        error = mapping(body).get("error") or body
        return answer(key, None, remote_error(error, fallback=f"HTTP {code}, without a reason"))
    return answer(key, body, None, _completion(mapping(body)))


def _completion(body: Mapping[str, object]) -> Completion:
    """Return how an answer ended: of several choices, the reason of the first that is not whole."""
    reasons = [text(mapping(choice).get("finish_reason")) for choice in items(body.get("choices"))]
    if body.get("status") == "incomplete":  # of /v1/responses
        reasons.append(text(mapping(body.get("incomplete_details")).get("reason")) or "length")
    reason = reasons[0] if len(reasons) == 1 else _first(reasons)
    return Completion(reason, reason in _CUT_OFF, **token_counts(mapping(body.get("usage"))))


def _first(reasons: Sequence[str | None]) -> str | None:
    """Return the first reason of an answer that is not whole, else the first of all."""
    first: str | None = None
    for reason in reasons:
        if reason in _CUT_OFF:
            return reason
        first = first or reason
    return first


def token_counts(usage: Mapping[str, object]) -> dict[str, int | None]:
    """Return the tokens of a ``usage``, of a batch or a line, as `Completion` and `RemoteJob` name them.

    Chat completions and embeddings have other words for what batches and responses call input and output.
    """
    details = mapping(usage.get("input_tokens_details")) or mapping(usage.get("prompt_tokens_details"))
    return {
        "input_tokens": _tokens(usage, "input_tokens", "prompt_tokens"),
        "output_tokens": _tokens(usage, "output_tokens", "completion_tokens"),
        "cached_tokens": whole(details.get("cached_tokens")),
    }


def _tokens(usage: Mapping[str, object], name: str, other: str) -> int | None:
    number = whole(usage.get(name))
    return whole(usage.get(other)) if number is None else number
