"""What jobdash writes to a script's standard error: its sentences, and the progress line.

While a progress line is shown, standard output and error are wrapped, where they are terminals: what a script
prints takes the place of the line, which is drawn again below it.
"""

from __future__ import annotations

import builtins
import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from unicodedata import east_asian_width

from jobdash.domain.emoji import whole_until
from jobdash.domain.text import clean
from jobdash.domain.time import SECOND, short_span

ERASE_LINE = "\r\x1b[K"
_STREAMS = ("stdout", "stderr")
_lock = threading.RLock()
"""Held while something is written: the script prints in one thread, and the line is drawn in another."""
_progress_is_shown = False
_in_a_line = False
"""The script has printed the beginning of a line: the progress line waits for its end."""
_asking = False
"""The script waits for an answer: no progress line is drawn."""
_input = builtins.input
_lines = 0
"""Progress lines that are shown in turn, of loops inside each other."""
_DRAW_EVERY_S = 0.1
_FIRST_AFTER_S = 0.2
"""A loop that is over sooner needs no line."""
_NAME_WIDTH = 40
_BAR_WIDTH = 20


class _AboveProgress:
    """A stream of a script whose text takes the place of the progress line."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, and erase the progress line first."""
        global _in_a_line  # noqa: PLW0603  the terminal is one
        with _lock:
            if text:
                _erase_progress()
                _in_a_line = not text.endswith(("\n", "\r"))
            written: int = self._stream.write(text)
            if _lines:
                self._stream.flush()  # or a line that is drawn meanwhile stands above it
            return written

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def raw(stream: Any) -> Any:
    """Return the stream that is wrapped, or the stream itself."""
    return stream._stream if isinstance(stream, _AboveProgress) else stream  # noqa: SLF001 - our own


def _erase_progress() -> None:
    """Erase the progress line where one is shown; `_lock` is held."""
    global _progress_is_shown  # noqa: PLW0603  the terminal is one
    if _progress_is_shown:
        _progress_is_shown = False
        with contextlib.suppress(Exception):  # as in `write`
            raw(sys.stderr).write(ERASE_LINE)
            raw(sys.stderr).flush()


def begin_progress() -> None:
    """Wrap the script's streams; to be called once for each progress line that is drawn."""
    global _lines  # noqa: PLW0603  the terminal is one
    with _lock:
        _lines += 1
        if builtins.input is _input:
            builtins.input = _input_without_progress
        for name in _STREAMS:
            stream = getattr(sys, name)
            with contextlib.suppress(Exception):  # an object of the script's own
                if not isinstance(stream, _AboveProgress) and stream is not None and stream.isatty():
                    wrapped = _AboveProgress(stream)
                    setattr(sys, name, wrapped)
                    _swap_in_logging(stream, wrapped)


def end_progress() -> None:
    """Unwrap the script's streams, after the last progress line; one that it has replaced stays."""
    global _lines  # noqa: PLW0603  the terminal is one
    with _lock:
        _lines = max(0, _lines - 1)
        if _lines:
            return
        if builtins.input is _input_without_progress:
            builtins.input = _input
        for name in _STREAMS:
            stream = getattr(sys, name)
            if isinstance(stream, _AboveProgress):
                setattr(sys, name, raw(stream))
                _swap_in_logging(stream, raw(stream))


def _input_without_progress(prompt: object = "", /) -> str:
    """Call `input` while no progress line is drawn: its prompt bypasses the wrapped streams."""
    global _asking  # noqa: PLW0603  the terminal is one
    with _lock:
        _asking = True
        _erase_progress()
    try:
        return _input(prompt)
    finally:
        _asking = False


def _swap_in_logging(old: Any, new: Any) -> None:
    """Let handlers of the root logger write to another stream: they keep the one they were made with."""
    logging = sys.modules.get("logging")
    if logging is not None:
        for handler in logging.root.handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is old:
                handler.stream = new


def in_forked_child() -> None:
    """Unwrap the child's streams; another thread of the parent may have held the lock."""
    global _lock, _lines, _progress_is_shown  # noqa: PLW0603  a process forks as a whole
    _lock = threading.RLock()
    _lines = 0
    _progress_is_shown = False
    end_progress()


def print_line(sentence: str) -> None:
    """Write one line to standard error; never raises, whatever stream that is."""
    write(f"{clean(sentence)}\n")


