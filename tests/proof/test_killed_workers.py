"""Workers that are killed, or stopped and continued, at any moment: nothing is lost, and no zombie writes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import postgres_kit
import pytest
from shared.deadlines import stopped

from jobdash.store import server_store
from jobdash.store.bootstrap import ensure_store, open_for_worker
from jobdash.store.location import PostgresLocation, StoreLocation, read_location
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
    time.sleep(0.02)
    if number % 20 == 7:
        raise ValueError(number)
    return number * 2
"""


class Hosts:
    """Worker processes over one store."""

    def __init__(self, folder: Path, location: str, engine: str) -> None:
        self.folder = folder
        self.location: StoreLocation = read_location(location)
        (folder / "witnessed.py").write_text(_MODULE)
        self.witness = folder / "witness"
        self._command = [sys.executable, "-m", "jobdash", "worker", "witnessed", "--engine", engine]
        self._command += ["--concurrency", str(CONCURRENCY)]
        self._env = os.environ | {
            "WITNESS": str(self.witness), "JOBDASH_LEASE": "1s", "JOBDASH_DATABASE": location,
            "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(folder),
            "JOBDASH_CONFIG": str(folder / "c.toml"),
        }  # fmt: skip
        (folder / "c.toml").touch()
        self.running: list[subprocess.Popen[bytes]] = []
        self.server: postgres_kit.Server | None = None
        """The server of their store, where it is theirs alone."""

    def begin(self) -> subprocess.Popen[bytes]:
        log = (self.folder / f"worker{len(list(self.folder.glob('worker*')))}.log").open("wb")
        process = subprocess.Popen(self._command, cwd=self.folder, env=self._env, stdout=log, stderr=log)
        self.running.append(process)
        return process

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


KINDS = ["dbos in sqlite", "dbos in postgresql", "procrastinate in postgresql"]


