"""The endpoints that batches are for, so that a slip of the finger is seen before anything is sent."""

from __future__ import annotations

from difflib import get_close_matches
from urllib.parse import urlsplit

OPENAI = (
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/videos",
)
"""https://platform.openai.com/docs/api-reference/batch/create"""
_COMPATIBLE = (
    "/responses",
    "/chat/completions",
    "/embeddings",
    "/completions",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/rerank",
    "/v1/score",
    "/v1/messages",
)
"""Those of servers that speak OpenAI's API: Azure's, Groq's, vLLM's."""
WITHOUT_MODEL = frozenset({"/v1/moderations"})
"""Whose requests need not name a model."""
_OWN_HOST = "api.openai.com"


def at_openai(base_url: str | None) -> bool:
    """Whether an account is at OpenAI itself, where no other endpoints can be."""
    return base_url is None or urlsplit(base_url).hostname == _OWN_HOST


def unknown_endpoint(endpoint: str, base_url: str | None) -> str | None:
    """Return what is odd about an endpoint, with the one that may be meant; None for a known one."""
    own = at_openai(base_url)
    known = OPENAI if own else (*OPENAI, *_COMPATIBLE)
    if endpoint in known:
        return None
    near = get_close_matches(endpoint, known, 1, 0.6)
    hint = f"; do you mean {near[0]}?" if near else f"; there are {', '.join(OPENAI)}"
    where = "OpenAI" if own else "OpenAI or the servers like it"
    return f"no endpoint of {where} is called {endpoint!r}{hint}"
