"""Tags of a job, as a person writes them."""

from __future__ import annotations

from collections.abc import Iterable


def parse_tags(words: Iterable[str]) -> dict[str, str]:
    """Read ``key=value`` words; ValueError with the word for any other."""
    tags: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals and value):
            raise ValueError(f"{word!r} has to look like key=value")
        tags[key] = value
    return tags
