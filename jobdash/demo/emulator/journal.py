"""The requests to the emulator, in order: for tests of what really went over the wire."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

KEPT = 100_000
"""Entries; older ones are dropped, so that a demo may run for days."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One request and its result."""

    at: float
    """The emulator's time, in seconds since the epoch."""
    method: str
    path: str
    query: str
    account: str
    """The label of the key (`key_label`), never the key itself."""
    body: str
    """JSON as it was sent, bounded; of anything else only size and type."""
    applied: bool
    """Whether the request reached the API; a fault may have come before."""
    status: int | None
    """None when no answer was sent."""
    fault: str | None
    """The fault that applied, if one did."""


class Journal:
    """The entries, oldest first. An entry is there before its answer is sent."""

    def __init__(self) -> None:
        self._entries: deque[JournalEntry] = deque(maxlen=KEPT)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[JournalEntry]:
        return iter(tuple(self._entries))

    def add(self, entry: JournalEntry) -> None:
        """Append one."""
        self._entries.append(entry)

    def calls(self, method: str = "*", path: str = "*") -> list[JournalEntry]:
        """The entries whose method and path match these shell patterns."""
        return [
            entry for entry in self if fnmatchcase(entry.method, method) and fnmatchcase(entry.path, path)
        ]

    def clear(self) -> None:
        """Start anew."""
        self._entries.clear()


def key_label(key: str) -> str:
    """What stands for a key in the journal."""
    return hashlib.sha256(key.encode()).hexdigest()[:8] if key else ""
