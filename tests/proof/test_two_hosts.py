"""Workers on two hosts, as namespaces: the cable of one is pulled, and workers of both are killed."""

from __future__ import annotations

import contextlib
import random
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import postgres_kit
import pytest
from kit import network
from kit.network import Host
from kit.worker_hosts import CONCURRENCY, Hosts, all_is_there, completed

from jobdash.store import server_store
from jobdash.store.location import PostgresLocation

pytestmark = pytest.mark.postgres
PORT = "54327"
_LOST = "SELECT count(*) FROM part WHERE lost > 0 AND done_at IS NULL"


@dataclass
class Site:
    """Two hosts, and workers on them over one store of a server."""

    workers: Hosts
    hosts: list[Host]

    def begin(self, host: Host) -> None:
        """Start a worker on a host; its log is ``worker N.log``."""
        location = f"postgresql://postgres@{host.server}:{PORT}/jobs"
        self.workers.begin(lambda command: host.command(*command), JOBDASH_DATABASE=location)

    def end(self) -> list[int]:
        """Let all workers end; return their exit codes."""
        for process in self.workers.running:
            Host.terminate(process)
        return [process.wait(60) for process in self.workers.running]


@contextlib.contextmanager
def site(engine: str, items: int, item_s: float) -> Iterator[Site]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobdash-hosts-")))
        hosts = stack.enter_context(network.hosts("host-a", "host-b"))
        server = postgres_kit.start(folder, listen_addresses=",".join(h.server for h in hosts), port=PORT)
        stack.callback(server.stop)
        with (folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.writelines(f"host all all {host.server}/30 trust\n" for host in hosts)
        server.run("SELECT pg_reload_conf()")
        server.run("CREATE DATABASE jobs")
        server_store.create(PostgresLocation(server.url("jobs")))
        work = folder / "work"
        work.mkdir()
        workers = Hosts(work, server.url("jobs"), engine, items, item_s)
        stack.callback(workers.close)
        yield Site(workers, hosts)


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    if reason := network.why_not():
        pytest.skip(reason)


@pytest.mark.slow
def test_a_host_whose_cable_is_pulled_is_overtaken_and_writes_nothing_more() -> None:
    with site("procrastinate", 240, 0.02) as made:
        workers, (cut_off, other) = made.workers, made.hosts
        made.begin(cut_off)
        workers.until(lambda: "runs witnessed" in workers.logs())
        workers.submit()
        workers.until(lambda: workers.done() >= 20)
        cut_off.pull_cable()
        made.begin(other)
        workers.until(lambda: completed(workers))
        rows = workers.ask("SELECT key, outcome, detail, attempt, at FROM item ORDER BY key")
        assert "taken over" not in workers.logs()
        cut_off.plug_cable()
        workers.until(lambda: workers.logs().count("lost: ") == CONCURRENCY)
        assert workers.ask("SELECT key, outcome, detail, attempt, at FROM item ORDER BY key") == rows
        all_is_there(workers, CONCURRENCY)
        assert set(made.end()) == {0}, workers.logs()


@pytest.mark.slow
def test_workers_of_two_hosts_that_are_killed_lose_nothing() -> None:
    killed_on_two_hosts("procrastinate", 2, random.Random(7))


@pytest.mark.marathon
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("engine", ["dbos", "procrastinate"])
def test_workers_of_two_hosts_that_are_killed_two_hundred_times_lose_nothing(engine: str) -> None:
    killed_on_two_hosts(engine, 200, random.Random())


def killed_on_two_hosts(engine: str, kills: int, chance: random.Random) -> None:
    with site(engine, 60 * (kills + 1), 0.05) as made:
        workers = made.workers
        for host in made.hosts:
            made.begin(host)
        workers.until(lambda: workers.logs().count("runs witnessed") == 2)
        workers.submit(parts=64)
        for kill in range(kills):
            at = 60 * kill + chance.randrange(5, 60)
            workers.until(lambda at=at: workers.done() >= at)  # type: ignore[misc]
            # An item that is under way at three kills in a row is given up: each gets on in between.
            workers.until(lambda: workers.ask(_LOST) == [(0,)])
            victim = chance.randrange(2)
            workers.running[victim].kill()
            workers.running[victim].wait(10)
            begun = len(workers.running)
            made.begin(made.hosts[victim])
            workers.running[victim] = workers.running.pop(begun)
        workers.until(lambda: completed(workers))
        all_is_there(workers, kills * CONCURRENCY)
        # One that was still starting has not begun to listen to it: a shell's 128 and the signal.
        assert set(made.end()) <= {0, 128 + signal.SIGTERM}, workers.logs()
