"""A pseudo-terminal around a program: when a text appeared, how long a key took, how many bytes it wrote."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import TracebackType
from typing import Self

QUIET_S = 0.06
"""Silence after which a key counts as answered."""
COLUMNS, LINES = 120, 36


class Terminal:
    """Runs a program; ``with Terminal([...]) as t: t.until(b"text")``."""

    def __init__(self, command: list[str], env: dict[str, str] | None = None) -> None:
        self.command = command
        self.env = clean_environment(env or {})
        self.seen = b""

    def __enter__(self) -> Self:
        self.fd, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            self.command, stdin=child, stdout=child, stderr=child, env=self.env, start_new_session=True
        )
        os.close(child)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.fd)

    def read(self, timeout: float) -> bytes:
        """Return what comes within a time, empty when nothing does."""
        ready, _, _ = select.select([self.fd], [], [], timeout)
        if not ready:
            return b""
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            return b""
        self.seen += data
        return data

    def until(self, *texts: bytes, timeout: float = 30.0) -> float:
        """Return the seconds from the start until all texts had been written."""
        deadline = time.perf_counter() + timeout
        while not all(text in self.seen for text in texts):
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{texts} did not appear; the end of what did: {self.seen[-600:]!r}")
            self.read(0.5)
        return time.perf_counter() - self.started

    def settle(self, quiet: float = 0.4, longest: float = 10.0) -> None:
        """Wait until nothing is written for a while."""
        deadline = time.perf_counter() + longest
        while self.read(quiet) and time.perf_counter() < deadline:
            pass

    def write(self, data: bytes) -> None:
        """Type, and do not wait."""
        os.write(self.fd, data)

    def press(self, key: bytes, quiet: float = QUIET_S, longest: float = 5.0) -> tuple[float, int]:
        """Press a key; returns seconds until the last byte it changed, and how many bytes that were."""
        while self.read(0):
            pass
        begun = last = time.perf_counter()
        os.write(self.fd, key)
        count = 0
        while time.perf_counter() - begun < longest:
            data = self.read(longest if not count else quiet)
            if not data:
                break
            last = time.perf_counter()
            count += len(data)
        return last - begun, count

    def cpu_seconds(self) -> float:
        """Return the processor time its threads have used so far, to the nanosecond."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def memory_mib(self) -> float:
        """Return the resident memory."""
        return resident_mib(self.process.pid)

    def idle(self, seconds: float) -> tuple[float, int]:
        """Return the processor time and the bytes written in a time without a key."""
        before, count = self.cpu_seconds(), 0
        deadline = time.perf_counter() + seconds
        while (rest := deadline - time.perf_counter()) > 0:
            count += len(self.read(rest))
        return self.cpu_seconds() - before, count


def resident_mib(pid: int | str = "self") -> float:
    """Return the resident memory of a process."""
    return _status_mib(pid, "VmRSS")


def peak_mib() -> float:
    """Return the most resident memory this process has had; getrusage's is that of its parent at first."""
    return _status_mib("self", "VmHWM")


def _status_mib(pid: int | str, what: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {what}")


def clean_environment(changes: dict[str, str]) -> dict[str, str]:
    """Return the environment with changes, and without what would change the thing that is measured."""
    env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **changes}
    for name in ("PYTHONDONTWRITEBYTECODE", "NO_COLOR"):
        env.pop(name, None)
    return {name: value for name, value in env.items() if value}


def python(*words: str) -> list[str]:
    """Return a command that runs this Python."""
    return [sys.executable, *words]
