"""The few lines that jobdash writes into a script's own terminal."""

from __future__ import annotations

import contextlib
import sys

from jobdash.domain.text import clean

ERASE_LINE = "\r\x1b[K"
_progress_is_shown = False


def say(sentence: str) -> None:
    """Write one line to standard error; never an exception, whatever has become of it."""
    write(f"{clean(sentence)}\n")


def write(text: str, *, progress: bool = False) -> None:
    """Write to standard error, in place of the progress line when there is one; ``text`` is gated already."""
    global _progress_is_shown  # noqa: PLW0603  the terminal is one, whoever writes to it
    stream = sys.stderr
    if stream is None:  # pythonw
        return
    # Closed, a pipe nobody reads, or an object of the script's own, which may do anything.
    with contextlib.suppress(Exception):
        shown = _encodable(text, getattr(stream, "encoding", None))
        stream.write(f"{ERASE_LINE}{shown}" if _progress_is_shown or progress else shown)
        stream.flush()
        _progress_is_shown = progress and not text.endswith("\n")


def _encodable(text: str, encoding: object) -> str:
    known = encoding if isinstance(encoding, str) else "utf-8"
    try:
        return text.encode(known, "replace").decode(known)
    except LookupError:
        return text.encode("ascii", "replace").decode()
