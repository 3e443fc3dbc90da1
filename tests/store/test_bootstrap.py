"""Opening: fresh, older, newer, damaged and unwritable stores."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from shared.deadlines import joined
from shared.store_files import build_store
from store_kit import HandClock, actor, put, raw, remote

from jobdash.errors import StoreError, StoreReadOnly, StoreTooNew
from jobdash.store import bootstrap
from jobdash.store.bootstrap import ensure_store, open_for_worker, read_only_reason
from jobdash.store.dialects import sqlite
from jobdash.store.dialects.sqlite import connect_reader, open_engine
from jobdash.store.leases.claims import ClaimRequest, claim
from jobdash.store.leases.lease import ItemWrite
from jobdash.store.owner import current_owner
from jobdash.store.reader import Reader
from jobdash.store.schema.current import SCHEMA_VERSION
from jobdash.store.schema.migrate import MIGRATIONS, upgrade
from jobdash.store.writer import Writer

pytestmark = pytest.mark.sqlite_only

NEXT_VERSION = f"{int(SCHEMA_VERSION) + 1:04}"

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

SPAWNED = multiprocessing.get_context("fork")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777], ids=oct)
def test_folder_and_files_are_the_owners_alone(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "new" / "deeper" / "jobs.db"
    before = os.umask(umask)
    try:
        ensure_store(path)
        with Writer(path, HandClock(), actor()) as writer:
            put(writer, remote())
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"jobs.db": 0o600, "jobs.db-wal": 0o600, "jobs.db-shm": 0o600}
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)] == [
        0o700
    ] * 2


def _start(path: Path, barrier: Barrier, results: Queue[str]) -> None:
    barrier.wait()
    try:
        ensure_store(path)
        with Writer(path, HandClock(), actor()) as writer:
            put(writer, remote(f"batch_{os.getpid()}"))
        results.put("")
    except Exception as error:
        results.put(repr(error))
        raise


def test_racing_starters_all_find_one_whole_store(tmp_path: Path) -> None:
    starters, rounds = 8, 5
    for n in range(rounds):
        path = tmp_path / f"{n}" / "jobs.db"
        barrier, results = SPAWNED.Barrier(starters), SPAWNED.Queue()
        racers = [SPAWNED.Process(target=_start, args=(path, barrier, results)) for _ in range(starters)]
        for racer in racers:
            racer.start()
        assert [results.get(timeout=30) for _ in racers] == [""] * starters
        for racer in racers:
            joined(racer)
        assert raw(path, "SELECT count(*) FROM job") == [(starters,)]
        assert list(path.parent.glob(".*.new")) == []


def test_where_links_are_not_supported_the_store_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    path = tmp_path / "jobs.db"
    ensure_store(path)
    made = path.stat().st_ino
    bootstrap.create_store(path)
    assert path.stat().st_ino == made, "another's store is never replaced"
    assert list(tmp_path.glob(".*.new")) == []


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(StoreError, match=r"is a folder, and no jobdash store\. Name a file"):
        ensure_store(tmp_path)


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be made: Not a directory"):
        ensure_store(tmp_path / "file" / "jobs.db")


def test_a_newer_store_is_refused_and_not_touched(path: Path) -> None:
    raw(path, "UPDATE alembic_version SET version_num = '0099'")
    raw(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes(), path.stat().st_mtime_ns
    with pytest.raises(StoreTooNew, match="written by a newer jobdash"):
        ensure_store(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_store_upgraded_under_a_running_writer_is_written_no_more(path: Path, writer: Writer) -> None:
    put(writer, remote("before"))
    raw(path, "UPDATE alembic_version SET version_num = '0099'")
    with pytest.raises(StoreTooNew, match="Restart"):
        put(writer, remote("after"))
    assert raw(path, "SELECT remote_id FROM job") == [("before",)]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"not a database, but long enough to have a header " * 10, "is not a jobdash store"),
        (b"", "is not a jobdash store"),
    ],
)
def test_another_file_is_refused_in_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "jobs.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=sentence):
        ensure_store(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    raw(path, "CREATE TABLE alembic_version (version_num)")
    with pytest.raises(StoreError, match="its version cannot be read"):
        ensure_store(path)


def test_the_error_of_a_damaged_store_has_a_way_out(path: Path, writer: Writer) -> None:
    put(writer, *(remote(f"batch_{n}") for n in range(200)))
    writer.close()
    raw(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[8192:] = b"\x55" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="Move it away"), Reader(path) as reader:
        reader.counts()


def test_another_database_is_refused_by_name() -> None:
    with pytest.raises(StoreError, match="a store is a file, or in PostgreSQL") as raised:
        ensure_store(Path("mysql+pymysql://host/db"))
    with pytest.raises(StoreError, match=r"^MySQL://… cannot be used") as raised:
        ensure_store(Path("MySQL://ann:canary-secret@host/db"))
    assert "canary" not in str(raised.value)
    assert raised.value.exit_code == 6


def test_an_old_sqlite_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(StoreError, match="too old"):
        ensure_store(path)


def test_a_store_can_be_opened_for_reading_only(path: Path, tmp_path: Path) -> None:
    assert ensure_store(path, read_only=True) == "opened for reading only"
    with pytest.raises(StoreReadOnly):
        ensure_store(tmp_path / "none.db", read_only=True)
    assert not (tmp_path / "none.db").exists()


def test_the_reason_for_reading_only_is_returned(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {path}
    monkeypatch.setattr(bootstrap.os, "access", lambda file, _mode: file not in refused)
    assert read_only_reason(path) == "jobs.db is not writable"
    refused.clear()
    refused.add(path.parent)
    reason = ensure_store(path)
    assert reason is not None
    assert reason.endswith("data is not writable")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_in_a_folder_that_cannot_be_written_is_read(path: Path, writer: Writer) -> None:
    put(writer, remote())
    writer.close()
    path.parent.chmod(0o500)
    try:
        assert ensure_store(path) is not None
        with Reader(path) as reader:
            assert reader.counts().total == 1
    finally:
        path.parent.chmod(0o700)


def test_writing_a_store_that_cannot_be_written_raises(
    path: Path, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = connect_reader(path)
    monkeypatch.setattr(sqlite, "connect_writer", lambda *_: opened)
    with (
        Writer(path, HandClock(), actor()) as unable,
        pytest.raises(StoreReadOnly, match="cannot be written"),
    ):
        put(unable, remote())


def test_a_reader_cannot_write(path: Path) -> None:
    with closing(connect_reader(path)) as connection, pytest.raises(StoreReadOnly, match="cannot be written"):
        connection.execute("DELETE FROM job")


def test_each_engine_keeps_its_promise_of_durability(path: Path) -> None:
    found = []
    for synchronous in ("FULL", "NORMAL"):
        made = open_engine(path, synchronous)
        with made.connect() as connection:
            found.append(
                [
                    connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                    for name in ("synchronous", "foreign_keys", "journal_mode", "busy_timeout")
                ]
            )
            assert connection.connection.driver_connection.in_transaction, "reads begin immediately too"
    assert found == [[2, 1, "wal", 5000], [1, 1, "wal", 5000]]


def _chain(folder: Path, upgrade_body: str, header: str = "") -> Path:
    scripts = folder / "migrations"
    shutil.copytree(MIGRATIONS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / f"{NEXT_VERSION}_next.py").write_text(
        f"from alembic import op\nrevision = '{NEXT_VERSION}'\ndown_revision = '{SCHEMA_VERSION}'\n{header}\n"
        f"def upgrade():\n    {upgrade_body}\n"
    )
    return scripts


def test_an_older_store_is_upgraded_and_keeps_its_jobs(path: Path, writer: Writer, tmp_path: Path) -> None:
    put(writer, remote())
    scripts = _chain(tmp_path, "op.execute('ALTER TABLE job ADD COLUMN note VARCHAR')")
    upgrade(path, scripts)
    upgrade(path, scripts)
    assert raw(path, "SELECT remote_id, note FROM job") == [("batch_1", None)]
    assert raw(path, "SELECT version_num FROM alembic_version") == [(NEXT_VERSION,)]


def test_an_upgrade_that_fails_leaves_the_store_as_it_was(path: Path, tmp_path: Path) -> None:
    scripts = _chain(tmp_path, "op.execute('CREATE TABLE note (id)'); op.execute('nonsense')")
    with pytest.raises(StoreError, match="could not be upgraded"):
        upgrade(path, scripts)
    assert raw(path, "SELECT name FROM sqlite_master WHERE name = 'note'") == []
    assert ensure_store(path) is None


def test_a_table_is_not_rewritten_under_a_running_job(path: Path, writer: Writer, tmp_path: Path) -> None:
    put(writer, remote())
    scripts = _chain(tmp_path, "pass", "REWRITES_TABLES = True")
    raw(path, "UPDATE job SET lease_until = 4000000000000")
    with pytest.raises(StoreError, match="1 local job is running"):
        upgrade(path, scripts)
    raw(path, "UPDATE job SET lease_until = 1")
    upgrade(path, scripts)


def test_an_older_store_that_cannot_be_written_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "SCHEMA_VERSION", NEXT_VERSION)
    with pytest.raises(StoreReadOnly, match="needs an upgrade"):
        ensure_store(path, read_only=True)


def test_ensure_store_upgrades_an_older_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgraded: list[Path] = []
    monkeypatch.setattr(bootstrap, "SCHEMA_VERSION", NEXT_VERSION)
    monkeypatch.setattr("jobdash.store.schema.migrate.upgrade", upgraded.append)
    assert ensure_store(path) is None
    assert upgraded == [path]


def test_reading_a_store_imports_no_orm(path: Path) -> None:
    """The first rows must not wait for SQLAlchemy, nor a fresh store for Alembic."""
    program = (
        "import sys; from pathlib import Path\n"
        "from jobdash.store.bootstrap import ensure_store\n"
        "from jobdash.store.reader import Reader\n"
        f"ensure_store(Path({str(path)!r})); ensure_store(Path({str(path.with_name('fresh.db'))!r}))\n"
        f"Reader(Path({str(path)!r})).counts()\n"
        "heavy = {'sqlalchemy', 'sqlmodel', 'pydantic', 'alembic', 'asyncio', 'textual'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_store_without_local_jobs_gains_them_and_keeps_what_it_had(path: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    build_store(old, (MIGRATIONS / "versions" / "0001_baseline.sql").read_text())
    raw(old, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    raw(old, "INSERT INTO alembic_version VALUES ('0001')")
    raw(
        old,
        "INSERT INTO job (public_id, provider, account, origin, name, remote_status, raw_status, created_at)"
        " VALUES ('abc', 'openai', 'openai', 'https://api.example', 'nightly', 'completed', 'completed', 1)",
    )
    assert ensure_store(old) is None
    assert raw(old, "SELECT name, status, done_before FROM job") == [("nightly", "completed", None)]
    claimed = claim(
        open_for_worker(old), ClaimRequest("thumbnails", current_owner(), "me@here", True, 60_000)
    )
    claimed.lease.write_items([ItemWrite("a", "ok")])
    assert raw(old, "SELECT name, succeeded FROM job ORDER BY id") == [("nightly", None), ("thumbnails", 1)]


def test_a_name_that_no_file_can_have_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be used: File name too long"):
        ensure_store(tmp_path / ("a" * 300))
