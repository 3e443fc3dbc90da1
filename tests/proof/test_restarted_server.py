"""A server that is restarted under workers and dashboards: nothing is lost, and each goes on by itself."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import postgres_kit
import pytest
from kit.child_processes import environment
from kit.worker_hosts import CONCURRENCY, Hosts, all_is_there, completed
from shared.pseudo_terminal import Terminal

from jobdash.store import server_store
from jobdash.store.location import PostgresLocation

pytestmark = pytest.mark.postgres
CONNECTIONS = "160"
AWAY, DEADLINE_S = "store away since", 30.0


class Dashboard:
    """A dashboard in a pseudo-terminal, whose screen is read all the time."""

    def __init__(self, location: str, home: Path) -> None:
        env = environment(
            HOME=str(home), TERM="xterm-256color", LANG="C.UTF-8", JOBDASH_CONFIG=str(home / "c.toml")
        )
        self._terminal = Terminal(["-m", "jobdash", "--db", location], env)
        self._closed = threading.Event()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        while not self._closed.is_set() and self._terminal.read():
            pass

    def until_shown(self, *words: str) -> None:
        self._until(lambda text: all(word in text for word in words), f"{words} to be shown")

    def until_gone(self, word: str) -> None:
        self._until(lambda text: word not in text, f"{word} to be gone")

    def _until(self, condition: object, what: str) -> None:
        assert callable(condition)
        deadline = time.monotonic() + DEADLINE_S
        while not condition(self._terminal.text):
            assert self._terminal.process.poll() is None, "the dashboard has ended"
            assert time.monotonic() < deadline, f"waited in vain for {what}:\n{self._terminal.text}"
            time.sleep(0.05)

    def quit(self) -> int:
        """Press q, and return its exit code."""
        self._terminal.send("q")
        return self._terminal.process.wait(DEADLINE_S)

    def close(self) -> None:
        self._terminal.process.kill()
        self._terminal.process.wait(DEADLINE_S)
        self._closed.set()
        self._reading.join(DEADLINE_S)
        os.close(self._terminal.master)


@dataclass
class Site:
    """Workers and dashboards over a store on a server of their own, which can be stopped."""

    folder: Path
    hosts: Hosts
    server: postgres_kit.Server
    dashboards: list[Dashboard] = field(default_factory=list)

    def restart(self, *, shown: bool) -> None:
        """Stop the server and start it; ``shown``: it stays away until each dashboard says so."""
        self.server.stop()
        if shown:
            for dashboard in self.dashboards:
                dashboard.until_shown(AWAY)
        self.server = postgres_kit.start(self.folder, max_connections=CONNECTIONS)


@contextlib.contextmanager
def site(engine: str, items: int, item_s: float) -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="jobdash-restarts-") as place:
        folder = Path(place)
        server = postgres_kit.start(folder, max_connections=CONNECTIONS)
        server.run("CREATE DATABASE jobs")
        server_store.create(PostgresLocation(server.url("jobs")))
        work = folder / "work"
        work.mkdir()
        made = Site(folder, Hosts(work, server.url("jobs"), engine, items, item_s), server)
        try:
            yield made
        finally:
            for dashboard in made.dashboards:
                dashboard.close()
            made.hosts.close()
            with contextlib.suppress(ProcessLookupError):
                made.server.stop()


_TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


def terminate_connections(made: Site, turn: int) -> None:
    made.server.run(_TERMINATE)


def restart(made: Site, turn: int) -> None:
    made.restart(shown=turn % 5 == 0)


Trouble = Callable[[Site, int], None]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["dbos", "procrastinate"])
@pytest.mark.parametrize(
    ("trouble", "times", "item_s"), [(terminate_connections, 4, 0.03), (restart, 3, 0.02)]
)
def test_a_server_in_trouble_loses_nothing(engine: str, trouble: Trouble, times: int, item_s: float) -> None:
    with site(engine, 240, item_s) as made:
        in_trouble(made, trouble, times, workers=2, dashboards=1)


@pytest.mark.marathon
@pytest.mark.timeout(900)
@pytest.mark.parametrize("engine", ["dbos", "procrastinate"])
@pytest.mark.parametrize(("trouble", "times"), [(terminate_connections, 60), (restart, 20)])
def test_a_server_in_trouble_again_and_again_loses_nothing(engine: str, trouble: Trouble, times: int) -> None:
    with site(engine, 2_400, 0.1) as made:
        in_trouble(made, trouble, times, workers=8, dashboards=2)


def in_trouble(made: Site, trouble: Trouble, times: int, *, workers: int, dashboards: int) -> None:
    begin(made, workers, dashboards)
    for turn in range(times):
        reach(made.hosts, turn, times)
        trouble(made, turn)
    end(made, times * workers * CONCURRENCY)


def begin(made: Site, workers: int, dashboards: int) -> None:
    """Start all, and submit when the workers run."""
    hosts = made.hosts
    for _ in range(workers):
        hosts.begin()
    hosts.until(lambda: hosts.logs().count("runs witnessed:witnessed") == workers)
    hosts.submit(parts=4 * workers)
    for _ in range(dashboards):
        made.dashboards.append(Dashboard(str(hosts.location.url), hosts.folder))  # type: ignore[union-attr]
    for dashboard in made.dashboards:
        dashboard.until_shown("witnessed")


def reach(hosts: Hosts, turn: int, turns: int) -> None:
    """Wait until as much is done as is at a turn."""
    hosts.until(lambda: hosts.done() >= hosts.items * (turn + 1) // (turns + 2))


def end(made: Site, repeated: int) -> None:
    """Wait for the end of the job: all is there, and shown, and everybody ends well.

    What was under way when the server went away was done, and could not always be written.
    """
    hosts = made.hosts
    hosts.until(lambda: completed(hosts))
    all_is_there(hosts, repeated)
    for dashboard in made.dashboards:
        dashboard.until_gone(AWAY)
        dashboard.until_shown("witnessed", "partial", f"{hosts.items:,}")
        assert dashboard.quit() == 0
    assert set(hosts.end()) == {0}, hosts.logs()
