"""Screens whose partial updates are exact, and drawn at once where a person waits for them.

Textual 8.2 draws every visible widget for each partial update, and crops what it writes at the right end of a
change only: an age at the end of a line is written with the whole line. It draws after a message to each
changed widget, one from each to the screen, and a timer. And Rich writes every style in full and resets it
after each piece of text, though neighbours in a line mostly share their background. None of this can be
changed through a public interface, so `EXACT` switches it on only for the versions it was tested with; with
every other version Textual draws by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import textual
from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS, Console
from rich.control import Control
from rich.segment import Segment
from rich.style import Style
from textual._compositor import Compositor, CompositorUpdate
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

TESTED_WITH = frozenset({"8.2.8"})
"""Versions of Textual."""
# One stat each: reading the version with importlib.metadata takes as long as opening the store.
_SITE = Path(textual.__file__).parent.parent
EXACT = any((_SITE / f"textual-{version}.dist-info").is_dir() for version in TESTED_WITH)
"""Whether updates are exact; otherwise Textual draws by itself."""
FRAME_S = 1 / 60
"""Seconds between two updates that are drawn at once; what comes faster is left to Textual's own timer."""
_Span = tuple[int, int]
"""The first cell of a line and the one after the last."""


class LinePiece(NamedTuple):
    """Cells that are written, and where."""

    y: int
    x: int
    strip: Strip


class ExactUpdate(CompositorUpdate):
    """Pieces of a screen, in reading order."""

    def __init__(self, pieces: Sequence[LinePiece]) -> None:
        self.pieces = pieces

    def render_segments(self, console: Console) -> str:
        """Return what is written to the terminal: for each piece where it begins, and its cells."""
        pen = Pen(COLOR_SYSTEMS[console.color_system or "truecolor"])
        written = [Control.move_to(x, y).segment.text + pen.write(strip) for y, x, strip in self.pieces]
        return "".join([*written, pen.lift()])


class ExactCompositor(Compositor):
    """A screen's compositor whose partial updates are exact."""

    def render_partial_update(self) -> ExactUpdate | None:  # type: ignore[override]  # it is only rendered
        """Return the changed cells, None when there are none."""
        changed: dict[int, list[_Span]] = {}
        for y, start, end in self._regions_to_spans(self._dirty_regions):
            changed.setdefault(y, []).append((start, end))
        self._dirty_regions.clear()
        return ExactUpdate(sorted(self._pieces(changed), key=itemgetter(0, 1))) if changed else None

    def _pieces(self, hidden: dict[int, list[_Span]]) -> Iterator[LinePiece]:
        """Yield what is seen in some spans of lines, from the widgets in front to those behind."""
        for widget, (region, clip) in self.visible_widgets.items():
            visible = region.intersection(clip)
            for top, bottom in _stretches(hidden, visible):
                part = Region(visible.x - region.x, top - region.y, visible.width, bottom - top)
                for y, strip in enumerate(widget.render_lines(part), top):
                    seen, behind = _split(hidden.pop(y), visible.x, visible.right)
                    for start, end in seen:
                        yield LinePiece(y, start, strip.crop(start - visible.x, end - visible.x))
                    if behind:
                        hidden[y] = behind
            if not hidden:
                return


def _stretches(hidden: dict[int, list[_Span]], visible: Region) -> list[_Span]:
    """Return the lines in which a region covers some of the spans, without gaps, as first and end."""
    stretches: list[_Span] = []
    for y in visible.line_range:
        if any(start < visible.right and visible.x < end for start, end in hidden.get(y, ())):
            if stretches and stretches[-1][1] == y:
                stretches[-1] = (stretches[-1][0], y + 1)
            else:
                stretches.append((y, y + 1))
    return stretches


def _split(spans: Sequence[_Span], first: int, last: int) -> tuple[list[_Span], list[_Span]]:
    """Return the parts of spans within ``first`` … ``last``, and those outside."""
    inside: list[_Span] = []
    outside: list[_Span] = []
    for start, end in spans:
        cuts = (start, min(max(first, start), end), max(min(last, end), start), end)
        inside += [(cuts[1], cuts[2])] if cuts[1] < cuts[2] else []
        outside += [span for span in (cuts[:2], cuts[2:]) if span[0] < span[1]]
    return inside, outside


class ExactScreen(Screen[None]):
    """A screen whose partial updates are exact, and can be drawn before a key's handler returns."""

    def __init__(self) -> None:
        super().__init__()
        if EXACT:
            self._compositor = ExactCompositor()
        self._drawn_at = 0.0

    def draw_at_once(self, *widgets: Widget) -> None:
        """Draw what has changed of some widgets now, unless that was done within the last frame."""
        if not EXACT:
            return
        now = monotonic()
        if now - self._drawn_at < FRAME_S or self._layout_required or self._repaint_required:
            return
        self._drawn_at = now
        for widget in widgets:
            if widget.display:
                widget._repaint_required = False  # noqa: SLF001 - or it would ask for the same once more
                self._dirty_widgets.add(widget)
        self._on_timer_update()


_NOT_BOLD = Style(bold=False)
RESET = "\x1b[0m"


class Pen:
    """Writes each style as a change from the previous one."""

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
        """Return the sequence that resets the style, where one is set."""
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
