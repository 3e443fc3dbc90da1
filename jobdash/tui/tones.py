"""The tones of the dashboard: names for colours that `jobdash.tcss` gives by theme, drawn by line widgets."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip
from textual.widget import Widget

TONES = frozenset(
    {
        "line", "cursor", "bright", "text", "muted", "success", "warning", "error", "track", "done",
        "pointer", "mark", "key", "chip", "badge", "header", "accent", "strong", "bar", "barkey", "barmuted",
    }
)  # fmt: skip
"""``line``, ``cursor`` and ``bar`` are whole styles with a background; the others lie over them."""
_WHOLE = frozenset({"line", "cursor", "bar"})


class Toned(Widget):
    """A widget that draws its own lines in tones."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"tone--{name}" for name in TONES}

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._tones: dict[tuple[str, str], Style] = {}

    def tone(self, name: str, over: str = "line") -> Style:
        """Return a tone as it looks over one of the whole styles."""
        style = self._tones.get((name, over))
        if style is None:
            styles = self.get_component_styles(f"tone--{name}")
            if name in _WHOLE:
                ground = self.background_colors[1] + styles.background
            else:
                ground = Color.from_rich_color(self.tone(over).bgcolor)
            if styles.has_rule("background") and name not in _WHOLE:
                ground += styles.background
            style = (
                Style(color=(ground + styles.color).rich_color, bgcolor=ground.rich_color) + styles.text_style
            )
            self._tones[name, over] = style
        return style

    def notify_style_update(self) -> None:
        """Forget the colours of another theme."""
        self._tones.clear()
        super().notify_style_update()

    def strip(self, pieces: list[tuple[str, str]], over: str = "line") -> Strip:
        """Return pieces (text, tone) as a strip over a whole style."""
        return Strip([Segment(text, self.tone(name, over)) for text, name in pieces if text])
