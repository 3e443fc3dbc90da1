"""Lines of Anthropic's results."""

from __future__ import annotations

from collections.abc import Mapping

from jobdash.domain.remote_job import RemoteError
from jobdash.providers.base import ResultLine
from jobdash.providers.json_values import mapping, text, whole
from jobdash.providers.results import Completion, answer, remote_error

_CUT_OFF = frozenset({"max_tokens", "model_context_window_exceeded", "pause_turn", "refusal"})
"""Stop reasons of answers that are not whole."""
_NOT_SENT = {
    "canceled": "the batch was cancelled before this request was processed",
    "expired": "the batch expired before this request was processed",
}


def read_line(line: Mapping[str, object]) -> ResultLine | None:
    """Read ``{custom_id, result: {type, message or error}}``."""
    key = text(line.get("custom_id"))
    if key is None:
        return None
    result = mapping(line.get("result"))
    kind = text(result.get("type")) or ""
    if kind in _NOT_SENT:
        return answer(key, None, RemoteError(_NOT_SENT[kind], code=kind))
    if kind == "errored" or result.get("error"):
        wrapped = mapping(result.get("error"))
        # The documentation has the error itself there, the API the whole answer to a single request.
        error = mapping(wrapped.get("error")) or wrapped
        return answer(key, None, remote_error(error, fallback="failed, without a reason"))
    message = result.get("message")
    return answer(key, message, None, _completion(mapping(message)))


def _completion(message: Mapping[str, object]) -> Completion:
    """Return how an answer ended; what was written to or read from a cache is input, too."""
    reason = text(message.get("stop_reason"))
    usage = mapping(message.get("usage"))
    cached = whole(usage.get("cache_read_input_tokens"))
    given = whole(usage.get("input_tokens"))
    written = whole(usage.get("cache_creation_input_tokens"))
    return Completion(
        finish_reason=reason,
        cut_off=reason in _CUT_OFF,
        input_tokens=None if given is None else given + (cached or 0) + (written or 0),
        output_tokens=whole(usage.get("output_tokens")),
        cached_tokens=cached,
    )
