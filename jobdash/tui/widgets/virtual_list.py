"""A list of any length that holds and draws only the lines on the screen."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Generic, TypeVar

from textual import events
from textual.actions import parse
from textual.binding import Binding, BindingsMap, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from jobdash.tui.host import Host, reports_errors
from jobdash.tui.render.styles import StyledWidget

E = TypeVar("E")
_STRIPS_KEPT = 400
MOVING_KEYS: list[BindingType] = [
    Binding("up,k", "move(-1)", show=False),
    Binding("down,j", "move(1)", show=False),
    Binding("pageup", "page(-1)", show=False),
    Binding("pagedown", "page(1)", show=False),
    Binding("home,g", "home", show=False),
    Binding("end,G", "end", show=False),
]
"""The keys of a list that has a place of its own."""


class VirtualList(StyledWidget, ScrollView, Generic[E]):
    """Lines with keys to move by; a line is drawn again only when its entry differs.

    An entry is hashable and decides alone how its line looks in a given width. Subclasses give the number
    of lines (`total`) and the entry of a line (`entry`), and draw it (`draw_entry`).
    """

    DEFAULT_CSS = """
    VirtualList {
        height: 1fr; overflow-x: hidden; overflow-y: auto;
        scrollbar-gutter: stable; scrollbar-size-vertical: 1;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._drawn: dict[int, E | None] = {}
        """The entries on the screen, by line of the screen."""
        self._strips: dict[E, Strip] = {}
        self._strips_width = 0

    @property
    def total(self) -> int:
        """The number of lines."""
        raise NotImplementedError

    def entry(self, index: int) -> E | None:
        """Return what decides how a line looks; None where there is no line."""
        raise NotImplementedError

    def draw_entry(self, index: int, entry: E) -> Strip:
        """Return a line as a strip as wide as the widget."""
        raise NotImplementedError

    def load(self, top: int) -> None:
        """Load the lines of a screen; called before they are drawn."""

    @property
    def top(self) -> int:
        """The index of the first line on the screen."""
        return round(self.scroll_y)

    @property
    def page_height(self) -> int:
        """The number of lines on the screen."""
        return max(1, self.size.height)

    @property
    def text_width(self) -> int:
        """The cells of a line that text may take.

        A scroll bar lies over the last ones; without one they stay free too, so that nothing moves.
        """
        return max(0, self.size.width - self.styles.scrollbar_size_vertical)

    # ── moving ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def position(self) -> int:
        """The line that keys move from."""
        return self.top

    def go(self, index: int) -> bool:
        """Move to a line; returns whether that was a move."""
        top = max(0, min(index, self.total - self.page_height))
        if top == self.top:
            return False
        self.scroll_now(top)
        return True

    def go_pages(self, by: int) -> bool:
        """Move by screens; returns whether that was a move."""
        return self.go(self.position + by * max(1, self.page_height - 1))

    def action_move(self, by: int) -> None:
        """Move by lines."""
        self.go(self.position + by)

    def action_page(self, by: int) -> None:
        """Move by screens."""
        self.go_pages(by)

    def action_home(self) -> None:
        """Go to the first line."""
        self.go(0)

    def action_end(self) -> None:
        """Go to the last line."""
        self.go(self.total - 1)

    def scroll_now(self, top: int) -> None:
        """Scroll without an animation."""
        self.scroll_to(y=top, animate=False, immediate=True, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Have the lines ready before they are drawn, however the scroll was changed."""
        if round(old_value) != round(new_value) and self.total:
            self.load(round(new_value))
        super().watch_scroll_y(old_value, new_value)

    # ── drawing ────────────────────────────────────────────────────────────────────────────────────────────

    def fit_total(self) -> None:
        """Fit the scroll bar to the number of lines."""
        if self.virtual_size.height != self.total:
            self.virtual_size = Size(self.size.width, self.total)

    def draw_changes(self) -> None:
        """Draw the lines that look different from what is on the screen."""
        top = self.top
        for y in range(self.size.height):
            before, now = self._drawn.get(y), self.entry(top + y)
            if before != now:
                self.refresh(self.changed_region(y, before, now))

    def changed_region(self, y: int, _before: E | None, _now: E | None) -> Region:
        """Return the cells of a line that differ."""
        return Region(0, y, self.size.width, 1)

    def draw_all(self) -> None:
        """Draw every line again."""
        self._strips.clear()
        self._drawn.clear()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        width, index = self.size.width, self.top + y
        entry = self._drawn[y] = self.entry(index)
        if entry is None:
            return Strip.blank(width, self.blank())
        if width != self._strips_width or len(self._strips) >= _STRIPS_KEPT:
            self._strips.clear()
            self._strips_width = width
        strip = self._strips.get(entry)
        if strip is None:
            strip = self._strips[entry] = self.draw_entry(index, entry)
        return strip

    def notify_style_update(self) -> None:
        """Drop the colours of another theme."""
        self._strips.clear()
        super().notify_style_update()


class PromptKeys(Widget):
    """A widget whose own bindings, all of plain methods, act when the key arrives.

    Textual hands a key to the widget in focus and lets it bubble from there to the app, a message a level,
    before its binding is looked up: for a cursor that is a fifth of the time from the key to the screen.
    No key overtakes another: one acts at once only when no earlier one is still under way.
    """

    app: Host

    def post_message(self, message: Message) -> bool:
        """Act on a key of this widget's own, and queue everything else."""
        if isinstance(message, events.Key):
            act = self._own_keys.get(message.key)
            if act is not None and self.app.may_act_at_once(message):
                self.app.keys.arrived(message)
                self._act(act)
                return True
        return super().post_message(message)

    @reports_errors
    def _act(self, act: Callable[[], None]) -> None:
        act()

    @cached_property
    def _own_keys(self) -> dict[str, Callable[[], None]]:
        """The widget's bindings by key, after the person's own keymap."""
        bindings = BindingsMap(self.BINDINGS)
        bindings.apply_keymap(self.app.own_keymap)
        keys: dict[str, Callable[[], None]] = {}
        for key, (binding, *_) in bindings.key_to_bindings.items():
            _, name, arguments = parse(binding.action)
            keys[key] = partial(getattr(self, f"action_{name}"), *arguments)
        return keys
