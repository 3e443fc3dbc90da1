"""Identifiers that look like the providers' and are the same in every run."""

from __future__ import annotations

import hashlib
import itertools
import threading


class IdGenerator:
    """Hands out identifiers; the sequence depends on the seed alone."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def number(self) -> int:
        """The next number, never given twice."""
        with self._lock:
            return next(self._numbers)

    def word(self, kind: str, length: int) -> str:
        """A new word of that many lower-case letters and digits."""
        return derived(f"{self._seed}/{kind}/{self.number()}", length)


def derived(source: str, length: int) -> str:
    """The word of that many hexadecimal digits that always belongs to `source`; at most 64."""
    return hashlib.sha256(source.encode()).hexdigest()[:length]
