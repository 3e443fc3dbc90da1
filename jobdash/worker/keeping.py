"""What is kept of an item: its key, its detail, its error; bounded, without secrets, and never pickled."""

from __future__ import annotations

import json
from collections.abc import Mapping

from jobdash.domain.text import ERROR_BYTES, NAME_BYTES, bounded, redact
from jobdash.store.texts import stored, stored_error

DETAIL_BYTES = ERROR_BYTES
"""The most that is kept of one detail, as JSON."""
_HASH_LETTERS = 16

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def kept_key(key: object) -> str:
    """Return an item's key as the store keeps it: a text, the same for the same key in every run.

    One that is too long, or holds what looks like a secret, is cut and made unique by a hash.
    """
    text = key if isinstance(key, str) else str(key)
    if not text.isascii():  # a file's name may hold half characters, which no database can
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    shown = redact(text)
    if shown == text and len(text.encode()) <= NAME_BYTES:
        return text
    from hashlib import sha256

    mark = sha256(text.encode()).hexdigest()[:_HASH_LETTERS]
    return f"{bounded(shown, NAME_BYTES - _HASH_LETTERS - 1)}#{mark}"


def kept_detail(value: object) -> str | None:
    """Return a detail as JSON; None for None.

    A long text is cut, and says so. Raises TypeError for what is neither text nor JSON, and ValueError for
    JSON of more than `DETAIL_BYTES`.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _encode(stored(value, DETAIL_BYTES))
    try:
        text = _encode(value)
        if redact(text) != text:
            text = _encode(_redacted(value))
    except TypeError as error:
        raise TypeError(
            f"item.detail takes text or JSON (numbers, lists, dicts), and this is not: {error}"
        ) from None
    if len(text) > DETAIL_BYTES:
        raise ValueError(
            f"item.detail is {len(text):,} bytes of JSON; at most {DETAIL_BYTES:,} are kept."
            " Write it to a file, and keep the file's name."
        )
    return text


def kept_error(error: BaseException) -> tuple[str, str]:
    """Return an exception's type and message as they are kept."""
    try:
        message = str(error)
    except Exception as second:  # noqa: BLE001 - a user's __str__ may do anything
        message = f"(its message cannot be read: {type(second).__name__})"
    return stored(type(error).__qualname__), stored_error(message)


def sentence_of(error: BaseException) -> str:
    """Return an exception as one sentence: ``ValueError: no such colour``."""
    kind, message = kept_error(error)
    return f"{kind}: {message}" if message else kind


def _redacted(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(key) if isinstance(key, str) else key: _redacted(some) for key, some in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(some) for some in value]
    return value
