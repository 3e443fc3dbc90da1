"""What tags an OpenAI batch can carry; apart from its adapter, so that a check loads no SDK."""

from __future__ import annotations

from collections.abc import Mapping

MAX_TAGS = 14
"""A batch carries 16 metadata entries; two are ours."""
LONGEST_KEY, LONGEST_VALUE = 64, 512


def wrong_tags(tags: Mapping[str, str]) -> str | None:
    """Return why tags do not fit into a batch's metadata, None when they do."""
    if len(tags) > MAX_TAGS:
        return f"{len(tags)} tags, an OpenAI batch carries {MAX_TAGS}"
    for key, value in tags.items():
        if len(key) > LONGEST_KEY or len(value) > LONGEST_VALUE:
            sizes = f"{LONGEST_KEY} characters for the name, {LONGEST_VALUE} for the value"
            return f"tag {key[:LONGEST_KEY]!r} is too long ({sizes})"
    return None
