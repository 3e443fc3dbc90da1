"""A process that runs the parts of job functions: it moves due keys into an engine, which calls it back."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from jobdash.domain.text import quantity
from jobdash.engines.base import Engine, EngineAway
from jobdash.errors import StoreBusy, StoreError
from jobdash.store.bootstrap import open_for_worker
from jobdash.store.dialects.base import Connection
from jobdash.store.files import identity, refuse_replaced
from jobdash.store.leases.claims import close_abandoned_cancels
from jobdash.store.leases.parts import PartKey, due, ended, expire_leases_of_dead, has_open_parts
from jobdash.store.location import StoreLocation
from jobdash.worker.functions import JobFunction
from jobdash.worker.part_run import PartEnd, PartReport, run_part
from jobdash.worker.script import user_at_host

TICK_S, IDLE_TICK_S = 0.5, 1.0
"""Seconds between two polls for due parts, while something runs and while nothing does."""
DRAIN_S = 30.0
"""How long items under way may take once the worker is asked to end."""
_AGAIN_S = 2.0
"""A key that is still due so long after it was dispatched is dispatched again: a worker without its function,
or without room for it, may have been given it."""
_AHEAD = 4
"""How many keys are in the engine for each part that a worker can do at once."""
_CLEAN_UP_S = 5.0
"""Seconds between two searches for what workers that are gone have left."""


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """What a worker runs, and how."""

    location: StoreLocation
    functions: Mapping[str, JobFunction[..., Any]]
    lease_ms: int
    concurrency: int = 4
    once: bool = False
    """End when nothing is due and nothing runs."""


@dataclass(slots=True)
class _Running:
    """What is under way, for all threads."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    changed: threading.Condition = field(init=False)
    """Notified when a call ends."""
    count: int = 0
    jobs: set[str] = field(default_factory=set)
    """The public ids of jobs whose keys the engine may keep."""
    alone: bool = False
    """The one part under way is to be done alone."""

    def __post_init__(self) -> None:
        self.changed = threading.Condition(self.lock)

    def begin(self, draining: threading.Event) -> bool:
        """Count a call, once it may begin beside those that run; False when ``draining`` is set first.

        It waits, and keeps its place in the engine: a worker that took key after key to do nothing would
        leave none to others.
        """
        with self.lock:
            while self.alone and not draining.is_set():
                self.changed.wait(TICK_S)  # a signal handler, which may hold no lock, sets the event alone
            if not self.alone:
                self.count += 1
            return not self.alone

    def end(self) -> None:
        """Count a call as ended."""
        with self.lock:
            self.count -= 1
            self.alone = False
            self.changed.notify_all()

    def be_alone(self) -> bool:
        """Let no other call begin beside the one that runs; False when there are some."""
        with self.lock:
            self.alone = self.alone or self.count == 1
            return self.alone


