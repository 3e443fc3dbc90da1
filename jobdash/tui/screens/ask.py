"""A small question with a safe and a bold answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from jobdash.domain.text import clean

_NAMES_SHOWN = 8


class AskScreen(ModalScreen[bool]):
    """True when the bold answer was given."""

    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "keep", "Keep", show=False),
        Binding("y", "act", "Act", show=False),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, words: str, names: Sequence[str], safe: str, bold: str) -> None:
        super().__init__()
        self._words = (title, words, safe, bold)
        self._names = names
        self._drawn = False

    def compose(self) -> ComposeResult:
        """Lay out the question; the safe button stands first."""
        title, words, safe, bold = self._words
        with Vertical(id="dialog") as dialog:
            dialog.border_title = Content(f" {title} ")
            yield Static(words, markup=False)
            if len(self._names) > 1:
                shown = [f"  {clean(name, 70)}" for name in self._names[:_NAMES_SHOWN]]
                if len(self._names) > _NAMES_SHOWN:
                    shown.append(f"  and {len(self._names) - _NAMES_SHOWN:,} more")
                yield Static("\n".join(shown), markup=False, classes="names")
            with Horizontal(id="buttons"):
                yield Button(Content(safe), id="keep")
                yield Button(Content(bold), id="act", variant="primary")

    def on_mount(self) -> None:
        """Keys count only when the question can be read."""
        self.call_after_refresh(self._arm)

    def _arm(self) -> None:
        self._drawn = True
        self.query_one("#keep").focus()

    @on(Button.Pressed, "#keep")
    def action_keep(self) -> None:
        """Leave everything as it is."""
        if self._drawn:
            self.dismiss(False)

    @on(Button.Pressed, "#act")
    def action_act(self) -> None:
        """Do it."""
        if self._drawn:
            self.dismiss(True)
