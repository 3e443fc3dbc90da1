"""A server whose disk is full, and one whose client is frozen in a transaction: others go on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import postgres_kit
import pytest
from kit.child_processes import environment
from shared.deadlines import LONG, within
from shared.small_disk import Disk, server_on_small_disk

from jobdash import track
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import Status
from jobdash.errors import StoreFull
from jobdash.store import server_store
from jobdash.store.bootstrap import open_for_worker
from jobdash.store.copying import check_store
from jobdash.store.leases.claims import ClaimRequest, claim
from jobdash.store.leases.lease import ItemWrite
from jobdash.store.location import PostgresLocation
from jobdash.store.owner import current_owner
from jobdash.store.reader import Reader
from jobdash.store.records import Actor
from jobdash.store.sort_orders import Scope, Sort
from jobdash.store.writer import Writer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
NOW = 1_800_000_000_000


@pytest.fixture(scope="module")
def small() -> Iterator[tuple[postgres_kit.Server, Disk]]:
    with server_on_small_disk() as made:
        yield made


@pytest.fixture
def store(small: tuple[postgres_kit.Server, Disk], tmp_path: Path) -> PostgresLocation:
    location = PostgresLocation(small[0].url("jobs"), folder=tmp_path)
    postgres_kit.raw(location, "DROP SCHEMA IF EXISTS jobdash CASCADE")
    assert server_store.create(location)
    return location


def writer_at(location: PostgresLocation) -> Writer:
    return Writer(location, lambda: NOW, Actor("ann", "desk", "cli", current_owner()))


def remote(number: int, text: str = "") -> RemoteJob:
    return RemoteJob(
        remote_id=f"batch_{number:05}",
        status=Status.IN_PROGRESS,
        raw_status="in_progress",
        name=f"job {number}",
        created_at=NOW - number,
        metadata={f"k{n}": f"{number}{text}" for n in range(8)},
    )


def test_a_full_disk_is_a_sentence_and_what_was_there_is_read_on(
    small: tuple[postgres_kit.Server, Disk], store: PostgresLocation
) -> None:
    disk, much = small[1], [remote(number, "x" * 900) for number in range(1, 400)]
    with writer_at(store) as writer, Reader(store) as reader:
        writer.upsert("openai", "openai", "https://api.example", [remote(0)], NOW)
        disk.fill()
        with pytest.raises(StoreFull, match=r"cannot be written: .*No space left on device") as raised:
            writer.upsert("openai", "openai", "https://api.example", much, NOW)
        assert str(store) in str(raised.value)
        assert [row.name for row in reader.page(Scope(), Sort())] == ["job 0"]
        assert reader.counts().total == 1
        disk.free()
        writer.upsert("openai", "openai", "https://api.example", much, NOW)
        assert reader.counts().total == 400
    assert check_store(store) == []


def test_a_script_keeps_its_outcomes_while_the_disk_is_full(
    small: tuple[postgres_kit.Server, Disk],
    store: PostgresLocation,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    disk = small[1]
    monkeypatch.setenv("JOBDASH_DATABASE", store.address)
    with track(range(600), "full", key=str) as job:
        for item in job:
            with item:
                item.detail = f"{item.value}" * 500
                if item.value == 100:
                    disk.fill()
                if item.value == 500:
                    disk.free()
                if 100 < item.value <= 500 and item.value % 50 == 0:
                    time.sleep(0.3)  # an outcome is written a quarter of a second later
    err = capsys.readouterr().err
    assert err.count("No space left on device") == 1, err
    assert err.count("kept until") == 1, err
    assert postgres_kit.raw(store, "SELECT status, total, succeeded, failed FROM job") == [
        ("completed", 600, 600, 0)
    ]
    kept = postgres_kit.raw(store, "SELECT key, detail FROM item ORDER BY seq")
    assert kept == [(str(number), f'"{str(number) * 500}"') for number in range(600)]
    assert check_store(store) == []


FREEZES = """
import sys
from jobdash.store.dialects import postgres
from jobdash.store.location import read_location

connection = postgres.connect_writer(read_location(sys.argv[1]), "x")
connection.begin(*map(int, sys.argv[2:]))
connection.execute("UPDATE job SET succeeded = 7777 WHERE name = 'frozen'")
print("inside", flush=True)
sys.stdin.readline()
try:
    connection.commit()
    print("committed", flush=True)
except Exception as error:
    print(type(error).__name__, flush=True)
"""


def test_a_client_frozen_in_a_transaction_stops_others_for_seconds_only(tmp_path: Path) -> None:
    """It holds the store's lock, so that other writers wait; readers and workers at other jobs do not."""
    store = replace(postgres_kit.empty_store(tmp_path), folder=tmp_path)

    def held(name: str) -> tuple[int, object]:
        job = claim(open_for_worker(store), ClaimRequest(name, current_owner(), "ann@desk", True, 60_000))
        return job.job_id, job.lease

    (frozen_id, own), (_, other) = held("frozen"), held("other")
    client = subprocess.Popen(
        [sys.executable, "-c", FREEZES, store.address],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdout is not None
    try:
        assert within(client.stdout.readline) == "inside\n"
        client.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with Reader(store) as reader:
            assert reader.counts().total == 2
            assert reader.rows([frozen_id])[frozen_id].name == "frozen"
        other.write_items([ItemWrite("a", "ok")])  # type: ignore[attr-defined]
        assert time.monotonic() - began < 1.5, "these wait for nobody"
        with writer_at(store) as writer:
            writer.upsert("openai", "openai", "https://api.example", [remote(1)], NOW)
        own.write_items([ItemWrite("a", "ok")])  # type: ignore[attr-defined]
        assert time.monotonic() - began < 5.0, "the others wait until the frozen one has lost its locks"
        client.send_signal(signal.SIGCONT)
        told, _ = client.communicate("\n", timeout=LONG)
        assert told == "StoreAway\n", "what it held is lost, and it is told so"
    finally:
        client.kill()
        client.wait(LONG)
    rows = postgres_kit.raw(store, "SELECT name, succeeded FROM job ORDER BY id")
    assert rows == [("frozen", 1), ("other", 1), ("job 1", None)]
    assert check_store(store) == []
