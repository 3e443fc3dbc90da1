"""Lines of a result file as `ResultLine`, also those that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from jobdash.domain.remote_job import RemoteError
from jobdash.errors import BadResponse
from jobdash.providers.base import ResultLine
from jobdash.providers.json_values import decode, error_words, mapping, text, whole

UNREADABLE = "unreadable_line"
"""The code of an error that jobdash made up for a line it could not read."""

ReadLine = Callable[[Mapping[str, object]], ResultLine | None]
"""Returns a line's answer, None when the object has no key."""


def result_line(
    raw: bytes, *, where: str, read: ReadLine, decode: Callable[[bytes], object] = decode
) -> ResultLine | None:
    """Return one line's answer, None for a blank line.

    A line that is no JSON object, or names no request, becomes an error with the made-up key ``where``
    ("line 17 of the output file"), so that one bad line costs one answer and is seen.
    """
    if not raw.strip():
        return None
    try:
        value = decode(raw)
    except BadResponse:
        value = None
    line = read(value) if isinstance(value, dict) else None
    return line or unreadable(where)


def unreadable(where: str) -> ResultLine:
    """Return the error that stands for an unreadable line."""
    error = RemoteError(f"{where} cannot be read", code=UNREADABLE)
    return ResultLine(f"({where})", None, error, readable=False)


class Completion(NamedTuple):
    """How an answer ended, and what it took: fields of a `ResultLine`, in its order.

    None where the provider does not report it.
    """

    finish_reason: str | None = None
    cut_off: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    """Those of the input tokens that came out of a cache."""


def answer(
    key: str, body: object, error: RemoteError | None, completion: Completion | None = None
) -> ResultLine:
    """Return an answer of which exactly one side is there; neither is an error too."""
    if error is None and body is None:
        error = RemoteError("the provider answered neither a result nor an error", code=UNREADABLE)
    if error is not None:
        return ResultLine(key, None, error)
    return ResultLine(key, body, None, *(completion or ()))


def unwrapped(body: object) -> object:
    """Return a body that a compatible server wrapped into a JSON string as what it means."""
    if isinstance(body, str):
        try:
            inner = decode(body)
        except BadResponse:
            return body
        return inner if isinstance(inner, (dict, list)) else body
    return body


def remote_error(value: object, *, fallback: str) -> RemoteError:
    """Read an error object of either provider; ``fallback`` is the message when it has none."""
    fields = mapping(value)
    code = fields.get("code")
    return RemoteError(
        message=text(fields.get("message")) or error_words(value) or fallback,
        code=text(code) or text(fields.get("type")) or text(fields.get("status")) or _number(code),
        line=whole(fields.get("line")),
        param=text(fields.get("param")),
    )


def _number(value: object) -> str | None:
    number = whole(value)
    return None if number is None else str(number)
