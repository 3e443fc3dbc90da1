"""A store on a server that does not answer for a while: what waits and watches waits for it, too."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from subprocess import Popen

import postgres_kit
import pytest
from cli_kit import HOUR, Cli
from shared.deadlines import killed, within

from jobdash.store import server_store
from jobdash.store.location import PostgresLocation

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
AWAY, BACK = "does not answer", "The store answers again."
PASSWORD = "canary-outage-password"


@dataclass
class Server:
    """A server that is stopped and started; on its port it lets the role ``ann`` in alone."""

    settings: dict[str, str]
    running: postgres_kit.Server

    def stop(self) -> None:
        self.running.stop()

    def start(self, *, on_socket_alone: bool = False) -> None:
        given = {"port": self.settings["port"]} if on_socket_alone else self.settings
        self.running = postgres_kit.start(self.running.folder, **given)

    def run(self, sql: str) -> None:
        """Run a statement as the owner of all, in the database of the store."""
        self.running.run(sql, "jobs")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    given = {"port": postgres_kit.free_port(), "listen_addresses": "127.0.0.1"}
    with postgres_kit.own_folder() as folder:
        made = Server(given, postgres_kit.start(folder, **given))
        postgres_kit.admit(made.running, PASSWORD)
        try:
            yield made
        finally:
            made.running.process.kill()
            made.running.process.wait(60)


@pytest.fixture
def batch(cli: Cli, server: Server) -> str:
    """The id of a batch that runs, in a new store of ``ann``, whom the environment names."""
    location = PostgresLocation(f"postgresql://ann@127.0.0.1:{server.settings['port']}/jobs")
    cli.patch.setenv("JOBDASH_DATABASE", location.address)
    cli.patch.setenv("PGPASSWORD", PASSWORD)
    if server.running.process.poll() is not None:
        server.start()
    server.run(f"DROP SCHEMA IF EXISTS jobdash CASCADE; ALTER ROLE ann PASSWORD '{PASSWORD}'")
    server_store.create(location)
    cli.add(name="nightly", total=10, running=HOUR)
    cli("sync")
    (job,) = cli.json("list")["jobs"]
    return str(job["id"])


@contextmanager
def started(cli: Cli, *commands: list[str]) -> Iterator[list[Popen[str]]]:
    """Processes of these commands that have begun."""
    with ExitStack() as stack:
        processes = [cli.start(*command) for command in commands]
        for process in processes:
            stack.callback(killed, process)
        for process in processes:
            line_with(process, "nightly", "watching")
        yield processes


def line_with(process: Popen[str], *words: str) -> str:
    """Read stderr up to a line with one of the words."""
    assert process.stderr is not None
    told = ""
    while not any(word in told for word in words):
        line = within(process.stderr.readline)
        assert line, f"{words} was not said, but {told}"
        told += line
    return told


def test_both_go_on_behind_an_outage_and_say_it_once(cli: Cli, server: Server, batch: str) -> None:
    with started(cli, ["wait", batch], ["watch", "--json"]) as (wait, watch):
        server.stop()
        for process in (wait, watch):
            line_with(process, AWAY)
        server.start()
        for process in (wait, watch):
            assert AWAY not in line_with(process, BACK)
        cli.clock.advance(2 * HOUR)
        cli("sync")
        out, err = wait.communicate(timeout=20)
        assert (wait.returncode, "nightly (openai)  completed" in out, AWAY in err) == (0, True, False)
        assert watch.stdout is not None
        assert json.loads(within(watch.stdout.readline))["id"] == batch
        watch.send_signal(signal.SIGTERM)
        _, err = watch.communicate(timeout=20)
        assert (watch.returncode, AWAY in err) == (0, False), err


def test_the_time_of_a_wait_is_up_during_an_outage(cli: Cli, server: Server, batch: str) -> None:
    limited = ["wait", batch, "--timeout", "8s"]
    with started(cli, limited, [*limited, "--json"]) as (plain, as_json):
        server.stop()
        _, err = plain.communicate(timeout=30)
        assert (plain.returncode, "1 of 1 not finished" in err) == (7, True), err
        out, err = as_json.communicate(timeout=30)
        assert (as_json.returncode, json.loads(out)["timed_out"]) == (7, True), err


def test_ctrl_c_ends_what_waits_for_the_store(cli: Cli, server: Server, batch: str) -> None:
    with started(cli, ["wait", batch], ["watch"]) as processes:
        server.stop()
        for process in processes:
            line_with(process, AWAY)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
            assert (process.returncode, "Traceback" in err) == (130, False), err


def refuse_password(server: Server) -> None:
    server.run("ALTER ROLE ann PASSWORD 'another'")


def drop_schema(server: Server) -> None:
    server.run("DROP SCHEMA jobdash CASCADE")


def upgrade(server: Server) -> None:
    server.run("UPDATE jobdash.alembic_version SET version_num = '9999'")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (refuse_password, "refuses this user"),
        (drop_schema, "There is no jobdash store at"),
        (upgrade, "a newer jobdash"),
    ],
)
def test_a_store_that_is_lost_for_good_ends_both(
    cli: Cli, server: Server, batch: str, change: Callable[[Server], None], words: str
) -> None:
    with started(cli, ["wait", batch], ["watch"]) as processes:
        server.stop()
        server.start(on_socket_alone=True)
        change(server)
        server.stop()
        server.start()
        for process in processes:
            _, err = process.communicate(timeout=20)
            assert (process.returncode, words in err) == (6, True), err


def test_what_asks_once_fails(cli: Cli, server: Server, batch: str) -> None:
    server.stop()
    for command in (["watch", "--once"], ["list"], ["wait", batch]):
        ran = cli(*command)
        assert (ran.code, AWAY in ran.err) == (6, True)