@pytest.fixture(params=KINDS)
def hosts(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    engine, _, database = request.param.partition(" in ")
    with contextlib.ExitStack() as stack:
        if database == "postgresql":
            location = stack.enter_context(postgres_kit.database_with_store("hosts"))
        else:
            location = str(tmp_path / "d" / "jobs.db")
            ensure_store(Path(location))
        made = Hosts(tmp_path, location, engine)
        monkeypatch.syspath_prepend(str(tmp_path))
        functions = load_functions(["witnessed"])
        submit_to(functions["witnessed:witnessed"], range(ITEMS), parts=PARTS, location=made.location)
        yield made
        for process in made.running:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for process in made.running:
            process.wait(10)
    sys.modules.pop("witnessed", None)


def all_is_there(hosts: Hosts, repeated: int) -> None:
    """Every item has its right outcome, counts are those of the rows, and few were done twice."""
    outcomes = dict(hosts.ask("SELECT key, outcome FROM item"))
    assert outcomes == {str(n): "error" if n % 20 == 7 else "ok" for n in range(ITEMS)}
    bad = ITEMS // 20
    assert hosts.ask("SELECT status, succeeded, failed FROM job") == [("completed", ITEMS - bad, bad)]
    assert hosts.ask("SELECT count(*) FROM part WHERE done_at IS NULL OR owner IS NOT NULL") == [(0,)]
    times = Counter(hosts.witness.read_text().split())
    assert len(times) == ITEMS
    assert sum(times.values()) - ITEMS <= repeated, times


def completed(hosts: Hosts) -> bool:
    return hosts.ask("SELECT status FROM job") == [("completed",)]


@pytest.mark.slow
def test_killed_workers_lose_nothing(hosts: Hosts) -> None:
    killed_again_and_again(hosts, 7)


@pytest.mark.marathon
@pytest.mark.parametrize("turn", range(50))
def test_killed_workers_lose_nothing_whenever(hosts: Hosts, turn: int) -> None:
    killed_again_and_again(hosts, turn)


def killed_again_and_again(hosts: Hosts, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(2):
        hosts.begin()
    kills = 0
    while kills < 4 and not completed(hosts):
        at = hosts.done() + chance.randrange(8, 30)
        hosts.until(lambda at=at: hosts.done() >= at or completed(hosts))  # type: ignore[misc]
        hosts.running.pop(chance.randrange(len(hosts.running))).kill()
        hosts.begin()
        kills += 1
    hosts.until(lambda: completed(hosts))
    assert set(hosts.end()) == {0}
    # Of each part under way one item: its outcome was not written yet.
    all_is_there(hosts, kills * CONCURRENCY)


@pytest.mark.slow
def test_a_stopped_worker_is_overtaken_and_never_writes_again(hosts: Hosts) -> None:
    zombie = hosts.begin()
    hosts.until(lambda: hosts.done() >= 5)
    with stopped([zombie.pid]):
        other = hosts.begin()
        hosts.until(lambda: completed(hosts))
        rows = hosts.ask("SELECT key, outcome, attempt, at FROM item ORDER BY key")
    hosts.until(lambda: "taken over" in hosts.logs() or "lost" in hosts.logs())
    assert hosts.ask("SELECT key, outcome, attempt, at FROM item ORDER BY key") == rows
    assert set(hosts.end()) == {0}
    assert other.returncode == 0
    all_is_there(hosts, CONCURRENCY)


@pytest.mark.slow
def test_a_worker_that_is_asked_to_end_gives_back_what_it_has(hosts: Hosts) -> None:
    hosts.begin()
    hosts.until(lambda: hosts.done() >= 5)
    assert hosts.end() == [0]
    assert hosts.ask("SELECT status FROM job") == [("pending",)]
    assert hosts.ask("SELECT count(*) FROM part WHERE owner IS NOT NULL") == [(0,)]
    done = hosts.done()
    assert 5 <= done < ITEMS
    assert len(hosts.witness.read_text().split()) == done
    hosts.running.clear()
    hosts.begin()
    hosts.until(lambda: completed(hosts))
    hosts.end()
    all_is_there(hosts, 0)


@pytest.fixture(params=["dbos", "procrastinate"])
def own_server(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Hosts, Path]]:
    """Workers over a store on a server of their own, which can be stopped."""
    with tempfile.TemporaryDirectory(prefix="jobdash-restarts-") as place:
        folder = Path(place)
        server = postgres_kit.start(folder, max_connections="40")
        server.run("CREATE DATABASE jobs")
        location = PostgresLocation(server.url("jobs"))
        server_store.create(location)
        work = folder / "work"
        work.mkdir()
        hosts = Hosts(work, server.url("jobs"), request.param)
        monkeypatch.syspath_prepend(str(work))
        function = load_functions(["witnessed"])["witnessed:witnessed"]
        submit_to(function, range(ITEMS), parts=PARTS, location=location)
        hosts.server = server
        yield hosts, folder
        for process in hosts.running:
            process.kill()
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            hosts.server.stop()
    sys.modules.pop("witnessed", None)


@pytest.mark.slow
def test_a_server_that_is_restarted_loses_nothing(own_server: tuple[Hosts, Path]) -> None:
    restarted(own_server, 3)


@pytest.mark.marathon
def test_a_server_that_is_restarted_twenty_times_loses_nothing(own_server: tuple[Hosts, Path]) -> None:
    restarted(own_server, 20)


def restarted(own_server: tuple[Hosts, Path], times: int) -> None:
    hosts, folder = own_server
    for _ in range(2):
        hosts.begin()
    for turn in range(times):
        at = ITEMS * (turn + 1) // (times + 2)
        hosts.until(lambda at=at: hosts.done() >= at)  # type: ignore[misc]
        assert hosts.server is not None
        hosts.server.stop()
        hosts.server = postgres_kit.start(folder, max_connections="40")
    hosts.until(lambda: completed(hosts))
    # What was under way when the server went away was done, and could not always be written.
    all_is_there(hosts, times * 2 * CONCURRENCY)
    assert set(hosts.end()) == {0}
