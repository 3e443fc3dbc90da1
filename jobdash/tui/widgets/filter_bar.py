"""The line of the filter: its entry, its count or its mistake, and the order of the list."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from jobdash.domain.text import clean
from jobdash.errors import FilterError
from jobdash.tui.render.symbols import Symbols
from jobdash.tui.render.text import Span, cut, gap
from jobdash.tui.widgets.line import Line

if TYPE_CHECKING:
    from jobdash.domain.filter.conditions import Conditions

_ENTRY_CELLS = 34
_ENTRY_LEAST = 14
_TEXT_MOST = 80


class FilterInput(Input):
    """The filter's own entry; Enter or ↓ keeps it, Escape clears it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "submit", "Keep the filter", show=False),
        Binding("escape", "clear", "Clear the filter", show=False),
    ]

    left: Callable[[], None]
    """Called at once when the focus goes back to the table, as the next keys are meant for that."""
    over = False
    """Whether a key that ends the filter was pressed; keys queued after it belong to another widget."""

    async def _on_key(self, event: events.Key) -> None:
        if event.key in {"enter", "down", "escape"}:
            self.over = True
        elif self.over:
            event.prevent_default()  # it is passed on to the widget in focus
            return
        await super()._on_key(event)

    def take(self, character: str) -> None:
        """Insert a character that was sent to another widget before this had the focus."""
        self.insert_text_at_cursor(character)

    async def action_submit(self) -> None:
        """Keep the filter and go to the table."""
        self.left()

    def action_clear(self) -> None:
        """Clear the filter and go to the table."""
        self.value = ""
        self.left()


class FilterBar(Horizontal):
    """The filter's entry between its prompt and its count; parses it while it is typed."""

    class Typed(Message):
        """The filter has changed; of one with a mistake, the conditions before the mistake."""

        def __init__(self, conditions: Conditions) -> None:
            super().__init__()
            self.conditions = conditions

    def __init__(self, symbols: Symbols, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._symbols = symbols
        self.mistake: str | None = None

    def compose(self) -> ComposeResult:
        """Lay out prompt, entry, and count."""
        yield Line(id="filter-prompt")
        yield FilterInput(id="filter", compact=True, select_on_focus=False)
        yield Line(id="filter-count")

    @property
    def entry(self) -> FilterInput:
        """Where it is typed."""
        return self.query_one("#filter", FilterInput)

    @property
    def text(self) -> str:
        """The filter as typed."""
        return self.entry.value

    def on_mount(self) -> None:
        """Hide the entry until it is opened."""
        self.entry.display = False

    def open(self) -> None:
        """Let a filter be typed."""
        self.entry.display, self.entry.over = True, False
        # At once, and not with the next message: the letters that follow are meant for it.
        self.screen.set_focus(self.entry)

    def close(self) -> None:
        """Hide the entry and show the filter as text."""
        self.entry.display = False

    def clear(self) -> None:
        """Take the filter away."""
        self.entry.value = ""

    @on(Input.Changed, "#filter")
    def _read(self, event: Input.Changed) -> None:
        event.stop()
        # The text as it is by now: events of letters in between would turn the table back.
        conditions, self.mistake = self.read_now()
        self.post_message(self.Typed(conditions))

    def read_now(self) -> tuple[Conditions, str | None]:
        """Return the conditions as typed by now, and the mistake in them, also before `Typed` is posted."""
        return _parsed(self.text)

    def draw(self, counts: list[Span], cost: list[Span], order: list[Span]) -> None:
        """Draw everything where it differs: counts and order, or the mistake in their place.

        The cost of what is counted is shown where there is room.
        """
        left = self._prompt()
        prompt = self.query_one("#filter-prompt", Line)
        prompt.put(left)
        used = sum(span.cells for span in left)
        prompt.styles.width = used
        if self.entry.display:
            typed = max(_ENTRY_LEAST, min(len(self.text) + 2, _ENTRY_CELLS))
            entry = typed if self.mistake else _ENTRY_CELLS
            self.entry.styles.width = entry
            used += entry
        room = max(0, self.size.width - used - 2)
        line = self.query_one("#filter-count", Line)
        if self.mistake:
            line.put([gap(1), Span(cut(self.mistake, room, self._symbols.more), "error")])
        else:
            right = [*counts, *cost, gap(2), *order]
            fits = sum(span.cells for span in right) <= room
            line.put([gap(1)], (right if fits else [*counts, gap(2), *order]) if counts else order)

    def _prompt(self) -> list[Span]:
        if self.entry.display:
            return [Span(" / ", "key"), Span("filter ", "muted"), Span(self._symbols.prompt, "accent")]
        found = [Span(" / ", "key", "filter"), Span("filter ", "muted", "filter")]
        if self.text:
            room = max(8, self.size.width // 3)
            text = cut(clean(self.text, _TEXT_MOST), room, self._symbols.more)
            found += [Span(text, "bright", "filter"), Span("  esc clears", "muted", "clear_filter")]
        return found


def _parsed(text: str) -> tuple[Conditions, str | None]:
    """Return the conditions before a mistake, and the mistake."""
    from jobdash.domain.filter.language import parse

    try:
        return parse(text), None
    except FilterError as error:
        return parse(text[: error.position]), clean(str(error), 200)
