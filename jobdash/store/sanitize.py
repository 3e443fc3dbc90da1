"""Values as the store keeps them: bounded, without secrets, and writable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any

from jobdash.domain.text import ERROR_BYTES, HIDDEN, NAME_BYTES, bounded, is_secret, redact

_MOST_ENTRIES = 64
"""Entries kept of metadata and the like; providers allow 16."""
_MOST = 2**53
"""The largest count that is kept: sums of some of them have less than 64 bits."""
_HASH_LETTERS = 16

as_json = json.JSONEncoder(separators=(",", ":"), sort_keys=True, default=str).encode
"""Return a value as the JSON that the store keeps: ASCII, and the same for equal values."""


def stored(text: str, limit: int = NAME_BYTES) -> str:
    """Return a text as it is kept: without keys and NULs, at most ``limit`` bytes, and encodable."""
    if "\0" in text:  # which PostgreSQL refuses
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    kept = bounded(redact(text), limit)
    return kept if kept.isascii() else kept.encode("utf-8", "replace").decode("utf-8")


def distinct(text: str) -> str:
    """Return an identifying text as it is kept: two that differ stay different.

    One that cannot be kept as it is (too long, with a key in it, with half a character) ends in a hash.
    """
    kept = stored(text)
    if kept == text:
        return text
    from hashlib import sha256

    mark = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LETTERS]
    return f"{stored(text, NAME_BYTES - _HASH_LETTERS - 1)}#{mark}"


def stored_error(text: str) -> str:
    """Return an error's message as it is kept."""
    return stored(text, ERROR_BYTES)


def stored_number(value: int | None) -> int | None:
    """Return a count or a time, or None for one that cannot be."""
    return value if value is not None and 0 <= value <= _MOST else None


def stored_words(words: Mapping[str, str]) -> str | None:
    """Return a mapping of texts (metadata, files) as JSON; None when it is empty."""
    if not words:
        return None
    some = islice(words.items(), _MOST_ENTRIES)
    return as_json({stored(key): stored_named(key, value) for key, value in some})


def stored_named(name: str, text: str) -> str:
    """Return a text as it is kept, hidden where its name is that of a key."""
    return HIDDEN if text and is_secret(name, text) else stored(text)


def stored_json(value: Mapping[str, Any] | None) -> str | None:
    """Return a structure of a provider's own as JSON; None when it is empty or enormous."""
    text = redact(as_json(value)) if value else ""
    return text if 0 < len(text) <= ERROR_BYTES else None
