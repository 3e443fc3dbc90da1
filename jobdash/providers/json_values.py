"""Reading values from untrusted JSON: each function returns the type it names, or None."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from math import isfinite
from typing import TypeVar

from jobdash.domain.text import redact
from jobdash.domain.time import LATEST_MS, in_calendar
from jobdash.errors import BadResponse

T = TypeVar("T")

NOT_JSON = "the answer is not JSON"

_LARGEST = 2**63 - 1
_MILLISECONDS_FROM = 1_000_000_000_000
"""Unix times from here on are milliseconds: as such September 2001, before any batch, and no year as seconds.

The end of the year 9999 lies below it: written in seconds it means "never", and is no day in 1978."""
_WHOLE = re.compile(r"\d{1,19}", re.ASCII)


def decode(content: bytes | str) -> object:
    """Return the JSON value of an answer, its NaN and infinities as None; BadResponse when it is none."""
    try:
        value: object = json.loads(content, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise BadResponse(f"{NOT_JSON} ({type(error).__name__})") from None
    return value


def decode_line(line: bytes) -> object:
    """Return the JSON value of a line of a file, as `decode` does and several times faster.

    But a number beyond the range of a double is an infinity. BadResponse when the line is no JSON.
    """
    try:
        return parse_line(line)
    except ValueError:
        return decode(line)


def parse_line(line: bytes) -> object:
    """Return the JSON value of a line by the fast parser.

    ValueError for what is no JSON, and for things that people's files have nevertheless: NaN, lone
    surrogates, a byte order mark.
    """
    return _fast_parser()(line)


@cache
def _fast_parser() -> Callable[[bytes], object]:
    # Imported with the first line: the first screen would wait for it.
    from pydantic_core import from_json

    return partial(from_json, allow_inf_nan=False, cache_strings="keys")


def _no_number(_name: str) -> None:
    """Read NaN and Infinity, which are no JSON, as None: kept, they would make `--json` none either."""


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if isfinite(number) else None


def mapping(value: object) -> Mapping[str, object]:
    """Return a JSON object, empty for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> Sequence[object]:
    """Return a JSON array, empty for anything else."""
    return value if isinstance(value, list) else ()


def readable(values: Sequence[object], read: Callable[[object], T]) -> tuple[T, ...]:
    """Return what ``read`` makes of the entries of a list, without those it raises BadResponse for.

    One unreadable entry must not hide the others; raises BadResponse when none is readable.
    """
    found: list[T] = []
    wrong: BadResponse | None = None
    for value in values:
        try:
            found.append(read(value))
        except BadResponse as error:
            wrong = error
    if wrong is not None and not found:
        raise wrong
    return tuple(found)


def text(value: object) -> str | None:
    """Return a text that holds something and can be written as UTF-8; a lone surrogate becomes ``�``."""
    if not isinstance(value, str) or not value.strip():
        return None
    return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_WORDS = (
    "message", "detail", "error", "errors", "error_description", "error_message", "description", "msg",
    "title", "reason",
)  # fmt: skip
"""The fields that hold an error's own words, the plainest first."""
_MOST_ENTRIES = 20
_DEEPEST = 5


def error_words(value: object, depth: int = _DEEPEST) -> str:
    """Return the message of an error, on one line; empty where it has none.

    Reads OpenAI's and Google's ``{message}``, FastAPI's ``{"detail": text}`` and
    ``{"detail": [{loc, msg}]}``, a plain text, a list of any of these, and the same wrapped into ``error``
    or ``errors``.
    """
    if isinstance(value, str):
        return " ".join((text(value) or "").split())
    if depth == 0 or not value:
        return ""
    if isinstance(value, list):
        found = (error_words(entry, depth - 1) for entry in value[:_MOST_ENTRIES])
        return "; ".join(dict.fromkeys(words for words in found if words))
    fields = mapping(value)
    texts = (error_words(fields[name], depth - 1) for name in _WORDS if name in fields)
    words = next((words for words in texts if words), "")
    place = ".".join(str(part) for part in items(fields.get("loc")) if isinstance(part, (str, int)))
    return f"{place}: {words}" if place and words else words


def whole(value: object) -> int | None:
    """Return a count: a number ≥ 0, also one written as text (as Google writes 64-bit numbers)."""
    if type(value) is int:  # most are; a list has a dozen in each of its thousands of batches
        return value if 0 <= value <= _LARGEST else None
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and 0 <= value <= _LARGEST else None


def unix_ms(value: object) -> int | None:
    """Return a Unix time, in seconds or (from some servers) in milliseconds, as milliseconds UTC.

    None for what is not a date in every time zone: the end of the year 9999 means "never".
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= LATEST_MS:
        return None
    return _dated(round(value if value >= _MILLISECONDS_FROM else value * 1000))


def _dated(milliseconds: int) -> int | None:
    return milliseconds if milliseconds > 0 and in_calendar(milliseconds) else None


def rfc3339_ms(value: object) -> int | None:
    """Return an RFC 3339 time as milliseconds UTC; one without a zone is taken for UTC.

    None for what is not a date in every time zone, like `unix_ms`.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return _dated(round(moment.timestamp() * 1000))
    except (ValueError, OverflowError):
        return None


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


def time_ms(value: object) -> int | None:
    """Return a time as milliseconds UTC.

    It may be a Unix time, also as a text, one as RFC 3339 writes it, or an object with one of these (a
    protobuf's ``seconds``, a Go server's ``Time``).
    """
    if isinstance(value, dict):
        inner = [value.get(name) for name in ("seconds", "Time", "time")]
        return next((ms for each in inner if not isinstance(each, dict) and (ms := time_ms(each))), None)
    return (rfc3339_ms(value) or unix_ms(whole(value))) if isinstance(value, str) else unix_ms(value)


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
    return error.reworded(f"{error}. It answered: {excerpt}")
