"""A small question with a safe and a bold answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Static

from jobdash.domain.text import clean
from jobdash.tui.screens.dialog import Dialog

_NAMES_SHOWN = 8
_FOLLOW_EVERY_S = 0.2


class AskScreen(Dialog[bool]):
    """True when the bold answer was given."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "keep", "Keep", show=False),
        Binding("y", "act", "Act", show=False),
    ]

    def __init__(self, title: str, words: str, names: Sequence[str], safe: str, bold: str) -> None:
        super().__init__()
        self._title, self._words, self._safe, self._bold = title, words, safe, bold
        self._names = names

    def body(self) -> Iterator[Widget]:
        """Yield the question, and what it is about."""
        yield Static(self._words, markup=False, id="words")
        if len(self._names) > 1:
            shown = [f"  {clean(name, 70)}" for name in self._names[:_NAMES_SHOWN]]
            if len(self._names) > _NAMES_SHOWN:
                shown.append(f"  and {len(self._names) - _NAMES_SHOWN:,} more")
            yield Static("\n".join(shown), markup=False, classes="names")

    def buttons(self) -> Iterator[Button]:
        """Yield the safe button and the bold one."""
        yield Button(Content(self._safe), id="keep")
        yield Button(Content(self._bold), id="act", variant="primary")

    def on_mount(self) -> None:
        """Write the title."""
        self.set_title(self._title)

    @on(Button.Pressed, "#keep")
    def action_keep(self) -> None:
        """Leave everything as it is."""
        if self.drawn:
            self.dismiss(False)

    @on(Button.Pressed, "#act")
    def action_act(self) -> None:
        """Do it."""
        if self.drawn:
            self.dismiss(True)


class QuitScreen(AskScreen):
    """The question before leaving; a second ``q`` leaves at once."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "app.quit", "Quit", show=False)]

    def __init__(self, told: Callable[[], str], bold: str) -> None:
        """``told`` returns what is under way, nothing once it has ended; ``bold`` is what leaving does."""
        super().__init__("Quit?", told(), (), "Stay", bold)
        self._told = told
        self._leaving = False

    def on_mount(self) -> None:
        """Follow what is under way."""
        self.set_interval(_FOLLOW_EVERY_S, self._follow)

    def _follow(self) -> None:
        words = self._told()
        if words:
            self.query_one("#words", Static).update(Content(words))
        elif self.drawn and self.is_current and not self._leaving:
            # Nothing is left that leaving would stop: this is what was asked for.
            self._leaving = True
            self.dismiss(True)