class WorkerPool:
    """Runs parts until it is asked to drain; `run` is to be called once."""

    def __init__(self, options: PoolOptions, engine: Engine, report: Callable[[str], None]) -> None:
        """``report`` is called with sentences for the worker's log, from any thread."""
        self._options = options
        self._engine = engine
        self._report = report
        self._draining = threading.Event()
        self._running = _Running()
        self._room = threading.Semaphore(options.concurrency)
        self._dispatched: dict[str, float] = {}
        self._polled_at = self._cleaned_at = -math.inf
        self._seen_version = -1
        self._idle = False
        self._trouble: str | None = None

    def drain(self) -> None:
        """Request the end: no new item is begun, and parts are given back; from any thread."""
        self._draining.set()

    def run(self) -> int:
        """Run parts until `drain`, or with ``once`` until nothing is left; return how many items still run.

        Raises `StoreError` when the store cannot be opened or was replaced, and `ConfigError` for the
        engine's database.
        """
        location = self._options.location
        file = identity(location)
        with closing(open_for_worker(location)) as connection:
            concurrency = self._options.concurrency
            self._engine.start(self._handle, concurrency)
            names = ", ".join(sorted(self._options.functions))
            self._report(f"runs {names}; {concurrency:,} at once; Ctrl-C ends it")
            try:
                while not self._draining.is_set():
                    refuse_replaced(location, file)
                    idle = self._tick(connection)
                    if self._options.once and idle:
                        break
                    self._draining.wait(IDLE_TICK_S if idle else TICK_S)
            finally:
                self._draining.set()
                if self._running.count:
                    under_way = quantity(self._running.count, "item")
                    self._report(f"ends when {under_way} under way are done; the rest is given back")
                self._engine.stop(DRAIN_S)
        return self._running.count

    def _tick(self, connection: Connection) -> bool:
        """Dispatch what is due; return whether nothing is due and nothing runs."""
        try:
            if not self._may_be_due(connection):
                return self._idle
            self._clean_up(connection)
            self._idle = self._move(connection)
            self._forget(connection)
        except (StoreError, EngineAway) as error:
            # Leases, and the store's own patience, decide what becomes of the parts under way.
            if not isinstance(error, StoreBusy):
                self._report_trouble(error)
            self._seen_version = -1
            return False
        if self._trouble is not None:
            self._trouble = None
            self._report("it answers again")
        return self._idle

    def _report_trouble(self, error: Exception) -> None:
        """Report what keeps parts from being run, once until it is over."""
        if self._trouble is None:
            self._report(str(error))
        self._trouble = str(error)

    def _may_be_due(self, connection: Connection) -> bool:
        """Whether the store has changed, something runs, or a lease may have run out since the last poll."""
        version, now = connection.data_version(), time.monotonic()
        if version == self._seen_version and self._idle and now < self._polled_at + _CLEAN_UP_S:
            return False
        self._seen_version, self._polled_at = version, now
        return True

    def _clean_up(self, connection: Connection) -> None:
        """Clean up after other workers: end leases of dead ones, and cancels that no worker answers."""
        now = time.monotonic()
        if now < self._cleaned_at + _CLEAN_UP_S:
            return
        self._cleaned_at = now
        expire_leases_of_dead(connection)
        close_abandoned_cancels(connection, user_at_host())

    def _move(self, connection: Connection) -> bool:
        now = time.monotonic()
        functions = [*self._options.functions]
        keys = due(connection, functions, _AHEAD * self._options.concurrency)
        texts = {str(key): key for key in keys}
        self._dispatched = {
            key: at for key, at in self._dispatched.items() if key in texts and now - at < _AGAIN_S
        }
        fresh = [key for key in texts if key not in self._dispatched]
        self._engine.dispatch(fresh)
        self._dispatched |= dict.fromkeys(fresh, now)
        with self._running.lock:
            self._running.jobs |= {key.public_id for key in keys}
            idle = not keys and not self._running.count
        # A part that another worker holds may come back.
        return idle and not (self._options.once and has_open_parts(connection, functions))

    def _forget(self, connection: Connection) -> None:
        with self._running.lock:
            jobs = sorted(self._running.jobs)
        over = ended(connection, jobs) if jobs else []
        if over:
            self._engine.forget(over)
            with self._running.lock:
                self._running.jobs.difference_update(over)

    def _handle(self, text: str) -> None:
        """Run the part that a key names; called by the engine, in its threads.

        An engine may make more calls at once than this worker has room for: the part stays due.
        """
        if not self._room.acquire(blocking=False):
            return
        if not self._running.begin(self._draining):
            self._room.release()
            return
        if (key := PartKey.read(text)) is not None:
            with self._running.lock:
                self._running.jobs.add(key.public_id)
        try:
            options, alone = self._options, self._running.be_alone
            self._log(
                run_part(text, options.functions, options.location, options.lease_ms, self._draining, alone)
            )
        except StoreError as error:
            self._report_trouble(error)
        except Exception as error:  # noqa: BLE001 - an engine would keep its text, and its traceback
            self._report(f"a part ended by an error of jobdash itself: {type(error).__name__}: {error}")
        finally:
            self._running.end()
            self._room.release()

    def _log(self, done: PartReport) -> None:
        if done.end is PartEnd.STALE or not done.job:
            return
        words = f": {done.words}" if done.words else ""
        self._report(f"{done.job}: {done.end}{words}")


def worker_name() -> str:
    """Return the name of this process among all workers: ``host:pid:start``."""
    from jobdash.store.owner import current_owner

    owner = current_owner()
    return f"{owner.machine[:12]}:{os.getpid()}:{owner.started}"
