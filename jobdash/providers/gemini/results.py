"""Lines of Gemini's result files, and its inline answers."""

from __future__ import annotations

from collections.abc import Mapping

from jobdash.providers.base import ResultLine
from jobdash.providers.json_values import items, mapping, text, whole
from jobdash.providers.results import Completion, answer, remote_error

_WHOLE = frozenset({"STOP", "FINISH_REASON_UNSPECIFIED"})
"""Finish reasons of whole answers; any other one says what cut it off."""


def read_line(line: Mapping[str, object]) -> ResultLine | None:
    """Read ``{key, response}`` or ``{key, error}``; of an inline answer the key stands in ``metadata``."""
    key = text(line.get("key")) or text(mapping(line.get("metadata")).get("key"))
    if key is None:
        return None
    status, response = line.get("error"), line.get("response")
    error = remote_error(status, fallback="failed, without a reason") if status else None
    return answer(key, response, error, _completion(mapping(response)))


def _completion(response: Mapping[str, object]) -> Completion:
    """Return how an answer ended: of several candidates, the reason of the first that is not whole."""
    reasons = [text(mapping(each).get("finishReason")) for each in items(response.get("candidates"))]
    reasons.append(text(mapping(response.get("promptFeedback")).get("blockReason")))
    cut = next((reason for reason in reasons if reason and reason not in _WHOLE), None)
    usage = mapping(response.get("usageMetadata"))
    written = [whole(usage.get(name)) for name in ("candidatesTokenCount", "thoughtsTokenCount")]
    known = [number for number in written if number is not None]
    return Completion(
        finish_reason=cut or next((reason for reason in reasons if reason), None),
        cut_off=cut is not None,
        input_tokens=_first(whole(usage.get("promptTokenCount")), whole(response.get("tokenCount"))),
        output_tokens=sum(known) if known else None,
        cached_tokens=whole(usage.get("cachedContentTokenCount")),
    )


def _first(*numbers: int | None) -> int | None:
    return next((number for number in numbers if number is not None), None)
