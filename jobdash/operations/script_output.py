"""The end of what a script wrote into its log file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

LINES = 200
_BYTES = 64 * 1024


def tail(file: str) -> list[str]:
    """Return the last lines of a log file, as written; raises OSError when it cannot be read.

    Of a line that was written over, as a progress bar is, the last state is returned.
    """
    path = Path(file)
    # Opening a pipe would wait for somebody who writes.
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{file} is no file")
    with path.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - _BYTES))
        text = log.read(_BYTES).decode("utf-8", "replace")
    lines = text.replace("\r\n", "\n").split("\n")
    if size > _BYTES and len(lines) > 1:
        del lines[0]
    if lines and not lines[-1]:
        del lines[-1]
    return [line.rstrip("\r").rpartition("\r")[2] for line in lines[-LINES:]]
