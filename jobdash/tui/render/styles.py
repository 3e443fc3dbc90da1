"""Tones, which are names for colours that follow the theme, and the base of widgets drawn in them.

They are computed from the theme's variables and not given by style sheets: a component class is a node of its
own for the style sheet in every widget, and twenty of them in each line double the time to the first screen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from jobdash.tui.render.text import fit
from jobdash.tui.terminal.app import display_error


class _Style(NamedTuple):
    """A colour of the theme at some strength, on the background or on another colour."""

    color: str
    alpha: float = 1.0
    bold: bool = False
    on: str | None = None


_TONES = {
    "text": _Style("foreground"),
    "bright": _Style("foreground", bold=True),
    "strong": _Style("foreground", bold=True),
    "muted": _Style("foreground", 0.68),
    "header": _Style("foreground", 0.68, bold=True),
    "track": _Style("foreground", 0.22),
    "barmuted": _Style("foreground", 0.5),
    "success": _Style("success"),
    "done": _Style("success", 0.75),
    "warning": _Style("warning"),
    "error": _Style("error"),
    "accent": _Style("primary", bold=True),
    "pointer": _Style("primary", bold=True),
    "mark": _Style("accent"),
    "key": _Style("accent", bold=True),
    "barkey": _Style("accent", bold=True),
    "chip": _Style("background", bold=True, on="primary"),
    "badge": _Style("background", bold=True, on="warning"),
}
_GROUNDED = frozenset(name for name, tone in _TONES.items() if tone.on is not None)
_CURSOR_TINT = 0.22
_DIM_BELOW = 0.6
"""Tones of less strength are dim where colours are the terminal's own."""


def _of_palette(tone: _Style, over: str, variables: Mapping[str, str]) -> Style:
    """Return a tone in the colours of the terminal's palette, which cannot be mixed."""

    def named(name: str) -> RichColor:
        return Color.parse(variables[name]).rich_color

    if tone.on is not None:
        return Style(color=named(tone.on), bgcolor=named("background"), reverse=True, bold=tone.bold or None)
    color, ground = named(tone.color), named("background")
    if over == "cursor":
        color, ground = named("block-cursor-foreground"), named("block-cursor-background")
    return Style(color=color, bgcolor=ground, bold=tone.bold or None, dim=tone.alpha < _DIM_BELOW or None)


class StyledWidget(Widget):
    """A widget that draws its own lines in tones."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._tones: dict[tuple[str, str], Style] = {}

    def tone(self, name: str = "text", over: str = "line") -> Style:
        """Return a tone as it looks over a ``line``, the ``cursor``, or a ``bar`` at the screen's edge."""
        style = self._tones.get((name, over))
        if style is None:
            style = self._tones[name, over] = self._mixed(_TONES[name], over)
        return style

    def _mixed(self, tone: _Style, over: str) -> Style:
        variables = self.app.theme_variables
        raised = over == "bar" or self.screen.is_modal
        ground = Color.parse(variables["surface" if raised else "background"])
        if self.app.current_theme.ansi:
            return _of_palette(tone, over, variables)
        if over == "cursor":
            ground = ground.blend(Color.parse(variables["primary"]), _CURSOR_TINT)
        if tone.on is not None:
            ground = Color.parse(variables[tone.on])
        color = Color.parse(variables[tone.color])
        if tone.alpha < 1:
            color = ground.blend(color, tone.alpha)
        return Style(color=color.rich_color, bgcolor=ground.rich_color, bold=tone.bold or None)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return lines as they are: a toned widget has neither border, padding nor opacity to add.

        Textual draws every visible widget at each partial update, and its own way costs ten times as much.
        """
        strips = [self._line(y) for y in crop.line_range]
        for line_filter in self.get_line_filters():
            ground = self.background_colors[1]
            strips = [strip.apply_filter(line_filter, ground) for strip in strips]
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def _line(self, y: int) -> Strip:
        """Return a line, or why it cannot be drawn: the data of one job must not end the dashboard."""
        try:
            return self.render_line(y)
        except Exception as error:  # noqa: BLE001 - see above
            words = fit(display_error(error), self.size.width)
            return self.strip([(words, "error")])

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the filters there are, less that for a terminal's palette: no tone is one of its colours."""
        return [each for each in super().get_line_filters() if not isinstance(each, ANSIToTruecolor)]

    def notify_style_update(self) -> None:
        """Forget the colours of another theme."""
        self._tones.clear()
        super().notify_style_update()

    def strip(self, pieces: list[tuple[str, str]], over: str = "line") -> Strip:
        """Return pieces (text, tone) as a strip over a ground."""
        return Strip([Segment(text, self.tone(name, over)) for text, name in _joined(pieces)])

    def blank(self, over: str = "line") -> Style:
        """Return the style of empty cells."""
        return self.tone("text", over)


def _joined(pieces: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return pieces with blanks given to a neighbour and equal neighbours joined.

    Every change of style costs some 40 bytes whenever it is written; a blank looks the same in any tone that
    has no ground of its own.
    """
    joined: list[tuple[str, str]] = []
    leading = ""
    for text, tone in pieces:
        if not text:
            continue
        if not text.strip(" ") and tone not in _GROUNDED:
            if joined and joined[-1][1] not in _GROUNDED:
                joined[-1] = (joined[-1][0] + text, joined[-1][1])
            else:
                leading += text
        elif joined and joined[-1][1] == tone and not leading:
            joined[-1] = (joined[-1][0] + text, tone)
        elif leading and tone in _GROUNDED:
            joined += [(leading, "text"), (text, tone)]
            leading = ""
        else:
            joined.append((leading + text, tone))
            leading = ""
    return [*joined, (leading, "text")] if leading else joined
