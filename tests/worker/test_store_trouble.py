"""A store that cannot be written, is busy or vanishes: reported once, and the work goes on."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from worker_kit import Seen, until

from jobdash import Job, LeaseLost, track
from jobdash.errors import StoreBusy, StoreError, StoreFull
from jobdash.store.dialects import sqlite
from jobdash.store.leases.lease import Lease
from jobdash.worker import job_run as runs
from jobdash.worker import process, recorder, store_connection


def other_program(path: Path) -> closing[sqlite3.Connection]:
    """Connect as another program does, which may hold the store for writing."""
    return closing(sqlite3.connect(path, isolation_level=None))


def did_all(name: str, count: int = 5) -> list[int]:
    did = []
    with track(range(count), name, key=str) as job:
        for item in job:
            with item:
                did.append(item.value)
    assert job.status == "completed"
    return did


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda path: path.write_text("not a store at all, and longer than a header\n" * 9),
            "is not a jobdash store. Name another file with db= or JOBDASH_DATABASE.",
        ),
        (lambda path: path.mkdir(), "is a folder, and no jobdash store. Name a file with db= or"),
        (
            lambda path: closing(sqlite3.connect(path)).__enter__().execute("CREATE TABLE job (a)"),
            "not a jobdash",
        ),
    ],
)
def test_what_is_no_store_is_reported_once_and_the_loop_runs_on(
    make: object,
    sentence: str,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = path.with_name("other.db")
    make(other)  # type: ignore[operator]
    monkeypatch.setenv("JOBDASH_DATABASE", str(other))
    assert list(track(range(3), "x")) == [0, 1, 2]
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert sentence in err
    assert "The loop runs on" in err
    assert did_all("keyed") == [0, 1, 2, 3, 4]


@pytest.mark.sqlite_only
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


@pytest.mark.sqlite_only
def test_a_store_is_made_where_there_is_none(path: Path, tmp_path: Path) -> None:
    new = tmp_path / "new" / "jobs.db"  # its folder, too: a loop must not go unrecorded
    assert list(track([1], "x", db=new)) == [1]
    assert Seen(new).counts("x") == ("completed", 1, 1, 0)


def test_a_configuration_that_cannot_be_read_is_reported(
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


def test_an_account_without_a_provider_is_nothing_to_a_script(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text('[accounts.lab]\nprovider = "bedrock"\napi_key_env = "LAB_KEY"\n')
    list(track([1], "x"))
    assert Seen(path).counts("x") == ("completed", 1, 1, 0)
    assert capsys.readouterr().err == ""


@pytest.mark.sqlite_only
def test_a_store_that_is_deleted_meanwhile_is_reported(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    did = []
    with track(range(4), "x", key=str) as job:
        for item in job:
            with item:
                did.append(item.value)
                if item.value == 1:
                    path.unlink()
                    until(lambda: not job._run.recorder.recording, "the store is given up")
    assert did == [0, 1, 2, 3]
    assert capsys.readouterr().err.count("was deleted, moved or replaced") == 1


@pytest.mark.sqlite_only
def test_a_store_that_turns_read_only_is_reported_once(
    path: Path, seen: Seen, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    did = []
    with track(range(4), "x", key=str) as job:
        for item in job:
            with item:
                did.append(item.value)
                if item.value == 1:
                    job._run.recorder._lease.connection.execute("PRAGMA query_only = ON")  # type: ignore[union-attr]
    assert did == [0, 1, 2, 3]
    assert capsys.readouterr().err.count("The loop runs on") == 1


@pytest.mark.sqlite_only
def test_what_a_busy_store_did_not_take_goes_with_the_next(
    path: Path, seen: Seen, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PATIENCE_MS", 10)
    with other_program(path) as other, track(range(6), "busy", key=str) as job:
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


@pytest.mark.sqlite_only
def test_a_store_that_stays_busy_is_reported_once_and_the_last_flush_gives_up(
    path: Path, seen: Seen, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PATIENCE_MS", 10)
    monkeypatch.setattr(recorder, "BUSY_TIMEOUT_MS", 10)
    with other_program(path) as other:
        with track(range(6), "busy", key=str) as job:
            monkeypatch.setattr(store_connection, "LAST_WAIT_S", 0.05)
            other.execute("BEGIN IMMEDIATE")
            for item in job:
                with item:
                    pass
            until(lambda: job._run.recorder._trouble_reported, "the warning")
        other.execute("COMMIT")
    err = capsys.readouterr().err
    assert err.count("kept until it can") == 1
    assert err.count("How the job ended is not recorded") == 1


@pytest.mark.sqlite_only
def test_a_full_disk_is_reported_at_once_and_tried_again(
    path: Path, seen: Seen, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = StoreFull("The store cannot be written: the disk is full.")
    commit = sqlite.Connection.commit
    with track(range(4), "full", key=str) as job:
        for item in job:
            if item.value == 1:

                def fail(*_: object) -> None:
                    raise full

                monkeypatch.setattr(sqlite.Connection, "commit", fail)
            if item.value == 3:
                monkeypatch.setattr(sqlite.Connection, "commit", commit)
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
    write = Lease.write_items

    def counted(hold: Lease, outcomes: list[object]) -> str:
        sizes.append(len(outcomes))
        return write(hold, outcomes)  # type: ignore[arg-type]

    monkeypatch.setattr(Lease, "write_items", counted)
    with track(range(2500), "together", key=str, flush_interval=3600) as job:
        for item in job:
            with item:
                pass
    assert sum(sizes) == 2500
    assert len(sizes) <= 4
    assert seen.counts("together") == ("completed", 2500, 2500, 0)


def test_a_job_lost_at_the_very_end_reports_it(path: Path, seen: Seen) -> None:
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
    with track(range(3), "closed", key=str, on_cancel="continue") as job:
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
    assert not process.live
    if before:
        assert len(list(opened.iterdir())) <= before


def test_what_is_known_of_items_is_waited_for(
    path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An item of which nothing was known would be done again."""
    monkeypatch.setattr(runs, "PATIENCE_MS", 10)
    found: list[object] = []
    with track(range(3), "known", key=str) as job:
        with next(iter(job)):
            pass
        recorder_ = job._run.recorder
        recorder_.before_fork()  # another thread is at the connection
        asking = threading.Thread(target=lambda: found.append(recorder_.states(["0"])["0"].outcome))
        asking.start()
        asking.join(0.2)
        assert asking.is_alive()
        recorder_.after_fork()
        asking.join(20)
    assert found == ["ok"]


