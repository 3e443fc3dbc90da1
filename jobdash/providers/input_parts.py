"""Limits of a batch's file, and the parts that a file over them is cut into."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InputLimits:
    """What one batch takes at most; None: as much as the provider's own limit, or any number."""

    requests: int | None = None
    size: int | None = None
    """In bytes."""
    characters: int | None = None
    """Characters of a part, so that its estimated tokens fit; a whole file is not refused for it."""

    def within(self, requests: int | None, size: int | None) -> InputLimits:
        """Return these limits, none of them higher than a provider's own."""
        return InputLimits(_lower(self.requests, requests), _lower(self.size, size), self.characters)


@dataclass(frozen=True, slots=True)
class FilePart:
    """A run of whole lines of a file that one batch takes."""

    start: int
    """Where it begins, in bytes."""
    size: int
    """In bytes."""
    requests: int
    characters: int
    digest: str
    """The SHA-256 of its content."""


class PartCutter:
    """Cuts a file that is read line by line into as few parts as its limits allow, in the file's order."""

    def __init__(self, limits: InputLimits) -> None:
        self._limits = limits
        self._parts: list[FilePart] = []
        self._start = 0
        self._begin()

    def _begin(self) -> None:
        self._size = self._requests = self._characters = 0
        self._digest = hashlib.sha256()

    def add(self, line: bytes, characters: int) -> None:
        """Add the next line, with its length in characters; it begins a part where it does not fit."""
        if self._requests and self._is_full(len(line), characters):
            self._end()
        self._size += len(line)
        self._requests += 1
        self._characters += characters
        self._digest.update(line)

    def parts(self) -> tuple[FilePart, ...]:
        """Return the parts, once all lines were added; empty where one batch takes the whole file."""
        if self._requests:
            self._end()
        return tuple(self._parts) if len(self._parts) > 1 else ()

    def _is_full(self, size: int, characters: int) -> bool:
        limits = self._limits
        return (
            _passes(self._requests + 1, limits.requests)
            or _passes(self._size + size, limits.size)
            or _passes(self._characters + characters, limits.characters)
        )

    def _end(self) -> None:
        digest = self._digest.hexdigest()
        part = FilePart(self._start, self._size, self._requests, self._characters, digest)
        self._parts.append(part)
        self._start += self._size
        self._begin()


def _lower(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


def _passes(value: int, limit: int | None) -> bool:
    return limit is not None and value > limit
