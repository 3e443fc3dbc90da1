"""The exit codes no exception carries; the others are in `jobdash.errors`."""

from __future__ import annotations

FAILED = 1
"""At least one job failed or was refused, or a name among good ones was bad."""
TIMED_OUT = 7
"""Waiting ran out of time."""
INTERRUPTED = 130
"""Ctrl-C; what a shell reports of a program that SIGINT ended."""
OUTPUT_CLOSED = 141
"""What a shell reports of a program whose reader went away."""
