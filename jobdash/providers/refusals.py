"""HTTP errors as `ProviderError`; the only place where status codes get their meaning."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from html import unescape

from jobdash.domain.text import redact
from jobdash.errors import (
    AuthRejected,
    BadResponse,
    InvalidRequest,
    NotFound,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)
from jobdash.providers.json_values import error_words, items, mapping, text

LONGEST_WAIT_S = 24 * 3600.0
"""A Retry-After beyond this is taken for a mistake: no request waits longer than a day."""

_DETAIL = 4096
"""How much of a provider's words is kept, in characters; a proxy's error page can be long."""
_READ_BYTES = 64 * 1024
"""How much of them is searched for secrets: much more than is kept, but not the megabytes a proxy may send,
which would hold up the loop.
"""
_IN_MESSAGE = 300
"""How much of them stands in the message itself."""

_OVERLOADED = frozenset({503, 529})
"""Answered instead of carrying the request out: what names a time with one of them may be asked again."""

_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)
_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_NO_CREDIT = "credit balance is too low"
"""What Anthropic answers with a 400, as if the request were wrong."""
_BAD_KEY = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "invalid_api_key"})
_WRONG_KEY = frozenset({"API_KEY_INVALID", "invalid_api_key"})
_WRONG_KEY_WORDS = re.compile(
    r"(?i)(?:(?:incorrect|invalid) api[ _-]?key(?: provided)?(?:[.:!]|$)|api key not valid\b)"
)
"""Messages about a wrong key, which add nothing to the code and may hold a piece of the key."""
_PAGE = re.compile(r"(?i)<(?:!doctype|html|head|body|title)\b")
_TITLE = re.compile(r"(?is)<title[^>]{0,200}>(.{0,500}?)</title>")
_UNSEEN = re.compile(r"(?is)<(script|style)\b.*?(?:</\1>|$)")
_MARK = re.compile(r"(?s)<[^>]{0,2000}>")
_PHRASES: dict[type[ProviderError], str] = {
    AuthRejected: "key rejected",
    NotFound: "not found",
    RateLimited: "too many requests",
    QuotaExhausted: "quota used up",
    Unavailable: "server error",
    InvalidRequest: "refused",
    BadResponse: "unexpected answer",
}


@dataclass(frozen=True, slots=True)
class _ErrorBody:
    """The content of an error body, whichever provider wrote it."""

    message: str
    codes: frozenset[str]
    retry_delay: str | None


def refusal(status: int, headers: Mapping[str, str], content: bytes, *, now: float) -> ProviderError:
    """Return the error that an answer outside 2xx stands for.

    ``headers`` is a mapping that ignores case; ``now`` is the time in seconds since 1970, for a
    Retry-After that names a date. The provider's own words are kept, redacted, in ``detail``.
    """
    body = _read(content)
    detail = redact(body.message[:_READ_BYTES])[:_DETAIL]
    kind = _kind(status, body)
    message = f"{_PHRASES[kind]} ({status})"
    if detail and not (kind is AuthRejected and _is_wrong_key(body)):
        message += f": {detail[:_IN_MESSAGE]}"
    if kind is RateLimited:
        return RateLimited(message, status=status, detail=detail, retry_after=_wait(headers, body, now))
    if kind is Unavailable:
        wait = _wait(headers, body, now) if status in _OVERLOADED else None
        return Unavailable(message, status=status, detail=detail, retry_after=wait)
    return kind(message, status=status, detail=detail)


def _kind(status: int, body: _ErrorBody) -> type[ProviderError]:
    if body.codes & _QUOTA or status == 402 or (status == 400 and _NO_CREDIT in body.message):
        return QuotaExhausted
    if status == 403 and "may not exist" in body.message:
        # Gemini's Files API answers 403 for a file that is gone: "You do not have permission to access the
        # File … or it may not exist." Taken for a bad key it would stop every later action of the account.
        return NotFound
    if status in {401, 403} or body.codes & _BAD_KEY:
        return AuthRejected
    if status in {404, 410}:
        return NotFound
    if status == 429:
        return RateLimited
    if status == 408 or status >= 500:
        return Unavailable
    return InvalidRequest if 400 <= status < 500 else BadResponse


def answered_error(value: object) -> BadResponse | None:
    """Return the error that an answer inside 2xx holds in the place of what was asked for.

    None for an answer with any content of its own: a batch may well list its errors.
    """
    fields = mapping(value)
    error = any(fields.get(name) for name in ("error", "errors", "detail")) and not fields.keys() & _CONTENT
    if not (error or fields.get("object") == "error"):
        return None
    return _unexpected("the provider answered an error", value, 200)


def not_expected(what: str, value: object) -> BadResponse:
    """Return the error for an answer that is not ``what`` it should be, with the words it has."""
    return _unexpected(f"the provider answered something that is not {what}", value, None)


def _unexpected(sentence: str, value: object, status: int | None) -> BadResponse:
    detail = redact(error_words(value)[:_READ_BYTES])[:_DETAIL] if isinstance(value, dict) else ""
    words = f": {detail[:_IN_MESSAGE]}" if detail else ""
    return BadResponse(f"{sentence}{words}", status=status, detail=detail)


_CONTENT = frozenset(
    {"id", "name", "data", "object", "operations", "metadata", "response", "done", "file", "files", "job"}
)
"""Fields of answers that are no errors."""


def _is_wrong_key(body: _ErrorBody) -> bool:
    return bool(body.codes & _WRONG_KEY) or _WRONG_KEY_WORDS.match(body.message) is not None


def _read(content: bytes) -> _ErrorBody:
    """Read the error in a body.

    That is OpenAI's ``{"error": {message, type, code}}``, Google's ``{"error": {message, status, details}}``,
    the same in a list of one, FastAPI's ``{"detail": …}``, or whatever text there is.
    """
    try:
        body: object = json.loads(content)
    except (ValueError, RecursionError):
        page = content[:_READ_BYTES].decode("utf-8", "replace")
        return _ErrorBody(" ".join(_visible_text(page).split()), frozenset(), None)
    if isinstance(body, list) and body:
        body = body[0]
    outer = mapping(body)
    inner = next((error for name in ("error", "detail") if (error := mapping(outer.get(name)))), outer)
    details = [mapping(detail) for detail in items(inner.get("details"))]
    words = [fields.get(name) for fields in (inner, outer) for name in ("code", "type", "status")]
    words += [detail.get("reason") for detail in details]
    return _ErrorBody(
        message=error_words(body),
        codes=frozenset(word for word in words if isinstance(word, str)),
        retry_delay=next((d for detail in details if (d := text(detail.get("retryDelay")))), None),
    )


def _visible_text(page: str) -> str:
    """Return the visible text of a page of HTML: its title, else its text; any other text as it is."""
    if _PAGE.search(page) is None:
        return page
    title = _TITLE.search(page)
    seen = title[1] if title is not None and title[1].strip() else _MARK.sub(" ", _UNSEEN.sub(" ", page))
    return unescape(seen)


def _wait(headers: Mapping[str, str], body: _ErrorBody, now: float) -> float | None:
    """Return the seconds to wait: from the header, else from Google's ``RetryInfo`` ("20s").

    OpenAI's and Azure's own header is finer.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if (wait := _sensible(milliseconds, 1000)) is not None:
        return wait
    named = headers.get("retry-after")
    if named is not None:
        return parse_retry_after(named, now)
    if body.retry_delay and body.retry_delay.endswith("s"):
        return _sensible(body.retry_delay.removesuffix("s"))
    return None


def parse_retry_after(value: str, now: float) -> float | None:
    """Return the seconds a Retry-After asks for (RFC 9110, 10.2.3: a number, or an HTTP date).

    A date already past is 0; None for anything unreadable or beyond `LONGEST_WAIT_S`. ``now`` is in
    seconds since 1970.
    """
    value = value.strip()
    if value[:1].isdigit():
        return _sensible(value)
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp() - now
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return max(0.0, seconds) if seconds <= LONGEST_WAIT_S else None


def _sensible(value: str, per_second: int = 1) -> float | None:
    if not _NUMBER.fullmatch(value):
        return None
    seconds = float(value) / per_second
    return seconds if seconds <= LONGEST_WAIT_S else None
