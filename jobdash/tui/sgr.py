"""Styled cells as a terminal hears them: each style told as a change from the one in front of it.

Rich tells every style in full and takes it back behind each piece of text. Neighbours in a line mostly share
their ground, so that half of what is written would say what the terminal knows already.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

_NOT_BOLD = Style(bold=False)
RESET = "\x1b[0m"


class Pen:
    """Writes segments one behind the other, and knows the style the terminal is left in."""

    def __init__(self, color_system: ColorSystem) -> None:
        self._colors = color_system
        self._style = Style.null()

    def write(self, segments: Iterable[Segment]) -> str:
        """Return what has to be written for segments that hold text, no control codes."""
        written: list[str] = []
        for text, style, _ in segments:
            new = style or Style.null()
            if new.link:
                written += [self.lift(), Strip.render_style(new, text, self._colors)]
                continue
            if new != self._style:
                written.append(_turn(self._style, new, self._colors))
                self._style = new
            written.append(text)
        return "".join(written)

    def lift(self) -> str:
        """Return what leaves the terminal without any style."""
        before, self._style = self._style, Style.null()
        return _turn(before, self._style, self._colors)


@lru_cache(maxsize=4096)
def _turn(before: Style, after: Style, colors: ColorSystem) -> str:
    """Return the sequence that turns a terminal from one style to another."""
    if _same_but_for_colour_and_bold(before, after):
        codes = [Strip.render_ansi(Style(color=after.color), colors)] if after.color != before.color else []
        if bool(after.bold) != bool(before.bold):
            codes.insert(0, "1" if after.bold else "22")
        return f"\x1b[{';'.join(codes)}m" if codes else ""
    full = Strip.render_ansi(after, colors)
    if Strip.render_ansi(before, colors):
        return f"\x1b[0;{full}m" if full else RESET
    return f"\x1b[{full}m" if full else ""


def _same_but_for_colour_and_bold(before: Style, after: Style) -> bool:
    if before.bgcolor != after.bgcolor or before.color is None or after.color is None or before.dim:
        return False  # 22, which ends bold, would end dim as well
    return before.without_color + _NOT_BOLD == after.without_color + _NOT_BOLD
