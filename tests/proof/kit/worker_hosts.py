"""Worker processes over one store, as a person starts them, and a function that leaves a witness."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import postgres_kit

from jobdash.store.bootstrap import ensure_store, open_for_worker
from jobdash.store.location import StoreLocation, read_location
from jobdash.worker.functions import load_functions, submit_to

DEADLINE_S = 240.0
ITEMS, PARTS, CONCURRENCY = 240, 12, 3
_MODULE = """
import os, time, jobdash

@jobdash.job
def witnessed(number):
    descriptor = os.open(os.environ["WITNESS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{number}\\n".encode())
    os.close(descriptor)
    time.sleep(float(os.environ["ITEM_S"]))
    if number % 20 == 7:
        raise ValueError(number)
    return number * 2
"""


class Hosts:
    """Worker processes over one store."""

    def __init__(
        self, folder: Path, location: str, engine: str, items: int = ITEMS, item_s: float = 0.02
    ) -> None:
        self.folder = folder
        self.items = items
        self.location: StoreLocation = read_location(location)
        (folder / "witnessed.py").write_text(_MODULE)
        self.witness = folder / "witness"
        self._command = [sys.executable, "-m", "jobdash", "worker", "witnessed", "--engine", engine]
        self._command += ["--concurrency", str(CONCURRENCY)]
        self._env = os.environ | {
            "WITNESS": str(self.witness), "ITEM_S": str(item_s), "JOBDASH_LEASE": "1s",
            "JOBDASH_DATABASE": location,
            "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(folder),
            "JOBDASH_CONFIG": str(folder / "c.toml"),
        }  # fmt: skip
        (folder / "c.toml").touch()
        self.running: list[subprocess.Popen[bytes]] = []
        self.server: postgres_kit.Server | None = None
        """The server of their store, where it is theirs alone."""

    def submit(self, parts: int = PARTS) -> None:
        """Submit a job with all items."""
        with importable(self.folder):
            function = load_functions(["witnessed"])["witnessed:witnessed"]
            submit_to(function, range(self.items), parts=parts, location=self.location)

    def begin(
        self, on: Callable[[list[str]], list[str]] = lambda command: command, **env: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker; ``on`` makes of its command one that runs it somewhere else."""
        log = (self.folder / f"worker{len(list(self.folder.glob('worker*')))}.log").open("wb")
        process = subprocess.Popen(
            on(self._command), cwd=self.folder, env=self._env | env, stdout=log, stderr=log
        )
        self.running.append(process)
        return process

    def close(self) -> None:
        """Kill the workers that are left."""
        for process in self.running:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for process in self.running:
            process.wait(10)

    def end(self, number: signal.Signals = signal.SIGTERM) -> list[int]:
        for process in self.running:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
        return [process.wait(60) for process in self.running]

    def logs(self) -> str:
        return "\n".join(file.read_text() for file in sorted(self.folder.glob("worker*.log")))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(open_for_worker(self.location)) as connection:
            return [tuple(row) for row in connection.execute(sql)]

    def done(self) -> int:
        return int(self.ask("SELECT coalesce(succeeded, 0) + coalesce(failed, 0) FROM job")[0][0])

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.02)


@contextlib.contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let the modules of a folder be imported by this process, for a while."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("witnessed", None)


KINDS = ["dbos in sqlite", "dbos in postgresql", "procrastinate in postgresql"]
"""Engines, and where the store is."""


@contextlib.contextmanager
def hosts_of(kind: str, folder: Path, items: int = ITEMS) -> Iterator[Hosts]:
    """Make an empty store of a kind, for workers that are killed at the end."""
    engine, _, database = kind.partition(" in ")
    with contextlib.ExitStack() as stack:
        if database == "postgresql":
            location = stack.enter_context(postgres_kit.database_with_store("hosts"))
        else:
            location = str(folder / "d" / "jobs.db")
            ensure_store(Path(location))
        made = Hosts(folder, location, engine, items)
        stack.callback(made.close)
        yield made


def all_is_there(hosts: Hosts, repeated: int) -> None:
    """Every item has its right outcome, counts are those of the rows, and few were done twice."""
    outcomes = dict(hosts.ask("SELECT key, outcome FROM item"))
    assert outcomes == {str(n): "error" if n % 20 == 7 else "ok" for n in range(hosts.items)}
    bad = hosts.items // 20
    assert hosts.ask("SELECT status, succeeded, failed FROM job") == [("completed", hosts.items - bad, bad)]
    assert hosts.ask("SELECT count(*) FROM part WHERE done_at IS NULL OR owner IS NOT NULL") == [(0,)]
    times = Counter(hosts.witness.read_text().split())
    assert len(times) == hosts.items
    assert sum(times.values()) - hosts.items <= repeated, times


def completed(hosts: Hosts) -> bool:
    return hosts.ask("SELECT status FROM job") == [("completed",)]
