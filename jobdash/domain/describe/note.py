"""One line of what a plan says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """One line of a plan: what it is about, and what will happen."""

    topic: str
    text: str
    warning: bool = False