@pytest.mark.sqlite_only
def test_items_do_not_wait_while_the_store_is_in_trouble(
    path: Path, seen: Seen, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    with other_program(path) as other, track(range(200), "in trouble", key=str) as job:
        for item in job:
            if item.value == 1:
                other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            with item:
                pass
            waited.append(time.monotonic() - began)
        other.execute("COMMIT")
    assert sum(waited[2:]) < 5 * 0.25
    assert seen.counts("in trouble") == ("completed", 200, 200, 0)
    assert capsys.readouterr().err == ""


@pytest.mark.sqlite_only
def test_a_store_that_is_only_busy_is_never_given_up(
    path: Path, seen: Seen, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PATIENCE_MS", 1)
    monkeypatch.setattr(store_connection, "MOST_KEPT", 20)
    with other_program(path) as other, track(range(100), "very busy", key=str) as job:
        other.execute("BEGIN IMMEDIATE")
        for item in job:
            with item:
                pass
        other.execute("COMMIT")
    assert seen.counts("very busy") == ("completed", 100, 100, 0)
    assert capsys.readouterr().err == ""


def test_a_store_that_is_busy_at_the_start_is_reported_with_the_time_waited(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreBusy

    monkeypatch.setattr(recorder, "claim", fail)
    monkeypatch.setattr(store_connection, "LAST_WAIT_S", 0.5)
    assert list(track([1], "x")) == [1]
    assert "have been writing for 0.5 s. The loop runs on; nothing" in capsys.readouterr().err


def test_an_end_that_cannot_be_written_speaks_of_no_loop(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("The store cannot be used: disk I/O error.")

    monkeypatch.setattr(Lease, "finish", fail)
    assert list(track([1], "x")) == [1]
    err = capsys.readouterr().err
    assert err.endswith("How the job ended is not recorded.\n")
    assert "The loop" not in err


def test_a_sentence_of_the_configuration_ends_before_the_next(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOBDASH_LEASE", "soon")
    list(track([1], "x"))
    assert ". The loop runs on" in capsys.readouterr().err


class Odd:
    """An object of a script's own in the place of standard error."""

    encoding = "no-such-codec"

    def __init__(self, *, tty: bool) -> None:
        self.written: list[str] = []
        if tty:
            self.isatty = lambda: True

    def write(self, text: str) -> None:
        self.written.append(text)

    def flush(self) -> None:
        raise RuntimeError("closed")


@pytest.mark.parametrize("tty", [True, False])
def test_an_odd_standard_error_stops_neither_the_work_nor_the_heartbeat(
    path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch, tty: bool
) -> None:
    monkeypatch.setenv("JOBDASH_LEASE", "0.3")
    odd = Odd(tty=tty)
    monkeypatch.setattr(sys, "stderr", odd)
    for _ in track([1], "odd"):
        later = int(seen.job("odd")["lease_until"]) + 600
        until(partial(lambda later: int(seen.job("odd")["lease_until"]) > later, later), "renewals")
    assert seen.counts("odd") == ("completed", 1, 1, 0)
    assert bool(odd.written) is tty


def test_whatever_one_turn_of_the_heartbeat_meets_the_next_one_comes(
    path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBDASH_LEASE", "0.3")
    renew, failed = Lease.renew, threading.Event()

    def once(hold: Lease) -> str:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("whatever")
        return renew(hold)

    monkeypatch.setattr(Lease, "renew", once)
    for _ in track([1], "beats"):
        before = int(seen.job("beats")["lease_until"])
        assert failed.wait(20)
        until(partial(lambda before: int(seen.job("beats")["lease_until"]) > before, before), "a renewal")


def test_half_characters_around_a_script_do_not_stop_it(
    path: Path,
    seen: Seen,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / os.fsdecode(b"d\xff")
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "x.py")])
    for name in ("LOGNAME", "JOBDASH_JOB", "JOBDASH_LOG_FILE"):
        monkeypatch.setenv(name, "\udcff")
    words: dict[str, str] = {"\udcff": "\udcff"}
    assert list(track([1], "half", unit="\udcff", tags=words, metadata=words)) == [1]
    assert capsys.readouterr().err == ""
    assert seen.counts("half") == ("completed", 1, 1, 0)
    assert seen.ask("SELECT cwd, log_file FROM attempt") == [(None, None)]


@pytest.mark.parametrize("db", ["x" * 300, "nul\0", b"bytes", 3])
def test_a_store_that_no_system_could_have_is_reported_once(
    path: Path, db: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(track([1], "x", db=db)) == [1]  # type: ignore[arg-type]
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "The loop runs on" in err
