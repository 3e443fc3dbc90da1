"""The text above the tabs: a sentence that stays, or that the store is away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime


class Banner:
    """Shows one text at a time; that the store is away hides the others until it has been read again."""

    def __init__(self, put: Callable[[str], None]) -> None:
        self._put = put
        self._text = ""
        self._away = ""

    def show_text(self, text: str) -> None:
        """Show a text that stays; an empty one takes it away."""
        self._text = text
        if not self._away:
            self._put(text)

    def show_away(self, text: str) -> None:
        """Show that the store could not be read just now."""
        if not self._away:
            self._away = text
            self._put(text)

    def show_away_since(self, since: int | None) -> bool:
        """Show since when (ms UTC) the store is away; return whether it is."""
        if since is None:
            return False
        text = f"store away since {datetime.fromtimestamp(since / 1000, UTC).astimezone():%H:%M}"
        if text != self._away:
            self._away = text
            self._put(text)
        return True

    def show_text_again(self) -> None:
        """Show the text that stays again, as the store was read."""
        if self._away:
            self._away = ""
            self._put(self._text)
