"""Whether a process is provably dead, and the taking over of what it left."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from store_kit import MINUTE, START, HandClock, actor, one

from jobdash.store import owner as owners
from jobdash.store.owner import Owner, current_owner
from jobdash.store.reader import Reader
from jobdash.store.records import ActionRequest, Intent
from jobdash.store.writer import Writer

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def test_an_owner_survives_being_written() -> None:
    owner = Owner("machine", "boot", 4026531836, 4711, 99)
    assert Owner.decode(owner.encode()) == owner


@needs_proc
def test_this_process_lives() -> None:
    here = current_owner()
    assert here.pid == os.getpid()
    assert here.started > 0
    assert not here.provably_dead()


@needs_proc
def test_a_process_that_ended_is_dead_and_so_is_one_whose_id_was_given_again() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert replace(current_owner(), pid=done.pid).provably_dead()
    assert replace(current_owner(), started=current_owner().started - 1).provably_dead()


@needs_proc
@pytest.mark.parametrize("other", [{"machine": "x"}, {"boot": "x"}, {"pid_namespace": 1}])
def test_of_another_place_nothing_is_proven(other: dict[str, object]) -> None:
    assert not replace(current_owner(), pid=2**22 + 1, **other).provably_dead()


def test_where_there_is_no_proc_nothing_is_proven(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(owners, "_place", lambda: ("machine", "", 0))
    monkeypatch.setattr(owners, "start_time", lambda _pid: None)
    assert current_owner().started == 0
    assert not replace(current_owner(), pid=4711).provably_dead()
    assert owners._first_line(tmp_path / "none") == ""


@needs_proc
def test_a_name_with_parentheses_hides_no_start_time() -> None:
    program = "import ctypes; ctypes.CDLL(None).prctl(15, b') R 1 (x', 0, 0, 0); input()"
    child = subprocess.Popen([sys.executable, "-c", f"{program}"], stdin=subprocess.PIPE)
    try:
        assert owners.start_time(child.pid)
    finally:
        child.communicate(b"\n")


def test_an_intent_is_abandoned_by_the_dead_or_a_minute_late(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    intent = writer.begin_delete(ActionRequest(row.id, 0), deadline=START + MINUTE, target="file-abc")
    assert isinstance(intent, Intent)
    assert not intent.abandoned(START + 2 * MINUTE)
    assert intent.abandoned(START + 2 * MINUTE + 1)
    dead = replace(intent, owner=replace(intent.owner, started=intent.owner.started + 1))
    assert dead.abandoned(START) is bool(current_owner().boot)


def test_an_abandoned_intent_is_taken_over_once(
    path: Path, writer: Writer, reader: Reader, clock: HandClock
) -> None:
    row = one(writer, reader)
    writer.begin_delete(ActionRequest(row.id, 0), deadline=START, target="file-abc")
    (seen,) = reader.open_intents()
    mine = replace(current_owner(), pid=1)
    with Writer(path, clock, actor("bob", mine)) as other:
        assert other.take_over(seen, START + MINUTE)
        assert not writer.take_over(seen, START + MINUTE)
    (now,) = reader.open_intents()
    assert (now.owner, now.deadline) == (mine, START + MINUTE)
    writer.close_intent(now.id, "done")
    assert not writer.take_over(now, START)