def write(text: str, *, progress: bool = False) -> None:
    """Write to standard error, in place of the progress line when there is one; ``text`` is clean."""
    global _progress_is_shown, _in_a_line  # noqa: PLW0603  the terminal is one
    stream = raw(sys.stderr)
    if stream is None:  # pythonw
        return
    # Closed, a pipe without a reader, or an object of the script's own, which may do anything.
    with _lock, contextlib.suppress(Exception):
        begun = _in_a_line and _lines > 0
        if (begun or _asking) and progress and not text.endswith("\n"):
            return
        shown = _encodable(text, getattr(stream, "encoding", None))
        if begun:
            shown = f"\n{shown}"
            _in_a_line = False
        stream.write(f"{ERASE_LINE}{shown}" if (_progress_is_shown or progress) and not begun else shown)
        stream.flush()
        _progress_is_shown = progress and not text.endswith("\n")


def _encodable(text: str, encoding: object) -> str:
    known = encoding if isinstance(encoding, str) else "utf-8"
    try:
        return text.encode(known, "replace").decode(known)
    except LookupError:
        return text.encode("ascii", "replace").decode()


class ProgressState(NamedTuple):
    """How far a job is."""

    succeeded: int
    failed: int
    total: int | None
    before: int
    """What earlier attempts had done."""

    @property
    def done(self) -> int:
        """Items with an outcome."""
        return self.succeeded + self.failed


class ProgressLine:
    """Draws the progress line, at most ten times a second."""

    def __init__(self, name: str, unit: str) -> None:
        self._name = clean(name, _NAME_WIDTH)
        self._unit = clean(unit, _NAME_WIDTH)
        self._began = time.monotonic()
        self._next = self._began + _FIRST_AFTER_S
        self._drawn = False

    def close(self) -> None:
        """Unwrap the streams, where no last line is drawn."""
        if self._drawn:
            self._drawn = False
            end_progress()

    def draw(self, progress: ProgressState, *, last: bool = False, public_id: str | None = None) -> None:
        """Draw the line if it is time; the last one stays, if one was drawn, and names the job."""
        now = time.monotonic()
        if now < self._next and not (last and self._drawn):
            return
        self._next = now + _DRAW_EVERY_S
        name = self._name if public_id is None else f"{self._name} ({public_id})"
        text = _fitting(line(name, self._unit, progress, now - self._began), _width() - 1)
        if last and self._drawn:
            write(f"{text}\n", progress=True)
            self.close()
        elif not last:
            if not self._drawn:
                self._drawn = True
                begin_progress()
            write(text, progress=True)


def line(name: str, unit: str, progress: ProgressState, seconds: float) -> str:
    """Return ``resize ━━━━━╌╌╌ 25/100 files  25 %  3.1/s  ~24s  2 errors``."""
    done, total = progress.done, progress.total
    now_done = done - progress.before
    rate = now_done / seconds if seconds > 0 else 0.0
    parts = [name]
    if total:
        filled = min(_BAR_WIDTH, _BAR_WIDTH * done // total)
        parts[0] = f"{name} {'━' * filled}{'╌' * (_BAR_WIDTH - filled)}"
        parts += [f"{done:,}/{total:,} {unit}", f"{100 * done // total} %"]
    else:
        parts.append(f"{done:,} {unit}")
    if now_done > 0:
        parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
        if total and done < total:
            parts.append(f"~{short_span(int((total - done) / rate * SECOND))}")
    if progress.failed:
        parts.append("1 error" if progress.failed == 1 else f"{progress.failed:,} errors")
    return "  ".join(parts)


def shown_here() -> bool:
    """Whether standard error is a terminal."""
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except Exception:  # noqa: BLE001 - a script may put any object there
        return False


def _fitting(text: str, cells: int) -> str:
    """Return as much of a text as fits into a number of cells: a line that wraps cannot be erased."""
    if text.isascii():
        return text[:cells]
    for at, char in enumerate(text):
        cells -= 2 if east_asian_width(char) in {"W", "F"} else 1
        if cells < 0:
            return text[: whole_until(text, at)]
    return text


def _width() -> int:
    try:
        return os.get_terminal_size(raw(sys.stderr).fileno()).columns or 80
    except Exception:  # noqa: BLE001 - the same
        return 80
