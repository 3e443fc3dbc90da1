"""Scripts whose store is on a server: outcomes a quarter of a second behind, and a store that goes away."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import postgres_kit
import pytest
from shared.deadlines import LONG
from worker_kit import Scripts, Seen, until

from jobdash import track
from jobdash.store import server_store
from jobdash.store.location import PostgresLocation

pytestmark = [pytest.mark.postgres_only, pytest.mark.slow]
KEYED = """
    import time
    with jobdash.track(range(60), "keyed", key=str) as job:
        for item in job:
            with item:
                print("at", item.value, flush=True)
                time.sleep(0.02)
                if item.value == 40: sys.stdin.readline()
    print("after", job.status, flush=True)
"""


def test_after_a_kill_only_the_last_moments_are_done_again(scripts: Scripts, seen: Seen) -> None:
    script = scripts.start(KEYED, JOBDASH_LEASE="2s")
    script.wait_for("at 40")
    until(lambda: len([word for word in seen.items("keyed").values() if word == "ok"]) == 40)
    script.process.kill()
    script.finish()
    again = scripts.start(KEYED)
    again.wait_for("at 40")
    again.go_on()
    code, _ = again.finish()
    assert code == 0
    assert again.out == [*(f"at {number}" for number in range(40, 60)), "after completed"]
    assert seen.counts("keyed") == ("completed", 60, 60, 0)
    assert [number for number, _ in seen.attempts("keyed")] == [1, 2] or len(seen.attempts("keyed")) == 2


def test_a_cancel_from_elsewhere_ends_the_loop_within_a_second(scripts: Scripts, seen: Seen) -> None:
    script = scripts.start(KEYED.replace("range(60)", "range(600)").replace("== 40", "== -1"))
    script.wait_for("at 20")
    seen.cancel("keyed")
    began = time.monotonic()
    code, _ = script.finish()
    assert code == 130
    assert time.monotonic() - began < 2.0
    status, total, done, _ = seen.counts("keyed")
    assert (status, total) == ("cancelled", 600)
    assert len(script.out) - 1 <= done <= len(script.out)


@pytest.fixture
def own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[postgres_kit.Server, PostgresLocation]]:
    """A server of the test's own, which it may stop."""
    folder = Path(tempfile.mkdtemp(prefix="jobdash-pg-script-"))
    server = postgres_kit.start(folder)
    server.run("CREATE DATABASE jobs")
    location = PostgresLocation(server.url("jobs"), folder=tmp_path)
    server_store.create(location)
    monkeypatch.setenv("JOBDASH_DATABASE", location.address)
    monkeypatch.setenv("JOBDASH_CONFIG", os.devnull)
    yield server, location
    server.process.kill()
    server.process.wait(LONG)
    shutil.rmtree(folder, ignore_errors=True)


def test_a_store_that_is_away_for_a_while_loses_no_outcome(
    own: tuple[postgres_kit.Server, PostgresLocation], capsys: pytest.CaptureFixture[str]
) -> None:
    server, location = own
    seen = Seen(location)
    again: list[postgres_kit.Server] = []
    with track(range(60), "long", key=str) as job:
        for item in job:
            with item:
                if item.value == 20:
                    server.stop()
                if item.value == 40:
                    again.append(postgres_kit.start(server.folder))
                time.sleep(0.02)
    try:
        assert seen.counts("long") == ("completed", 60, 60, 0)
        assert list(seen.items("long")) == [str(number) for number in range(60)]
        err = capsys.readouterr().err
        assert err.count("does not answer") == 1
        assert err.count("kept until it can") == 1
    finally:
        again[0].process.kill()
        again[0].process.wait(LONG)
