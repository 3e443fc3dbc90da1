"""The output of a command, line by line or as JSON, in which every text from outside is sanitized."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, TextIO, cast

from jobdash.domain.text import clean, redact

LINE_LIMIT = 64 * 1024
"""Characters of one printed line: a whole command line, and what stands around it."""


class Style(Enum):
    """What a line means; the value is its ANSI style."""

    PLAIN = ""
    GOOD = "32"
    WARN = "33"
    BAD = "31"
    QUIET = "2"
    STRONG = "1"


class Output:
    """Standard output that remembers why it could not be written, so that this is no other error."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write a text; raises OSError."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Write what is buffered; raises OSError."""
        try:
            self._stream.flush()
        except OSError as error:
            self.error = error
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def forget(self) -> None:
        """Drop what is still to be written: Python would try once more when it exits, and complain."""
        _forget(self._stream)


@contextlib.contextmanager
def prepared() -> Iterator[Output | None]:
    """Make the standard streams usable; yields standard output, None where there is none (``>&-``).

    No character that the terminal's encoding lacks ends a command. Where a stream is closed, its number is
    taken, so that no file is opened under it and written to by mistake.
    """
    before = sys.stdout
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _open_nothing(number)
            setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    output = Output(sys.stdout)
    sys.stdout = cast("TextIO", output)
    try:
        yield output if before is not None else None
    finally:
        sys.stdout = before
        try:
            sys.stderr.flush()
        except (OSError, ValueError):  # a terminal that is gone
            _forget(sys.stderr)


def _forget(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_nothing(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free


def print_text(text: str, tone: Style = Style.PLAIN) -> None:
    """Print one line of the answer."""
    _write(sys.stdout, text, tone)


def print_error(text: str, tone: Style = Style.PLAIN) -> None:
    """Print one line of diagnostics, on stderr; nothing ends because it cannot be written there."""
    with contextlib.suppress(OSError, ValueError):
        _write(sys.stderr, text, tone)


def print_outage(sentence: str) -> None:
    """Print that the store does not answer, or does again."""
    print_error(f"jobdash: {sentence}", Style.WARN)


def _write(stream: TextIO, text: str, tone: Style) -> None:
    line = clean(redact(text), LINE_LIMIT)
    if tone is not Style.PLAIN and colourful(stream):
        line = f"\x1b[{tone.value}m{line}\x1b[0m"
    stream.write(f"{line}\n")
    stream.flush()


def colourful(stream: TextIO) -> bool:
    """Whether a stream is a terminal that wants colours (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def document(value: object) -> None:
    """Print one JSON document: exact, in ASCII."""
    sys.stdout.write(as_json(value, indent=2 if sys.stdout.isatty() else None) + "\n")


def as_json(value: object, indent: int | None = None) -> str:
    """Return a value as JSON without a single control character."""
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")


def document_with(name: str, entries: Iterable[object], rest: Mapping[str, object]) -> None:
    """Print ``{"name": [entries…], rest…}`` without ever holding all entries."""
    sys.stdout.write(f'{{"{name}": [')
    for number, entry in enumerate(entries):
        sys.stdout.write((",\n" if number else "\n") + as_json(entry))
    tail = "".join(f", {as_json(key)}: {as_json(value)}" for key, value in rest.items())
    sys.stdout.write(f"\n]{tail}}}\n")
