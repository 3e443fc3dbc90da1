"""Two dashboards and a script on one store: nobody is told it is locked, nothing is lost or asked twice."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path

import pytest
from kit.child_processes import TIMEOUT_S, ForkServer, environment
from kit.dashboard import FASTEST_MS
from kit.facts import nothing_is_lost, store_is_sound
from kit.world import CANCEL, HOUR, KEYS, MINUTE, World

from jobdash.demo.emulator import BatchFailure, JournalEntry, RealClock, key_label

FIRST_PAGE = {"openai": "/v1/batches", "gemini": "/v*/batches"}
JOBS = 40


@pytest.fixture
def busy(tmp_path: Path, fresh_store: Path) -> Iterator[World]:
    """A world in real time, in which jobs start, end and are cancelled while one looks."""
    with World(tmp_path, fresh_store, RealClock()) as world:
        for number in range(JOBS):
            account = ("openai", "gemini")[number % 2]
            running = (HOUR, 5 * MINUTE + number / 4)[number % 3 == 0]
            world.add(
                account, age=5 * MINUTE, running=running, cancelling=1.0, failures=(BatchFailure(number % 5),)
            )
        yield world


def polled_enough(world: World) -> bool:
    """Whether the dashboards have asked every account some times; the machine may be slow."""
    return all(len(polls_of(world, account)) > 2 for account in FIRST_PAGE)


def polls_of(world: World, account: str) -> list[JournalEntry]:
    """The first page of every sync."""
    return [
        entry
        for entry in world.journal.calls("GET", FIRST_PAGE[account])
        if entry.account == key_label(KEYS[account])
        and "oken=" not in entry.query
        and "after=" not in entry.query
    ]


def script(world: World, fork_server: ForkServer, until: float) -> dict[str, int]:
    """What somebody's loop does: look, cancel, sync, remove; returns how often each was called."""
    env = world.environment()
    counts = {"sync": 0, "cancel": 0, "remove": 0, "list": 0}

    def call(*args: str, allowed: tuple[int, ...] = (0,)) -> str:
        counts[args[0]] += 1
        done = fork_server.jobdash(*args, env=env)
        told = done.told
        assert "locked" not in told, told
        assert "busy" not in told, told
        assert done.code in allowed, (args, done.code, told)
        return done.out

    leaving: set[str] = set()  # whoever polls removes these, perhaps between our look and our next command
    for turn in count(1):
        jobs = json.loads(call("list", "--json", "--limit", "0"))["jobs"]
        running = [job["id"] for job in jobs if job["status"] == "in_progress"]
        ended = [
            job["id"]
            for job in jobs
            if job["status"] in {"completed", "cancelled"} and job["id"] not in leaving
        ]
        if running:
            call("cancel", running[0], running[-1], "--yes", "--json", allowed=(0, 1))
        if ended:
            call("remove", ended[0], "--yes")
        if len(running) > 2:
            leaving.add(running[1])
            call("remove", running[1], "--cancel", "--yes", allowed=(0, 1))
        ended_now = time.monotonic() > until and (
            polled_enough(world) or time.monotonic() > until + TIMEOUT_S
        )
        if ended_now or turn % 12 == 0:  # more would leave the dashboards nothing to ask
            call("sync")
        if ended_now:
            break
    return counts


def crowd(world: World, fork_server: ForkServer, seconds: float) -> None:
    began = time.monotonic()
    dashboards = [fork_server.begin(world.task("dashboard", "openai", "gemini")) for _ in range(2)]
    calls = script(world, fork_server, began + seconds)
    ends = [dashboard.end() for dashboard in dashboards]
    lasted = time.monotonic() - began

    for end in ends:
        assert (end["errors"], end["left"]) == ([], 0)
        assert end["looks"] > 10
    assert sum(end["syncs"] for end in ends) > 1
    polls = lasted * 1000 / (0.9 * FASTEST_MS) + 2
    for account in FIRST_PAGE:
        asked = polls_of(world, account)
        assert 0 < len(asked) <= polls + calls["sync"], (account, len(asked), polls, calls)
        # Whoever has polled puts the next one off: only a sync that somebody asked for comes sooner.
        soon = sum(1 for one, next_one in pairwise(asked) if next_one.at - one.at < 0.75 * FASTEST_MS / 1000)
        assert soon <= 2 * calls["sync"], (account, soon, calls)
        cancelled = [entry.path for entry in world.journal.calls(*CANCEL[account])]
        assert len(cancelled) == len(set(cancelled)), "a cancel was sent twice"
    store_is_sound(world.path)
    nothing_is_lost(world)
    assert len(world.rows()) == JOBS


@pytest.mark.slow
def test_two_dashboards_and_a_script_get_along(busy: World, fork_server: ForkServer) -> None:
    # F-1 F-3
    crowd(busy, fork_server, 4.0)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [15.0, pytest.param(40.0, marks=pytest.mark.marathon)])
def test_two_dashboards_and_a_script_get_along_for_long(
    busy: World, fork_server: ForkServer, seconds: float
) -> None:
    crowd(busy, fork_server, seconds)


def starters(path: Path, number: int) -> None:
    """So many commands at once on a store that is not there yet."""
    env = environment(JOBDASH_DATABASE=str(path))
    command = [sys.executable, "-m", "jobdash", "list", "--json"]
    running = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(number)
    ]
    for process in running:
        out, told = process.communicate(timeout=120)
        assert (process.returncode, told) == (0, "")
        assert json.loads(out)["jobs"] == []
    assert [file.name for file in path.parent.iterdir() if file.suffix not in {".db-wal", ".db-shm"}] == [
        path.name
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    store_is_sound(path)


def test_racing_starters_all_find_a_store(tmp_path: Path) -> None:
    starters(tmp_path / "new" / "deep" / "jobs.db", 6)


@pytest.mark.slow
def test_racing_starters_all_find_a_store_again_and_again(tmp_path: Path) -> None:
    for turn in range(10):
        starters(tmp_path / f"new {turn}" / "jobs.db", 8)
