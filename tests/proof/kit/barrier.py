"""A place at which a process stops, and waits for its death or for a sign to go on."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from jobdash.domain.time import Clock
from jobdash.operations.person import current_actor
from jobdash.store.writer import Writer

T = TypeVar("T")


GO_ON = signal.SIGUSR1


class Gate:
    """Stops the process at one place, until `GO_ON`; its ``tell`` is heard first."""

    def __init__(self, place: str, tell: Callable[[], None]) -> None:
        words = place.split()
        self._count = int(words.pop()) if words and words[-1].isdigit() else 1
        self._place = tuple(words)
        self._tell = tell
        self._passed: Counter[tuple[str, ...]] = Counter()
        signal.pthread_sigmask(signal.SIG_BLOCK, {GO_ON})

    def passing(self, when: str, method: str) -> None:
        """Go on, unless this is the place."""
        self._passed[when, method] += 1
        if (when, method) == self._place and self._passed[when, method] == self._count:
            self._tell()
            signal.sigwait({GO_ON})


def gate_files(gate: Gate) -> None:
    """Let every file that is synced to disk or gets its final name pass a gate: ``before fsync NAME``,
    ``after replace NAME``.
    """
    fsync, replace = os.fsync, Path.replace

    def gated_fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        gate.passing("before", f"fsync:{name}")
        fsync(descriptor)
        gate.passing("after", f"fsync:{name}")

    def gated_replace(path: Path, target: Path) -> Path:
        gate.passing("before", f"replace:{target.name}")
        replaced = replace(path, target)
        gate.passing("after", f"replace:{target.name}")
        return replaced

    os.fsync = gated_fsync
    Path.replace = gated_replace  # type: ignore[method-assign, assignment]


class GatedStore:
    """A `writing.Store` whose every write passes a gate before it begins, at its COMMIT, and behind it."""

    def __init__(self, path: Path, clock: Clock, gate: Gate) -> None:
        self.path = self.location = path
        self._writer = Writer(path, clock, current_actor("proof"))
        self._gate = gate
        self._method = ""
        # SQLite tells of a COMMIT before it carries it out: all is written by then, and nothing committed.
        for connection in (self._writer._durable, self._writer._quick):
            connection.set_trace_callback(self._traced)

    async def write(self, method: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return getattr(self, method.__name__)(*args, **kwargs)  # type: ignore[no-any-return]

    def _traced(self, statement: str) -> None:
        if statement == "COMMIT":
            self._gate.passing("commit", self._method)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._writer, name)

        def sanitized(*args: Any, **settings: Any) -> Any:
            self._method = name
            self._gate.passing("before", name)
            result = method(*args, **settings)
            self._gate.passing("after", name)
            return result

        return sanitized
