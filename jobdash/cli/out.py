"""What a command prints, line by line or as JSON: everything from outside through one gate."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TextIO

from jobdash.domain.text import clean, redact

LINE_LIMIT = 8_000
"""Characters of one printed line."""


class Tone(Enum):
    """What a line means; the value is its ANSI style."""

    PLAIN = ""
    GOOD = "32"
    WARN = "33"
    BAD = "31"
    QUIET = "2"
    STRONG = "1"


def prepare() -> bool:
    """Make the standard streams usable; returns whether there is a standard output.

    No character that the terminal's encoding lacks ends a command. Where one is closed (``>&-``), its number
    is taken, so that no file is opened under it and written to by mistake.
    """
    has_output = sys.stdout is not None
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _open_nothing(number)
            setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    return has_output


def _open_nothing(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free


def output_error() -> str | None:
    """Return why standard output cannot be written, a full disk for one; None when it can."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return None
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return None


def forget_output() -> None:
    """Drop what is still to be written: Python would try once more when it exits, and complain."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str, tone: Tone = Tone.PLAIN) -> None:
    """Print one line of the answer."""
    _write(sys.stdout, text, tone)


def tell(text: str, tone: Tone = Tone.PLAIN) -> None:
    """Print one line of diagnostics, on stderr; nothing ends because it cannot be written there."""
    with contextlib.suppress(OSError, ValueError):
        _write(sys.stderr, text, tone)


def _write(stream: TextIO, text: str, tone: Tone) -> None:
    line = clean(redact(text), LINE_LIMIT)
    if tone is not Tone.PLAIN and colourful(stream):
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
