"""Which provider a word could be an id of, told without loading any SDK."""

from __future__ import annotations

import re

_OPENAI = re.compile(r"batch_[\w\-]+|[\w\-]{12,}", re.ASCII)
_GEMINI = re.compile(r"batches/[\w\-.]+", re.ASCII)


def openai_claims(word: str) -> bool:
    """Whether ``word`` may be an id of OpenAI or a compatible server, whose ids follow no pattern."""
    return _OPENAI.fullmatch(word) is not None


def gemini_claims(word: str) -> bool:
    """Whether ``word`` is the name of a Gemini batch."""
    return _GEMINI.fullmatch(word) is not None
