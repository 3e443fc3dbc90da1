"""A table of the config file with a mistake, which is not used."""

from __future__ import annotations

from typing import NamedTuple


class FaultyTable(NamedTuple):
    """A table of the file with a mistake: what it is for is off, all else works."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"[{self.name}] is not used: {self.reason}"
