"""What stands in place of an empty table: why it is empty, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static


class EmptyState(Static):
    """A few centred lines; the first one is the point."""

    DEFAULT_CSS = """
    EmptyState { height: 1fr; content-align: center middle; text-align: center; display: none; }
    """

    def say(self, headline: str, lines: Sequence[str] = ()) -> None:
        """Show a headline, and lines below it."""
        parts: list[tuple[str, str]] = [(headline, "bold")]
        parts += [(f"\n{line}" if line else "\n", "$text-muted") for line in lines]
        self.update(Content.assemble(*parts))
