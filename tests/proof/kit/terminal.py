"""Running a command on a terminal, and reading what it wrote there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

from shared.deadlines import read_terminal

from kit.child_processes import TIMEOUT_S, environment

_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def on_terminal(*args: str, env: dict[str, str], width: int = 200) -> tuple[int, str]:
    """Run a command on a pty; return its exit code and what it wrote, its own styles taken out."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "jobdash", *args],
        env=environment(TERM="xterm-256color", **env),
        stdin=child,
        stdout=child,
        stderr=child,
    )
    os.close(child)
    told = b"".join(read_terminal(parent))
    os.close(parent)
    code = process.wait(TIMEOUT_S)
    return code, _STYLE.sub("", told.decode("utf-8")).replace("\r\n", "\n")
