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
    with contextlib.suppress(OSError, ValueError):  # closed, or a pipe nobody reads
        encoding = getattr(stream, "encoding", None) or "utf-8"
        shown = text.encode(encoding, "replace").decode(encoding)
        stream.write(f"{ERASE_LINE}{shown}" if _progress_is_shown or progress else shown)
        stream.flush()
        _progress_is_shown = progress and not text.endswith("\n")
