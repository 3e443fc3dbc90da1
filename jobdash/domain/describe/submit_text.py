"""The sentences about a file that is submitted, for both faces."""

from __future__ import annotations

from jobdash.domain.cost import Cost
from jobdash.domain.describe.job_text import status_words
from jobdash.domain.job import JobRow
from jobdash.domain.money import cost_text
from jobdash.domain.text import clean, quantity, short_count
from jobdash.domain.time import short_span

CHARACTERS_PER_TOKEN = 4
_NAME = 40


def estimated_tokens(characters: int) -> int:
    """Return the input tokens that a batch is expected to take, by the length of its file."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def tokens_text(tokens: int) -> str:
    """Return expected tokens, and what they are made of: ``≈ 1.2M tokens (characters ÷ 4)``."""
    noun = "token" if tokens == 1 else "tokens"
    return f"≈ {short_count(tokens)} {noun} (characters ÷ {CHARACTERS_PER_TOKEN})"


def file_words(
    requests: int,
    size: int,
    tokens: int,
    *,
    embeddings: bool = False,
    parts: int = 0,
    cost: Cost | None = None,
) -> str:
    """Return what a file holds: ``12 requests, 3,402 bytes, ≈ 850 tokens (characters ÷ 4), in 3 parts``.

    ``cost`` is that of these tokens, without the answers.
    """
    held = quantity(requests, "embeddings request" if embeddings else "request")
    cut = f", in {parts:,} parts" if parts else ""
    price = "" if cost is None else f", ≈ {cost_text(cost.micros, cost.upper_bound)} without the answers"
    return f"{held}, {size:,} bytes, {tokens_text(tokens)}{price}{cut}"


def same_file(row: JobRow, now: int) -> str:
    """Return the sentence about a job that came of the identical file."""
    name = clean(row.name, _NAME) or "(no name)"
    job = f"{row.public_id} {name} ({row.account}), {status_words(row, now)}"
    return f"the identical file was sent {short_span(now - row.created_at)} ago: {job}"


def waiting_words(number: int) -> str:
    """Return how many batches would wait here: ``2 batches wait here until there is room``."""
    batches = "1 batch waits" if number == 1 else f"{number:,} batches wait"
    return f"{batches} here until there is room at the provider"
