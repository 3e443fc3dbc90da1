"""An app that restores its terminal at every end, and takes it again after every stop."""

from __future__ import annotations

import asyncio
import sys
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter

from jobdash.domain.text import clean

_BATCH_S = 0.02
"""Seconds between two checks whether a batch of updates, during which nothing is drawn, is over."""
_SWALLOWED_S = 0.5
"""Seconds after which a key that has not reached the app counts as consumed by an input."""


def display_error(error: Exception) -> str:
    """Return a sentence for something that cannot be shown."""
    return clean(f"This cannot be shown: {type(error).__name__}: {error}", 200)


class KeysUnderWay:
    """Keys that were sent to the widget in focus, and have not bubbled to the app yet."""

    def __init__(self) -> None:
        self._keys: list[events.Key] = []

    def sent(self, key: events.Key) -> None:
        """Add a key that comes from the terminal."""
        self._keys = [one for one in self._keys if key.time - one.time < _SWALLOWED_S]
        self._keys.append(key)

    def arrived(self, key: events.Key) -> None:
        """Remove a key that has reached the app, or was acted on."""
        self._keys = [one for one in self._keys if one is not key]

    def only(self, key: events.Key) -> bool:
        """Whether no other key is under way; each bubbles up from the widget that it was sent to."""
        return self._keys == [key]


class TerminalApp(App[None]):
    """An app that shares its terminal with the shell and other programs."""

    def __init__(self) -> None:
        super().__init__(driver_class=_driver_class())
        self.on_running: Callable[[asyncio.AbstractEventLoop, Callable[[int], object]], object] = _nothing
        """Called when the app runs, with its loop and a function that ends it with an exit code."""
        self.terminal_taken: Callable[[bool], object] = _nothing
        """Called when the terminal comes into the app's hands, and when it is given back."""
        self.on_leaving: Callable[[], object] = _nothing
        """Called when it is decided that the app ends."""
        self.crash: BaseException | None = None
        """The error that has ended the app."""
        self.keys = KeysUnderWay()
        self.display_errors: list[str] = []
        """Reported errors of drawing, as sentences."""

    def refresh_css(self, animate: bool = True) -> None:
        """Apply the theme; before there is a screen, to the style sheet that is about to be parsed.

        Textual would parse all of it here and once more for the first screen, a twentieth of a start.
        """
        if self.screen_stack:
            super().refresh_css(animate)
        else:
            self.stylesheet.set_variables(self.get_css_variables())
            self.stylesheet.update(self, animate=animate)

    def leave_running_to_signals(self) -> None:
        """Let the signal handlers end the app from now on."""
        self.on_running(asyncio.get_running_loop(), lambda code: self.exit(return_code=code))

    def exit(self, result: None = None, return_code: int = 0, message: Any = None) -> None:
        """Leave."""
        self.on_leaving()
        super().exit(result, return_code, message)

    def draw_again(self) -> None:
        """Draw everything, on a terminal that another program has used, once no batch of updates is on."""
        if self._batch_count:
            self.set_timer(_BATCH_S, self.draw_again)
        elif self._running and not self._exit:
            screen = self.screen
            screen.refresh(layout=True)
            self._display(screen, screen._compositor.render_full_update())  # noqa: SLF001 - nothing public does

    def _handle_exception(self, error: Exception) -> None:
        """Keep an uncaught error to be raised at the end, unless the app is ending anyway.

        Then half of its widgets are gone, or not there yet.
        """
        if self._exit or (self._is_mounted and not self._running):
            self._close_messages_no_wait()
        else:
            super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End the app after an error that nothing has caught, and print no traceback."""
        self.crash = sys.exc_info()[1] or self._exception
        self._close_messages_no_wait()

    def cannot_show(self, error: Exception) -> None:
        """Report, once each, that something cannot be shown; the rest of the screen goes on."""
        words = display_error(error)
        if words not in self.display_errors:
            self.display_errors.append(words)
            self.notify(words, severity="error")


def _driver_class() -> Any:
    if sys.platform == "win32":
        return None
    from jobdash.tui.terminal.driver import driver_class

    return driver_class()


def _nothing(*_: object) -> None:
    pass


_LOOKALIKES = {
    "─": "-", "━": "-", "═": "-", "┄": ".", "╌": ".", "▔": "-", "▁": "-", "▂": "-", "▄": "_", "▀": "-",
    "│": "|", "┃": "|", "║": "|", "▏": "|", "▎": "|", "▍": "|", "▌": "|", "▐": "|", "▕": "|", "▊": "|",
    "┅": ":", "▅": "_", "▃": "_", "▆": "#", "▇": "#", "◼": "#", "■": "#",
    "▋": "|", "▉": "|", "█": "#", "•": "*", "·": "|", "…": ".", "—": "-", "–": "-", "×": "x", "✖": "x",
    "✔": "+", "↑": "^", "↓": "v", "←": "<", "→": ">", "≥": ">", "“": '"', "”": '"', "‘": "'", "’": "'",
    "🔎": "> ", "\u00a0": " ",
}  # fmt: skip
_CORNERS = dict.fromkeys("┌┐└┘├┤┬┴┼┏┓┗┛┣┫╔╗╚╝╭╮╰╯▛▜▙▟▖▗▘▝", "+")
_TABLE = _LOOKALIKES | _CORNERS


@lru_cache(4096)
def to_ascii(text: str, *, letters: bool = False) -> str:
    """Return a text in ASCII that takes the same number of cells; ``letters`` of any script may stay."""
    if text.isascii():
        return text
    return "".join(_ascii(char, letters) for char in text)


def _ascii(char: str, letters: bool) -> str:
    if char.isascii() or (letters and unicodedata.category(char)[0] in "LMN"):
        return char
    return _TABLE.get(char, "?" * cell_len(char))


class AsciiFilter(LineFilter):
    """A filter of every line before it is written: other characters than ASCII are replaced."""

    def __init__(self, *, letters: bool) -> None:
        super().__init__()
        self._letters = letters

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments with ASCII (and letters, where they may stay) in them."""
        return [
            Segment(to_ascii(text, letters=self._letters), style, control)
            for text, style, control in segments
        ]
