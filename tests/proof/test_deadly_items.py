"""An item that ends its process, under real workers: it ends three, and no item beside it is blamed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.worker_hosts import KINDS, Hosts, completed, hosts_of

ITEMS, DEADLY, EXIT_CODE = 18, 7, 9
_MODULE = f"""
import os, time, jobdash

@jobdash.job
def witnessed(number):
    if number == {DEADLY}:
        time.sleep(0.2)
        os._exit({EXIT_CODE})
    # A long one is under way whenever it strikes: longer than two workers live.
    time.sleep(1.5 if number == 0 else 0.02)
    return number
"""


_MARKS = {"procrastinate in postgresql": pytest.mark.slow}  # the others take half a minute


@pytest.fixture(params=[pytest.param(kind, marks=_MARKS.get(kind, pytest.mark.marathon)) for kind in KINDS])
def hosts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hosts]:
    with hosts_of(request.param, tmp_path, ITEMS) as made:
        (tmp_path / "witnessed.py").write_text(_MODULE)
        made.submit(parts=3)
        yield made


def test_an_item_that_ends_its_process_ends_three_workers_and_no_more(hosts: Hosts) -> None:
    ended = 0
    worker = hosts.begin()
    while not completed(hosts):  # as a supervisor does
        hosts.until(lambda worker=worker: worker.poll() is not None or completed(hosts))  # type: ignore[misc]
        if worker.poll() is not None:
            assert worker.returncode == EXIT_CODE, hosts.logs()
            ended += 1
            worker = hosts.begin()
    outcomes = dict(hosts.ask("SELECT key, outcome FROM item"))
    assert outcomes == {str(n): "error" if n == DEADLY else "ok" for n in range(ITEMS)}
    assert hosts.ask("SELECT error_type FROM item WHERE outcome = 'error'") == [("WorkerLost",)]
    assert hosts.ask("SELECT succeeded, failed FROM job") == [(ITEMS - 1, 1)]
    assert ended == 3, hosts.logs()
    assert f"item {DEADLY} is given up" in hosts.logs()
