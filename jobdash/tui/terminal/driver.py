"""Textual's driver, with handling for a stopped process and for a terminal that is gone."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rich.cells import split_graphemes
from textual.drivers import linux_driver

if TYPE_CHECKING:
    from textual.app import App


class TerminalDriver(linux_driver.LinuxDriver):
    """Draws the whole screen again when the process continues, and never starts its threads twice."""

    on_continue: Callable[[], None]
    """Called when the terminal is the dashboard's again; set by the app."""
    on_mode: Callable[[bool], None]
    """Called when the terminal is taken, and when it is given back; set by the app."""

    def __init__(self, app: App[Any], **settings: Any) -> None:
        self.drawing = False
        self.on_continue = getattr(app, "draw_again", _nothing)
        self.on_mode = getattr(app, "terminal_taken", _nothing)
        super().__init__(app, **settings)
        self._suspended = False
        """Whether the terminal was given back for a stop of the process, and will be taken again."""
        self._watch: threading.Thread | None = None

    def start_application_mode(self) -> None:
        """Take the terminal."""
        if self._watch is None:
            self._watch = threading.Thread(target=self._end_with_terminal, name="terminal", daemon=True)
            self._watch.start()
        self.drawing = True
        self.on_mode(True)
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def _end_with_terminal(self) -> None:
        """End the app as SIGHUP does once the terminal is gone, which is signalled only to whom it controls.

        Textual's thread would read the end of its input over and over again.
        """
        terminal = select.poll()
        terminal.register(self.fileno, 0)
        if any(event & select.POLLHUP for _, event in terminal.poll()):
            os.kill(os.getpid(), signal.SIGHUP)

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

    def _sigtstp_application(self, *_: object) -> None:
        if not (self._auto_restart and self._call_soon(self._suspend)):
            os.kill(os.getpid(), signal.SIGSTOP)

    def _sigcont_application(self, *_: object) -> None:
        if self._auto_restart:
            self._call_soon(self._continue)

    def _call_soon(self, callback: Callable[[], None]) -> bool:
        """Have the loop call something; False when it is closed.

        A handler that wrote by itself could wait for ever: for the lock of the queue of writes, which the
        code it has interrupted holds.
        """
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            return False
        return True

    def _suspend(self) -> None:
        """Give the terminal back, and stop the process."""
        if self.drawing:
            self.suspend_application_mode()
            self._must_signal_resume = self._suspended = True
        os.kill(os.getpid(), signal.SIGSTOP)

    def _continue(self) -> None:
        """Continue after ctrl+z or SIGSTOP: a shell has used the terminal meanwhile.

        One that was given back for good is left alone: nothing would give it back again.
        """
        if self.drawing:
            self._take_again()
        elif self._suspended:
            self._suspended = False
            self.resume_application_mode()
        else:
            return
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
    """Return the driver for this terminal; None where Textual chooses: TEXTUAL_DRIVER is set."""
    return None if "TEXTUAL_DRIVER" in os.environ or sys.__stdin__ is None else TerminalDriver


_DISPUTED = re.compile("[\ufe0f\u200d\u20e3\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_PARTS = re.compile(r"\x1b\[[0-9;:?<=>]*[ -/]*[@-~]|\x1b[^\[]|[\r\n]|[^\x1b\r\n]+")
_MOVE = re.compile(r"\x1b\[\d+;(\d+)H")
_REGION = re.compile("[\U0001f1e6-\U0001f1ff]")


def anchored(data: str) -> str:
    """Return what is written to a terminal, with a cursor position after every emoji of disputed width.

    A variation selector, joined emoji and flags are one, two or more cells, as the terminal has it. Each is
    written over blanks of the width that was reckoned with, and what follows begins where it should.
    Where nothing has moved the cursor to a column, it is not known, and a text stays as it is.
    """
    if _DISPUTED.search(data) is None:
        return data
    written: list[str] = []
    x: int | None = None
    for part in _PARTS.findall(data):
        if part[0] == "\x1b":
            move = _MOVE.fullmatch(part)
            x = int(move[1]) - 1 if move else x
        elif part in {"\r", "\n"}:
            x = 0 if part == "\r" else None
        elif x is not None:
            pieces = list(_anchored_text(part, x))
            x += sum(width for _, width in pieces)
            written += [piece for piece, _ in pieces]
            continue
        written.append(part)
    return "".join(written)


def _anchored_text(text: str, x: int) -> Iterator[tuple[str, int]]:
    """Yield pieces of a text that begins in a column, with their widths in cells."""
    for cluster, width in _clusters(text):
        if _DISPUTED.search(cluster):
            yield f"{' ' * width}\x1b[{x + 1}G{cluster}\x1b[{x + width + 1}G", width
        else:
            yield cluster, width
        x += width


def _clusters(text: str) -> Iterator[tuple[str, int]]:
    spans, _ = split_graphemes(text)
    place = 0
    while place < len(spans):
        start, end, width = spans[place]
        place += 1
        if _REGION.match(text, start) and place < len(spans) and _REGION.match(text, spans[place][0]):
            _, end, more = spans[place]
            width += more
            place += 1
        yield text[start:end], width
