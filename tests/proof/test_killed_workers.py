"""Workers that are killed, or stopped and continued, at any moment: nothing is lost, and no zombie writes."""

from __future__ import annotations

import random
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.worker_hosts import CONCURRENCY, ITEMS, KINDS, Hosts, all_is_there, completed, hosts_of
from shared.deadlines import stopped

from jobdash.store.bootstrap import ensure_store


@pytest.fixture(params=KINDS)
def hosts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hosts]:
    with hosts_of(request.param, tmp_path) as made:
        made.submit()
        yield made


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
    # One that was still starting has not begun to listen to it.
    assert set(hosts.end()) <= {0, -signal.SIGTERM}
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


_IMPATIENT = """
import sys
from jobdash.cli.main import run
from jobdash.operations.scripts import worker_pool

worker_pool.DRAIN_S = 0.5
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_worker_whose_item_takes_too_long_ends_and_leaves_it_to_others(tmp_path: Path) -> None:
    """Its parts wait for no lease, and it does not count as lost at them."""
    location = str(tmp_path / "d" / "jobs.db")
    ensure_store(Path(location))
    hosts = Hosts(tmp_path, location, "dbos", 3, item_s=120.0)
    try:
        hosts.submit(parts=3)
        hosts.begin(lambda command: [command[0], "-c", _IMPATIENT, *command[3:]], JOBDASH_LEASE="60s")
        held = "SELECT count(*), coalesce(sum(lost), 0) FROM part WHERE owner IS NOT NULL AND lease_until"
        hosts.until(lambda: hosts.ask(f"{held} > now_ms()") == [(CONCURRENCY, 0)])
        assert hosts.end() == [0], hosts.logs()
        told = re.search(r"ends with (\d) items? still running: other workers do them again", hosts.logs())
        assert told is not None, hosts.logs()
        running = int(told[1])  # a part whose item had not begun is given back like any other
        assert 1 <= running <= CONCURRENCY
        assert hosts.ask(f"{held} < now_ms()") == [(running, -running)]
    finally:
        hosts.close()
