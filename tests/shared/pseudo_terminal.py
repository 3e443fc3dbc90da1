"""A program in a pseudo-terminal, read with a terminal emulator."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable

import pyte

DEADLINE_S = 20.0


class Terminal:
    """A program in a pseudo-terminal, and what its screen shows."""

    def __init__(self, arguments: list[str], env: dict[str, str], size: tuple[int, int] = (120, 34)) -> None:
        self.master, slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.screen = pyte.Screen(*size)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.resize(*size, notify=False)
        attributes = termios.tcgetattr(slave)
        attributes[3] |= termios.NOFLSH  # a Ctrl-C sent to it drops nothing that was not read yet
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env,
            start_new_session=True,
        )
        os.close(slave)

    def resize(self, columns: int, lines: int, *, notify: bool = True) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)
        if notify:
            os.killpg(self.process.pid, signal.SIGWINCH)

    def read(self, seconds: float = 0.05) -> bool:
        """Take in what the program writes; False when it has ended."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.raw += data
        # pyte has no private parameters of these newer sequences; none of them draws.
        self.stream.feed(data.replace(b"\x1b[>", b"\x1b[").replace(b"\x1b[<", b"\x1b["))
        return bool(data)

    @property
    def text(self) -> str:
        try:
            return "\n".join(self.screen.display)
        except IndexError:  # pyte, where only the first half of a wide character is overwritten so far
            return ""

    def until(self, condition: Callable[[], object], seconds: float = DEADLINE_S) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            alive = self.read()
            if condition():
                return
            assert alive, f"the program has ended:\n{self.raw.decode(errors='replace')[-3000:]}"
            assert time.monotonic() < deadline, f"waited {seconds} s in vain:\n{self.text}"

    def shows(self, *words: str) -> None:
        self.until(lambda: all(word in self.text for word in words))

    def answer(self, key: str, words: str) -> None:
        """Press a key until a dialog has gone: one that was only just drawn does not take keys yet."""
        while words in self.text:
            self.send(key)
            with contextlib.suppress(AssertionError):
                self.until(lambda: words not in self.text, 0.5)

    def send(self, keys: str) -> None:
        """Write keys, and read meanwhile: two sides that both wait for room in a full buffer never end."""
        unsent = keys.encode()
        deadline = time.monotonic() + DEADLINE_S
        while unsent:
            try:
                unsent = unsent[os.write(self.master, unsent) :]
            except BlockingIOError:
                pass
            except OSError:  # nothing has the terminal open
                return
            if self.process.poll() is not None:  # a full buffer stays full then, without an error
                return
            if unsent:
                assert time.monotonic() < deadline, f"the program does not read its keys:\n{self.text}"
                self.read(0.01)

    def ended(self, seconds: float) -> int:
        """Wait for the end of the process, and return its exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            self.read(0.01)
            assert time.monotonic() < deadline, f"still there after {seconds} s"
        with contextlib.suppress(AssertionError):
            while self.read(0.05) and time.monotonic() < deadline:
                pass
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE_S)
        os.close(self.master)
