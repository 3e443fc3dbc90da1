"""What a batch is expected to take, estimated before it is sent."""

from __future__ import annotations

from dataclasses import dataclass

CHARACTERS_PER_TOKEN = 4
_UNITS = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))


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
    return f"≈ {short_number(found.tokens)} {noun} (characters ÷ {CHARACTERS_PER_TOKEN})"


def short_number(number: int) -> str:
    """Return a number with its unit: ``1.2M``, ``12k``, ``830``."""
    for size, unit in _UNITS:
        if number >= size:
            shown = number / size
            return f"{shown:.1f}{unit}" if shown < 10 else f"{shown:,.0f}{unit}"
    return str(number)
