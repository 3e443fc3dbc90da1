"""The files of a store: left over, replaced under a writer, and somebody else's."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from shared.deadlines import joined
from shared.store_files import delete, move
from store_kit import everything, one, put, raw, remote

from jobdash.errors import StoreError
from jobdash.store import bootstrap, files
from jobdash.store.bootstrap import ensure_store, open_for_worker
from jobdash.store.dialects.sqlite import connect_reader, store_error
from jobdash.store.files import identity, owners, refuse_foreign
from jobdash.store.reader import Reader
from jobdash.store.sample_loader import build_sample_store
from jobdash.store.writer import Writer

pytestmark = pytest.mark.sqlite_only
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
NOBODY = 65534


# ── what an earlier store left ──────────────────────────────────────────────────────────────────────────────

_KILLED = """
import os, signal, sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute(f"PRAGMA journal_mode = {sys.argv[2]}")
store.execute("PRAGMA cache_size = 1")
store.execute("BEGIN")
store.execute("CREATE TABLE IF NOT EXISTS big (x)")
for _ in range(200):
    store.execute("INSERT INTO big VALUES (randomblob(3000))")
if sys.argv[2] == "WAL":
    store.execute("COMMIT")
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_writer(path: Path, mode: str = "WAL") -> None:
    """Leave behind what a writer leaves that is killed in the middle."""
    done = subprocess.run([sys.executable, "-c", _KILLED, str(path), mode], check=False)
    assert done.returncode == -signal.SIGKILL
    assert any(path.with_name(path.name + end).exists() for end in ("-wal", "-journal"))


def sample(path: Path) -> None:
    build_sample_store(path, [])


MAKERS: list[Callable[[Path], object]] = [ensure_store, lambda path: open_for_worker(path).close(), sample]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_fresh_store_is_not_made_beside_the_log_of_another(
    path: Path, make: Callable[[Path], object], mode: str
) -> None:
    killed_writer(path, mode)
    away = path.with_name("away.db")
    path.rename(away)
    make(path)
    with closing(connect_reader(path)) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert store.execute("SELECT count(*) FROM sqlite_master WHERE name = 'big'").fetchone() == (0,)
    (name,) = {file.name.rpartition("-")[0] for file in path.parent.glob("*.left-*")}
    away.rename(path.with_name(name))
    with closing(sqlite3.connect(path.with_name(name))) as old:
        assert old.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if mode == "WAL":
            assert old.execute("SELECT count(*) FROM big").fetchone() == (200,)


def test_what_was_moved_away_is_reported(path: Path) -> None:
    killed_writer(path)
    path.unlink()
    notices: list[str] = []
    ensure_store(path, notice=notices.append)
    (sentence,) = notices
    assert f"There was no store at {path}, but jobs.db-wal and jobs.db-shm of an earlier one" in sentence
    assert "A new store was made." in sentence
    ensure_store(path, notice=notices.append)
    assert len(notices) == 1


