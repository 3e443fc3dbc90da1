"""What is kept of an item's key and error: bounded, and without secrets."""

from __future__ import annotations

import re

from jobdash.domain.text import clean
from jobdash.store.sanitize import distinct, stored, stored_error

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{6,}>")
"""Where the text of an object is no more than its place in memory."""


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
