"""Keys are taken out of every text that comes from, or tells of, a provider."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

HIDDEN = "[key]"
"""What stands where a key stood."""

Redact = Callable[[str], str]
"""Returns a text without any key."""

_NAMES = r"x-goog-api-key|api-key|authorization"
_HEADER = rf"(?i)((?:{_NAMES})[\"']?\s*[:=]\s*(?:b?[\"'])?+(?:(?:basic|bearer)\s+)?+)"
_SHAPES = (
    re.compile(r"\bsk-[\w*.\-]{3,}"),
    re.compile(r"AIza[\w*\-]{3,}"),
    re.compile(_HEADER + r"[^\s\"',;&]+"),
    re.compile(r"(?i)(\bbearer\s+)[^\s\"',;]+"),
    re.compile(r"(?i)([?&](?:key|api_key|access_token)=)[^\s&\"'#]+"),
)


def redact(text: str, secret: str = "") -> str:
    """Return ``text`` without anything shaped like a key, and without ``secret`` itself.

    The shapes cover OpenAI (``sk-…``), Google (``AIza…``), authorization headers and keys in a query;
    ``secret`` covers servers whose keys look like nothing in particular.
    """
    if secret:
        text = text.replace(secret, HIDDEN)
    for shape in _SHAPES:
        text = shape.sub(_hide, text)
    return text


def _hide(match: re.Match[str]) -> str:
    return (match.group(1) if match.re.groups else "") + HIDDEN


def redactor(secret: str) -> Redact:
    """Return `redact` bound to an account's own key."""
    return partial(redact, secret=secret)
