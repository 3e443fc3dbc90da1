"""Who holds an intent or a lease, and whether that process is provably dead."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
_STATE, _START_TIME = 0, 19
"""Where ``/proc/<pid>/stat`` has them, counted after the name (fields 3 and 22, proc(5))."""
_DEAD = frozenset("ZXx")
"""States of a process that has ended, and whose parent has not waited for it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """One process on one boot of one machine; what cannot be known here is empty or 0."""

    machine: str
    boot: str
    pid_namespace: int
    pid: int
    started: int
    """Clock ticks between the boot and the start of the process; 0 where there is no ``/proc``."""

    def encode(self) -> str:
        """Return the text that the store keeps."""
        return json.dumps([self.machine, self.boot, self.pid_namespace, self.pid, self.started])

    @classmethod
    def decode(cls, text: str) -> Owner:
        """Read what `encode` wrote."""
        machine, boot, pid_namespace, pid, started = json.loads(text)
        return cls(machine, boot, pid_namespace, pid, started)

    @classmethod
    def read(cls, text: str | None) -> Owner | None:
        """Read what any version may have written; None for what this one cannot read, and for None."""
        try:
            return None if text is None else cls.decode(text)
        except (ValueError, TypeError, RecursionError):
            return None

    def provably_dead(self) -> bool:
        """Whether this process certainly runs no more.

        Only a process of the same machine, boot and pid namespace can be looked for; of any other the answer
        is False, and a deadline or lease decides.
        """
        return self.here() and start_time(self.pid) != self.started

    def here(self) -> bool:
        """Whether its pid means the same process here: same machine, same boot, same pid namespace."""
        machine, boot, namespace = _place()
        return bool(boot) and (self.machine, self.boot, self.pid_namespace) == (machine, boot, namespace)

    def same_machine(self) -> bool:
        """Whether it ran on this machine, at whatever boot."""
        return bool(self.machine) and self.machine == _place()[0]

    def suspended(self) -> bool:
        """Whether it runs here and was stopped by a signal (state T): no signal but SIGKILL reaches it."""
        facts = _facts(self.pid) if self.here() else None
        return facts is not None and int(facts[_START_TIME]) == self.started and facts[_STATE] == "T"


def pid_of(owner: str | None) -> int | None:
    """Return the process of an owner as it is kept; None for what cannot be read."""
    known = Owner.read(owner)
    return None if known is None else known.pid


def current_owner() -> Owner:
    """Return this process as an owner (also right in a forked child)."""
    return owner_of(os.getpid())


def owner_of(pid: int) -> Owner:
    """Return a process of this machine as an owner."""
    machine, boot, namespace = _place()
    return Owner(machine, boot, namespace, pid, start_time(pid) or 0)


@cache
def _place() -> tuple[str, str, int]:
    machine = next((text for text in map(_first_line, _MACHINE_ID_FILES) if text), "") or _node()
    try:
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        namespace = 0
    return machine, _first_line(_BOOT_ID_FILE), namespace


def _node() -> str:
    import platform  # slow to import, and hardly ever needed

    return platform.node()


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since the boot; None when none of that id is alive."""
    facts = _facts(pid)
    return None if facts is None or facts[_STATE] in _DEAD else int(facts[_START_TIME])


def _facts(pid: int) -> list[str] | None:
    """Return the fields of ``/proc/<pid>/stat`` after the name; None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name stands in parentheses and may itself hold spaces and parentheses.
    return text.rpartition(")")[2].split()
