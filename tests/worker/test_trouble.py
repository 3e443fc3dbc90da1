"""A store that cannot be written, is busy or vanishes: said once, and the work goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from worker_kit import Seen, until

from jobdash import Job, LeaseLost, track
from jobdash.store import fence
from jobdash.store.fence import Hold
from jobdash.worker import recorder
from jobdash.worker import run as runs


def did_all(name: str, count: int = 5) -> list[int]:
    did = []
    with track(range(count), name, key=str) as job:
        for item in job:
            with item:
                did.append(item.value)
    assert job.status == "completed"
    return did


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            lambda path: path.write_text("not a store at all, and longer than a header\n" * 9),
            "is not a jobdash",
        ),
        (lambda path: path.mkdir(), "cannot be"),
        (
            lambda path: closing(sqlite3.connect(path)).__enter__().execute("CREATE TABLE job (a)"),
            "not a jobdash",
        ),
    ],
)
def test_what_is_no_store_is_said_once_and_the_loop_runs_on(
    make: object, told: str, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = path.with_name("other.db")
    make(other)  # type: ignore[operator]
    monkeypatch.setenv("JOBDASH_DATABASE", str(other))
    assert list(track(range(3), "x")) == [0, 1, 2]
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert told in err
    assert "The loop runs on" in err
    assert did_all("keyed") == [0, 1, 2, 3, 4]


def test_an_older_store_is_not_upgraded_in_a_users_process(
    path: Path, seen: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    seen.ask("DROP TABLE item")
    seen.ask("DROP TABLE attempt")
    assert did_all("x") == [0, 1, 2, 3, 4]
    assert "older jobdash" in capsys.readouterr().err


def test_a_newer_store_that_has_the_columns_is_written(path: Path, seen: Seen) -> None:
    seen.ask("UPDATE alembic_version SET version_num = '9999'")
    assert did_all("x") == [0, 1, 2, 3, 4]
    assert seen.counts("x") == ("completed", 5, 5, 0)


def test_a_store_is_made_where_there_is_none(path: Path, tmp_path: Path) -> None:
    new = tmp_path / "new" / "jobs.db"
    assert list(track([1], "x", db=new)) == [1]
    assert Seen(new).counts("x") == ("completed", 1, 1, 0)


def test_a_configuration_that_cannot_be_read_is_said(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOBDASH_LEASE", "soon")
    assert list(track([1], "x")) == [1]
    assert "JOBDASH_LEASE" in capsys.readouterr().err
    monkeypatch.setenv("JOBDASH_LEASE", "0.01")
    assert list(track([1], "x")) == [1]
    assert "at least 0.1s" in capsys.readouterr().err


def test_the_store_of_the_configuration_is_the_store(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOBDASH_DATABASE")
    (tmp_path / "config.toml").write_text(f'database = "{path}"\n')
    list(track([1], "x"))
    assert Seen(path).counts("x") == ("completed", 1, 1, 0)


def test_a_store_that_is_deleted_meanwhile_is_said(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    did = []
    with track(range(4), "x", key=str) as job:
        for item in job:
            with item:
                did.append(item.value)
                if item.value == 1:
                    path.unlink()
                    until(lambda: not job._run.recorder.recording, "the store is given up")
    assert did == [0, 1, 2, 3]
    assert capsys.readouterr().err.count("was deleted or replaced") == 1


def test_a_store_that_turns_read_only_is_said_once(
    path: Path, seen: Seen, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    did = []
    with track(range(4), "x", key=str) as job:
        for item in job:
            with item:
                did.append(item.value)
                if item.value == 1:
                    job._run.recorder._hold._connection.execute("PRAGMA query_only = ON")  # type: ignore[union-attr]
    assert did == [0, 1, 2, 3]
    assert capsys.readouterr().err.count("The loop runs on") == 1


def test_what_a_busy_store_did_not_take_goes_with_the_next(
    path: Path, seen: Seen, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PATIENCE_MS", 10)
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        track(range(6), "busy", key=str) as job,
    ):
        for item in job:
            if item.value == 1:
                other.execute("BEGIN IMMEDIATE")
            if item.value == 4:
                assert seen.counts("busy")[2] == 1
                other.execute("COMMIT")
            with item:
                pass
    assert seen.counts("busy") == ("completed", 6, 6, 0)
    assert capsys.readouterr().err == ""


def test_a_store_that_stays_busy_is_said_once_and_the_last_flush_gives_up(
    path: Path, seen: Seen, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PATIENCE_MS", 10)
    monkeypatch.setattr(recorder, "BUSY_TIMEOUT_MS", 10)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        with track(range(6), "busy", key=str) as job:
            monkeypatch.setattr(recorder, "_LAST_WAIT_S", 0.05)
            other.execute("BEGIN IMMEDIATE")
            for item in job:
                with item:
                    pass
            until(lambda: job._run.recorder._said_trouble, "the warning")
        other.execute("COMMIT")
    err = capsys.readouterr().err
    assert err.count("kept until it can") == 1
    assert err.count("How the job ended is not recorded") == 1


def test_a_full_disk_is_said_at_once_and_tried_again(
    path: Path, seen: Seen, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    commit = fence.commit
    with track(range(4), "full", key=str) as job:
        for item in job:
            if item.value == 1:

                def fail(connection: sqlite3.Connection) -> None:
                    raise full

                monkeypatch.setattr(fence, "commit", fail)
            if item.value == 3:
                monkeypatch.setattr(fence, "commit", commit)
            with item:
                pass
    assert seen.counts("full") == ("completed", 4, 4, 0)
    assert capsys.readouterr().err.count("disk is full") == 1


def test_the_heartbeat_keeps_a_lease_while_an_item_takes_long(
    path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBDASH_LEASE", "0.3")

    def lease() -> int:
        return int(seen.job("long")["lease_until"])

    for _ in track([1], "long"):
        later = lease() + 300
        until(partial(lambda later: lease() > later, later), "two renewals")
    assert seen.counts("long") == ("completed", 1, 1, 0)


def test_a_flush_interval_writes_together(path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    write = Hold.write_items

    def counted(hold: Hold, outcomes: list[object]) -> str:
        sizes.append(len(outcomes))
        return write(hold, outcomes)  # type: ignore[arg-type]

    monkeypatch.setattr(Hold, "write_items", counted)
    with track(range(2500), "together", key=str, flush_interval=3600) as job:
        for item in job:
            with item:
                pass
    assert sum(sizes) == 2500
    assert len(sizes) <= 4
    assert seen.counts("together") == ("completed", 2500, 2500, 0)


def test_a_job_lost_at_the_very_end_says_so(path: Path, seen: Seen) -> None:
    def all_of_them(job: Job[int]) -> None:
        for item in job:
            with item:
                pass
        seen.remove("late")

    with pytest.raises(LeaseLost) as caught, track(range(3), "late", key=str) as job:
        all_of_them(job)
    assert caught.value.code == 75
    assert seen.job("late")["removed_at"] == 1


def test_a_job_closed_as_cancelled_meanwhile_is_cancelled(path: Path, seen: Seen) -> None:
    with track(range(3), "closed", key=str) as job:
        for item in job:
            with item:
                seen.ask(
                    "UPDATE job SET remote_status = 'cancelled', fence = fence + 1, owner = NULL,"
                    " lease_until = NULL"
                )
    assert job.status == "cancelled"
    assert seen.counts("closed") == ("cancelled", 3, 0, 0)


def test_nothing_of_a_finished_job_stays_behind(path: Path) -> None:
    opened = Path("/proc/self/fd")
    before = len(list(opened.iterdir())) if opened.exists() else 0
    for number in range(20):
        list(track([1], f"job {number}"))
    assert not runs._live
    if before:
        assert len(list(opened.iterdir())) <= before
