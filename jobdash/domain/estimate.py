"""What a batch is expected to take, estimated before it is sent."""

from __future__ import annotations

from dataclasses import dataclass

from jobdash.domain.text import short_count

CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class SubmitEstimate:
    """What a batch is expected to take."""

    tokens: int
    """Its input tokens."""


def estimate(characters: int) -> SubmitEstimate:
    """Estimate a batch by the length of its file, in characters."""
    return SubmitEstimate(-(-characters // CHARACTERS_PER_TOKEN))


def estimate_text(found: SubmitEstimate) -> str:
    """Return an estimate, and what it is made of: ``≈ 1.2M tokens (characters ÷ 4)``."""
    noun = "token" if found.tokens == 1 else "tokens"
    return f"≈ {short_count(found.tokens)} {noun} (characters ÷ {CHARACTERS_PER_TOKEN})"
