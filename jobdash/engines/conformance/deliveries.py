"""Counting of deliveries for the checks, with deadlines."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from jobdash.engines.base import Engine

MakeEngine = Callable[[str], Engine]
Check = Callable[[MakeEngine], None]
DEADLINE_S = 30.0
QUIET_S = 1.5
"""How long nothing is delivered before that counts as never."""


class NotConforming(AssertionError):
    """An engine does something else than the Protocol promises."""


def wait_for(condition: Callable[[], object], what: str, within_s: float | None = None) -> None:
    """Wait until something is so; raises `NotConforming` when it is not in time."""
    until = time.monotonic() + (DEADLINE_S if within_s is None else within_s)
    while not condition():
        if time.monotonic() > until:
            raise NotConforming(what)
        time.sleep(0.01)


def stays(condition: Callable[[], bool], what: str) -> None:
    """Raise `NotConforming` when something that is so does not stay so for a while."""
    until = time.monotonic() + QUIET_S
    while time.monotonic() < until:
        if not condition():
            raise NotConforming(what)
        time.sleep(0.01)


class DeliveryCounts:
    """What a worker was delivered."""

    def __init__(self) -> None:
        self.keys: Counter[str] = Counter()
        self.running = 0
        self.most = 0
        """How many calls ran at once."""

    def begin(self, key: str) -> None:
        """Count a key whose call begins."""
        self.keys[key] += 1
        self.running += 1
        self.most = max(self.most, self.running)

    def wait_for(self, condition: Callable[[], object], what: str, within_s: float | None = None) -> None:
        """Wait until something is so."""
        try:
            wait_for(condition, what, within_s)
        except NotConforming:
            raise NotConforming(f"{what}; delivered: {dict(self.keys)}") from None

    def wait_for_keys(self, keys: Sequence[str], within_s: float | None = None) -> None:
        """Wait until keys were delivered, and their calls have returned."""
        self.wait_for(
            lambda: set(keys) <= set(self.keys) and not self.running,
            f"{len(keys)} keys have to be delivered, {[*keys][:3]} and so on",
            within_s,
        )


class Deliveries(DeliveryCounts):
    """Counts the keys that an engine delivers; each call may be held up."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self.open = threading.Event()
        self.open.set()

    def handle(self, key: str) -> None:
        """Count a key, and return when calls are not held up."""
        with self._lock:
            self.begin(key)
        self.open.wait(DEADLINE_S)
        with self._lock:
            self.running -= 1

    def stays(self, condition: Callable[[], bool], what: str) -> None:
        """Raise when something does not stay so for a while."""
        try:
            stays(condition, what)
        except NotConforming:
            raise NotConforming(f"{what}; delivered: {dict(self.keys)}") from None


@contextmanager
def started(
    make: MakeEngine, name: str = "worker-1", concurrency: int = 4
) -> Iterator[tuple[Engine, Deliveries]]:
    """Run an engine, and stop it in the end."""
    engine, deliveries = make(name), Deliveries()
    engine.start(deliveries.handle, concurrency)
    try:
        yield engine, deliveries
    finally:
        deliveries.open.set()
        engine.stop(DEADLINE_S)


def keys_of(job: str, number: int) -> list[str]:
    """Return the keys of a job's parts, as the store makes them."""
    return [f"{job}.0.{part}.0" for part in range(number)]
