"""Textual's driver, stopped and continued by whatever means, and quiet when the terminal is gone."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
import tty
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.drivers import linux_driver

from jobdash.tui.column_anchors import anchored

if TYPE_CHECKING:
    from textual.app import App


class TerminalDriver(linux_driver.LinuxDriver):
    """Draws all of the screen again whenever the process goes on, and never starts its threads twice."""

    on_continue: Callable[[], None]
    """Called when the terminal is the dashboard's again; set by the app."""
    on_mode: Callable[[bool], None]
    """Called when the terminal is taken, and when it is given back; set by the app."""

    def __init__(self, app: App[Any], **settings: Any) -> None:
        self.drawing = False
        self.on_continue = getattr(app, "draw_again", _nothing)
        self.on_mode = getattr(app, "terminal_taken", _nothing)
        super().__init__(app, **settings)

    def start_application_mode(self) -> None:
        """Take the terminal."""
        self.drawing = True
        self.on_mode(True)
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def stop_application_mode(self) -> None:
        """Give the terminal back, once."""
        if self.drawing:
            # The attributes come last: with a Ctrl-C that is a signal the kernel drops what is unread.
            attributes, self.attrs_before = self.attrs_before, None
            super().stop_application_mode()
            self.attrs_before = attributes
            self.drawing = False

    def close(self) -> None:
        """Let everything be written, then restore the terminal's attributes."""
        super().close()
        if not self.drawing:
            self._restore_attributes()
            self.on_mode(False)

    def _restore_attributes(self) -> None:
        if self.attrs_before is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)

    def write(self, data: str) -> None:
        """Write to the terminal; nothing, when that has gone: the queue would fill up and hold up the end."""
        thread = self._writer_thread
        if thread is not None and thread.is_alive():
            super().write(anchored(data))

    def _sigcont_application(self, *_: object) -> None:
        """Go on after ctrl+z, or a SIGSTOP that nobody hears: a shell has used the terminal since."""
        if not self._auto_restart:
            return
        if self.drawing:
            self._take_again()
        else:
            self.resume_application_mode()
        self.on_continue()

    def _take_again(self) -> None:
        with contextlib.suppress(termios.error):
            now = termios.tcgetattr(self.fileno)
            now[tty.LFLAG] = self._patch_lflag(now[tty.LFLAG])
            now[tty.IFLAG] = self._patch_iflag(now[tty.IFLAG])
            now[tty.CC][termios.VMIN] = 1
            termios.tcsetattr(self.fileno, termios.TCSANOW, now)
        self.write("\x1b[?1049h\x1b[?25l\x1b[?1004h")
        self._enable_bracketed_paste()
        self._disable_line_wrap()
        self._enable_mouse_support()


def _nothing(*_: object) -> None:
    pass


def driver_class() -> type[TerminalDriver] | None:
    """Return the driver for this terminal; None where Textual is to choose: a driver was asked for."""
    return None if "TEXTUAL_DRIVER" in os.environ or sys.__stdin__ is None else TerminalDriver
