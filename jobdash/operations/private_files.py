"""Files for their owner's eyes only."""

from __future__ import annotations

import os
from pathlib import Path

BUFFER = 1024 * 1024
"""Bytes that are read or written at once: lines of some kilobytes would each be a call of the system."""


def new_private_file(path: Path) -> int:
    """Return a descriptor of an empty file for its owner's eyes only; one of that name is emptied."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor
