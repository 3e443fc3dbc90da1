"""A worker in a process of its own, for the checks: it starts an engine, and reports what that delivers.

Run as a module, this is that process: it reads one request a line, the first of which says what to start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from typing import Any

from jobdash.engines.base import Engine, EngineAway, EngineSettings
from jobdash.engines.conformance.deliveries import DEADLINE_S, DeliveryCounts, NotConforming
from jobdash.errors import ConfigError


@dataclass(frozen=True, slots=True)
class EngineUnderTest:
    """Which engine is checked, and where."""

    factory: str
    """What its entry point names: ``package.module:Class``."""
    settings: EngineSettings
    """An empty database; its `worker` is set for each worker."""

    def make(self, worker: str) -> Engine:
        """Return a new engine of a worker."""
        module, _, name = self.factory.partition(":")
        engine: Engine = getattr(import_module(module), name)(replace(self.settings, worker=worker))
        return engine


class WorkerProcess(DeliveryCounts):
    """A worker that runs; its calls are held up until `open_gate`, or not at all."""

    def __init__(self, tested: EngineUnderTest, worker: str, concurrency: int, *, held: bool) -> None:
        super().__init__()
        self.name = worker
        self.dispatched = 0
        self.away = 0
        """How often a dispatch has found the engine's database away."""
        self.started = self.stopped = False
        self.refused: str | None = None
        """Why the engine did not start."""
        self.broken: str | None = None
        """An error that the Protocol does not allow."""
        self._process = subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        settings = asdict(replace(tested.settings, worker=worker))
        self._send(factory=tested.factory, settings=settings, concurrency=concurrency, held=held)
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def _send(self, **request: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event, text = json.loads(line)
            if event == "delivered":
                self.begin(text)
            elif event == "returned":
                self.running -= 1
            elif event == "dispatched":
                self.dispatched += 1
            elif event == "away":
                self.away += 1
            elif event in {"started", "stopped"}:
                setattr(self, event, True)
            else:
                setattr(self, event, text)

    def dispatch(self, keys: Sequence[str]) -> None:
        """Let it dispatch keys, and wait until it has tried to."""
        before = self.dispatched + self.away
        self._send(dispatch=[*keys])
        self.wait_for(lambda: self.dispatched + self.away > before, "a dispatch has to come to its end")

    def forget(self, jobs: Sequence[str]) -> None:
        """Let it forget jobs."""
        self._send(forget=[*jobs])

    def open_gate(self) -> None:
        """Let its calls return from now on."""
        self._send(open=True)

    def wait_for(self, condition: Any, what: str, within_s: float | None = None) -> None:
        """Wait until something is so of it."""
        super().wait_for(lambda: self.broken or condition(), f"{self.name}: {what}", within_s)
        if self.broken:
            raise NotConforming(f"{self.name}: {self.broken}")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """Let its engine stop, and wait for that."""
        self._send(stop=True)
        self.wait_for(lambda: self.stopped, "stop() has to return")

    def end(self) -> None:
        """Kill the process, if it is still there."""
        self._process.kill()
        self._process.wait(DEADLINE_S)
        self._reading.join(DEADLINE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def worker_processes(
    tested: EngineUnderTest, number: int, concurrency: int = 2, *, held: bool = False, named: str = "worker"
) -> Iterator[list[WorkerProcess]]:
    """Start workers at the same time, and end them; when all have started they are handed out."""
    workers: list[WorkerProcess] = []
    try:
        for n in range(1, number + 1):
            worker = WorkerProcess(tested, f"{named}-{n}", concurrency, held=held)
            workers.append(worker)
        for worker in workers:
            worker.wait_for(lambda worker=worker: worker.started or worker.refused, "it has to start")
            if worker.refused is not None:
                raise NotConforming(f"{worker.name} did not start: {worker.refused}")
        yield workers
    finally:
        for worker in workers:
            worker.end()


class _Reporter:
    """The process: writes events to its standard output, one line of JSON each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = threading.Event()

    def tell(self, event: str, text: str = "") -> None:
        with self._lock:
            sys.stdout.write(json.dumps([event, text]) + "\n")
            sys.stdout.flush()

    def handle(self, key: str) -> None:
        self.tell("delivered", key)
        self._open.wait()
        self.tell("returned", key)

    def run(self) -> None:
        begin = json.loads(sys.stdin.readline())
        if not begin["held"]:
            self._open.set()
        settings = EngineSettings(**begin["settings"])
        try:
            engine = EngineUnderTest(begin["factory"], settings).make(settings.worker)
            engine.start(self.handle, begin["concurrency"])
        except ConfigError as error:
            self.tell("refused", str(error))
            return
        self.tell("started")
        for line in sys.stdin:
            request = json.loads(line)
            if "dispatch" in request:
                try:
                    engine.dispatch(request["dispatch"])
                    self.tell("dispatched")
                except EngineAway:
                    self.tell("away")
            elif "forget" in request:
                engine.forget(request["forget"])
            elif "open" in request:
                self._open.set()
            else:
                self._open.set()
                engine.stop(DEADLINE_S)
                self.tell("stopped")
                return


def _main() -> None:
    reporter = _Reporter()
    try:
        reporter.run()
    except BaseException as error:  # noqa: BLE001 - whatever it is, the check fails with it
        reporter.tell("broken", f"{type(error).__name__}: {error}")
    os._exit(0)  # threads of an engine that did not start are not waited for


if __name__ == "__main__":
    _main()
