"""Showing where in a filter the mistake is."""

from __future__ import annotations

from jobdash.cli.tables import cells
from jobdash.domain.text import clean


def caret_lines(text: str, position: int) -> tuple[str, str]:
    """Return the filter as it may be seen, and a caret under the place."""
    shown = clean(text)
    before = clean(text[:position])
    return f"  {shown}", f"  {' ' * cells(before)}^"
