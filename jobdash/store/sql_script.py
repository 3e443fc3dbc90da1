"""A script of SQL as single statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; a trigger, which holds semicolons, is one of them."""
    lines: list[str] = []
    for line in script.splitlines():
        if line.strip() or lines:
            lines.append(line)
        if lines and sqlite3.complete_statement("\n".join(lines)):
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)
