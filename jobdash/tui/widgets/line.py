"""A line of text that is drawn only where it differs, and never changes the layout."""

from __future__ import annotations

from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from jobdash.tui.render.styles import StyledWidget
from jobdash.tui.render.text import Span, gap

_STRIPS_KEPT = 16


def _changed(before: list[Span], after: list[Span]) -> tuple[int, int] | None:
    """Return the first cell that differs and the end of the last; None when nothing does."""
    both = zip(before, after, strict=False)
    same = next((n for n, (a, b) in enumerate(both) if a != b), min(len(before), len(after)))
    old, new = before[same:], after[same:]
    if not old and not new:
        return None
    start = _cells(before[:same])
    old_end, new_end = start + _cells(old), start + _cells(new)
    while old_end == new_end and old and new and old[-1] == new[-1]:
        old_end = new_end = old_end - old.pop().cells
        new.pop()
    return start, max(old_end, new_end)


def _cells(spans: list[Span]) -> int:
    return sum(span.cells for span in spans)


class Line(StyledWidget):
    """Spans from the left, spans from the right; the right ones give way when there is no room."""

    DEFAULT_CSS = """
    Line { height: 1; width: 1fr; }
    """

    class Clicked(Message):
        """A span with an action was clicked; the screen runs it."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    over = "line"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._left: tuple[Span, ...] = ()
        self._right: tuple[Span, ...] = ()
        self._strips: dict[tuple[tuple[Span, ...], tuple[Span, ...], int, str], Strip] = {}

    def put(self, left: list[Span], right: list[Span] | None = None) -> None:
        """Show these spans; nothing is drawn when they are the same."""
        new = (tuple(left), tuple(right or ()))
        if new == (self._left, self._right):
            return
        before = self._placed()
        self._left, self._right = new
        changed = _changed(before, self._placed())
        if changed is not None:
            start, end = changed
            self.refresh(Region(start, 0, end - start, 1))

    @property
    def plain(self) -> str:
        """The line as text, for tests and for screen readers."""
        return "".join(span.text for span in self._placed()).rstrip()

    def _placed(self) -> list[Span]:
        width = self.size.width
        left = list(self._left)
        if not self._right:
            return left
        left_cells, right_cells = _cells(left), _cells(list(self._right))
        if left_cells + right_cells + 1 > width:
            return left
        return [*left, gap(width - left_cells - right_cells), *self._right]

    def render_line(self, y: int) -> Strip:
        """Return the one line."""
        if y:
            return Strip.blank(self.size.width, self.blank(self.over))
        key = (self._left, self._right, self.size.width, self.over)
        strip = self._strips.get(key)
        if strip is None:
            if len(self._strips) >= _STRIPS_KEPT:
                self._strips.clear()
            pieces = [(span.text, span.tone) for span in self._placed()]
            strip = self.strip(pieces, self.over).adjust_cell_length(self.size.width, self.blank(self.over))
            self._strips[key] = strip
        return strip

    def notify_style_update(self) -> None:
        """Forget colours of another theme."""
        self._strips.clear()
        super().notify_style_update()

    def on_click(self, event: events.Click) -> None:
        """Report which span was clicked."""
        x = 0
        for span in self._placed():
            if x <= event.x < x + span.cells and span.action is not None:
                self.post_message(self.Clicked(span.action))
                return
            x += span.cells