@pytest.mark.parametrize("how", ["rename", "lock"])
def test_a_log_that_cannot_be_moved_is_reported_and_nothing_is_made(
    path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    killed_writer(path)
    path.unlink()
    before = sorted(path.parent.iterdir())

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    target, name = (Path, "rename") if how == "rename" else (fcntl, "flock")
    monkeypatch.setattr(target, name, refuse)
    with pytest.raises(StoreError, match=r"jobs\.db-wal and jobs\.db-shm of an earlier one cannot be moved"):
        ensure_store(path)
    assert sorted(path.parent.iterdir()) == before


_EVENT = "INSERT INTO event (at, actor, face, action, result, detail) VALUES (1, 'a', 'b', 'c', 'd', '')"


def _start(path: Path) -> None:
    ensure_store(path)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as store:
        store.execute(_EVENT)


@pytest.mark.slow
def test_racing_starters_move_the_old_log_away_once(path: Path) -> None:
    """The log of the store that the first of them makes is never taken for an old one."""
    context = multiprocessing.get_context("fork")
    for _ in range(8):
        killed_writer(path)
        path.unlink()
        racers = [context.Process(target=_start, args=(path,)) for _ in range(6)]
        for racer in racers:
            racer.start()
        for racer in racers:
            joined(racer)
            assert racer.exitcode == 0
        assert raw(path, "SELECT count(*) FROM event") == [(6,)]
        assert raw(path, "PRAGMA integrity_check") == [("ok",)]


def test_the_advice_for_a_damaged_store_names_its_log(path: Path) -> None:
    killed_writer(path)
    error = sqlite3.DatabaseError("malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    assert "Move it away, together with jobs.db-wal and jobs.db-shm;" in str(store_error(path, error))


def test_a_link_to_nothing_is_followed(path: Path) -> None:
    link = path.parent / "link.db"
    link.symlink_to("target.db")
    ensure_store(link)
    assert (path.parent / "target.db").exists()
    assert link.is_symlink()


# ── replaced under a writer ─────────────────────────────────────────────────────────────────────────────────


def replace(path: Path) -> None:
    other = path.with_name("other.db")
    ensure_store(other)
    other.replace(path)


def copy_back(path: Path) -> None:
    shutil.copy(path, path.with_name("copy.db"))
    path.unlink()
    path.with_name("copy.db").rename(path)


def move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


@pytest.mark.parametrize("gone", [delete, move, replace, copy_back, move_folder])
def test_no_writer_reports_success_once_its_store_is_gone(
    path: Path, writer: Writer, reader: Reader, gone: Callable[[Path], None]
) -> None:
    one(writer, reader)
    gone(path)
    with pytest.raises(StoreError, match="was deleted, moved or replaced"):
        put(writer, remote("batch_2"))
    with pytest.raises(StoreError, match="was deleted, moved or replaced"):
        writer.poll_now()
    done = [writer.batch([lambda w: put(w, remote("batch_3"))])]
    assert isinstance(done[0][0].error, StoreError)
    with pytest.raises(StoreError, match="was deleted, moved or replaced"):
        writer.batch([lambda w: put(w, remote("batch_3")), lambda w: put(w, remote("batch_4"))])
    with pytest.raises(StoreError, match="was deleted, moved or replaced"):
        reader.refuse_replaced()


def test_a_store_that_goes_while_it_is_written_is_not_written(path: Path, writer: Writer) -> None:
    def act(writer: Writer) -> object:
        found = put(writer, remote("batch_2"))
        delete(path)
        return found

    with pytest.raises(StoreError, match="was deleted, moved or replaced"):
        writer.batch([act, lambda _writer: None])


def test_a_store_that_stays_is_the_same_file(path: Path, writer: Writer, reader: Reader) -> None:
    one(writer, reader)
    assert writer.identity == reader.identity == identity(path)
    raw(path, "VACUUM")
    put(writer, remote("batch_2"))
    reader.refuse_replaced()
    assert len(everything(reader)) == 2


# ── somebody else's ─────────────────────────────────────────────────────────────────────────────────────────

OPENERS: list[Callable[[Path], object]] = [ensure_store, open_for_worker]


def refused(path: Path, opener: Callable[[Path], object]) -> str:
    with pytest.raises(StoreError) as raised:
        opener(path)
    assert raised.value.exit_code == 6
    return str(raised.value)


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(("mode", "who"), [(0o666, "everybody"), (0o602, "everybody"), (0o660, "the group")])
def test_a_store_that_others_may_write(
    path: Path, opener: Callable[[Path], object], mode: int, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_own_group", lambda _gid: False)
    path.chmod(mode)
    reason = refused(path, opener)
    assert who in reason
    assert f"chmod go-w {path}" in reason


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707])
@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_others_may_write(
    path: Path, opener: Callable[[Path], object], mode: int, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_own_group", lambda _gid: False)
    path.parent.chmod(mode)
    if not there:
        delete(path)
    assert f"may write to its folder {path.parent}" in refused(path, opener)
    assert path.exists() == there


@pytest.mark.parametrize("opener", OPENERS)
def test_in_a_sticky_folder_ones_own_store_is_used(path: Path, opener: Callable[[Path], object]) -> None:
    path.parent.chmod(0o1777)
    opener(path)
    path.chmod(0o666)
    assert "everybody may write" in refused(path, opener)


@AS_ROOT
@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("which", ["file", "folder", "wal", "journal"])
def test_a_store_that_belongs_to_somebody_else(
    path: Path, opener: Callable[[Path], object], which: str
) -> None:
    end = {"wal": "-wal", "journal": "-journal"}.get(which, "")
    foreign = path.parent if which == "folder" else path.with_name(path.name + end)
    path.parent.chmod(0o1777)
    foreign.touch()
    os.chown(foreign, NOBODY, NOBODY)
    reason = refused(path, opener)
    assert f"(uid {NOBODY})" in reason
    assert str(foreign) in reason


@AS_ROOT
def test_a_link_of_somebody_else(path: Path) -> None:
    link = path.parent / "link.db"
    link.symlink_to(path)
    ensure_store(link)
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    assert str(link) in refused(link, ensure_store)


@AS_ROOT
def test_the_file_a_link_leads_to_is_what_counts(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    link = elsewhere / "link.db"
    link.symlink_to(path)
    ensure_store(link)
    path.parent.chmod(0o777)
    assert str(path.parent) in refused(link, ensure_store)
    path.parent.chmod(0o700)
    os.chown(path, NOBODY, NOBODY)
    assert str(path) in refused(link, ensure_store)


def test_a_group_of_the_user_alone_is_no_other_user(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_own_group", lambda _gid: True)
    path.chmod(0o660)
    path.parent.chmod(0o770)
    refuse_foreign(path)
    path.chmod(0o662)
    with pytest.raises(StoreError, match="everybody"):
        refuse_foreign(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="root's own group is no exception")
def test_the_group_of_root_is_no_exception(path: Path) -> None:
    path.chmod(0o660)
    assert "group" in refused(path, ensure_store)


def test_who_owns_what(path: Path) -> None:
    modes = {file: mode for file, _who, mode in owners(path)}
    assert modes[str(path)] == "0600"
    assert modes[str(path.parent)] == "0700"
    assert all(f"uid {os.geteuid()}" in who for _file, who, _mode in owners(path))


def test_a_fresh_store_is_ones_own_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        bootstrap.create_store(tmp_path / "a" / "b" / "jobs.db")
        refuse_foreign(tmp_path / "a" / "b" / "jobs.db")
    finally:
        os.umask(before)
