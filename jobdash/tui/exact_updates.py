"""Partial updates that draw no more than the lines that changed, and write no more than their changed cells.

Textual 8.2 draws every visible widget for each partial update, and cuts what it writes at the right end of a
change only: an age at the end of a line is written with the whole line. It has no public place to say
otherwise; tests hold this one to what it promises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip


class ExactUpdate(ChopsUpdate):
    """An update of spans of cells, cut at both ends."""

    def render_segments(self, console: Console) -> str:
        """Return what is written to the terminal: for each span where it begins, and its cells."""
        written: list[str] = []
        for y, first, end in self.spans:
            for (x, strip), strip_end in zip(self.chops[y].items(), self.chop_ends[y], strict=False):
                start, stop = max(x, first), min(strip_end, end)
                if strip is None or start >= stop:
                    continue
                whole = start == x and stop == strip_end
                piece = strip if whole else strip.crop(start - x, stop - x)
                written += (Control.move_to(start, y).segment.text, piece.render(console))
        return "".join(written)


class ExactCompositor(Compositor):
    """A screen's compositor whose partial updates are exact."""

    def __init__(self) -> None:
        super().__init__()
        self._changed: list[Region] = []
        """The cells of the partial update that is being made; empty for a whole one."""

    def render_partial_update(self) -> ExactUpdate | None:
        """Return the changed spans, None when there are none."""
        self._changed = _stretches(self._dirty_regions)
        try:
            update = super().render_partial_update()
        finally:
            self._changed = []
        return None if update is None else ExactUpdate(update.chops, update.spans, update.chop_ends)

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        """Yield widgets from front to back: where each is, what it is clipped by, and its lines there."""
        return self._changed_renders() if self._changed else super()._get_renders(crop)

    def _changed_renders(self) -> Iterator[tuple[Region, Region, list[Strip]]]:
        hidden = self._changed
        for widget, (region, clip) in self.visible_widgets.items():
            visible = region.intersection(clip)
            for stretch in hidden:
                if not stretch.overlaps(visible):
                    continue
                lines = stretch.intersection(visible)
                part = Region(visible.x, lines.y, visible.width, lines.height)
                yield part, clip, widget.render_lines(part.translate((-region.x, -region.y)))
            # What lies behind a widget is not seen; where nothing is left to draw, nothing is asked.
            hidden = [stretch for stretch in hidden if not visible.contains_region(stretch)]
            if not hidden:
                return


def _stretches(regions: Iterable[Region]) -> list[Region]:
    """Return changed cells as one region for each stretch of lines without a gap."""
    stretches: list[Region] = []
    for region in sorted(regions, key=attrgetter("y")):
        if stretches and region.y <= stretches[-1].bottom:
            stretches[-1] = stretches[-1].union(region)
        else:
            stretches.append(region)
    return stretches
