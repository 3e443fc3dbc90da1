"""What is kept of an item: its key, its detail, its error; bounded, without secrets, and never pickled."""

from __future__ import annotations

import json
import re

from jobdash.domain.text import ERROR_BYTES, HIDDEN, clean, is_secret, redact
from jobdash.store.texts import distinct, stored, stored_error

DETAIL_BYTES = ERROR_BYTES
"""The most that is kept of one detail, as JSON."""
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{6,}>")
"""Where the text of an object is no more than its place in memory."""

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def kept_key(key: object) -> str:
    """Return an item's key as the store keeps it: its text, the same for the same key in every run.

    One that is too long, holds half a character or what looks like a secret, is made unique by a hash. Keys
    of one text are one key: 1 and "1". Raises TypeError for what has another text in the next run.
    """
    text = key if isinstance(key, str) else str(key)
    if isinstance(key, set | frozenset) or (" at 0x" in text and _ADDRESS.search(text)):
        raise TypeError(
            "key= has to return the same for an item in every run, a path or a row's id:"
            f" not {clean(text, 80)}"
        )
    return distinct(text)


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
        text = _encode(_redacted(value))
    except (TypeError, ValueError, RecursionError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
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
    if isinstance(value, dict):
        return {redact(key) if isinstance(key, str) else key: _of(key, some) for key, some in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(some) for some in value]
    return value


def _of(name: object, value: object) -> object:
    """Return what goes by a name, hidden where the name says that it is a key."""
    if isinstance(name, str) and is_secret(name, value if isinstance(value, str) else ""):
        return _hidden(value)
    return _redacted(value)


def _hidden(value: object) -> object:
    if isinstance(value, str):
        return HIDDEN if value else value
    if isinstance(value, dict):
        return {redact(key) if isinstance(key, str) else key: _hidden(some) for key, some in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(some) for some in value]
    return value
