"""The worker's statements: who gets a job, what the fence lets through, and why a worker is refused."""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from postgres_kit import ServerClock
from shared.deadlines import joined
from store_kit import HOUR, MINUTE, SECOND, START, HandClock, clock_of, raw

from jobdash.store import public_ids
from jobdash.store.bootstrap import open_for_worker
from jobdash.store.leases import claims, resume_candidates
from jobdash.store.leases import lease as leases
from jobdash.store.leases.claims import Claim, ClaimRequest, claim
from jobdash.store.leases.continuation import Continuation
from jobdash.store.leases.lease import ItemState, ItemWrite, Lease, LeaseRefused
from jobdash.store.location import StoreLocation
from jobdash.store.owner import current_owner

HERE = current_owner()
ALIVE = replace(HERE, machine="elsewhere", pid=4711)
"""A process of which nothing can be proven: its lease decides."""
LEASE = 30 * SECOND
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture
def clock(path: StoreLocation, monkeypatch: pytest.MonkeyPatch) -> Iterator[HandClock | ServerClock]:
    with clock_of(path, monkeypatch) as by_hand:
        yield by_hand


@pytest.fixture
def db(path: Path, clock: HandClock) -> Iterator[sqlite3.Connection]:
    with closing(open_for_worker(path)) as connection:
        yield connection


def wanted(**more: Any) -> ClaimRequest:
    values = {"name": "resize", "owner": ALIVE, "actor": "ann@desk", "keyed": True, "lease_ms": LEASE}
    values["resume"] = "always"  # by the name alone; what else decides has its own tests
    return ClaimRequest(**{**values, **more})


def active_pid(claimed: Claim) -> int | None:
    """The process of the run that holds the job of this name."""
    active = claimed.choice.active
    return None if active is None else active.pid


def ok(*keys: object) -> list[ItemWrite]:
    return [ItemWrite(str(key), "ok") for key in keys]


def error(key: object) -> list[ItemWrite]:
    return [ItemWrite(str(key), "error", None, "ValueError", "bad")]


def counts(path: Path, job_id: int = 1) -> tuple[Any, ...]:
    query = "SELECT status, total, succeeded, failed, done_before, attempt FROM job WHERE id = ?"
    return raw(path, query, (job_id,))[0]


def rows(path: Path, job_id: int = 1) -> list[tuple[Any, ...]]:
    return raw(path, "SELECT seq, key, outcome, attempt FROM item WHERE job_id = ? ORDER BY seq", (job_id,))


def all_of(path: Path) -> list[list[tuple[Any, ...]]]:
    return [raw(path, f"SELECT * FROM {table}") for table in ("job", "item", "event", "attempt")]


def outside(path: Path, what: str, job_id: int = 1) -> None:
    """What other processes do to a job."""
    off = "fence = fence + 1, last_owner = owner, owner = NULL, lease_until = NULL"
    sets = {
        "cancel": "cancel_requested_at = 5, cancel_reason = 'by hand'",
        "close": f"remote_status = 'cancelled', finished_at = 5, {off}",
        "force-fail": f"remote_status = 'failed', verdict = 'force_failed', verdict_at = 5, {off}",
        "remove": f"remote_status = 'cancelled', removed_at = 5, {off}",
        "retry": f"remote_status = 'pending', attempt = attempt + 1, {off}",
    }
    raw(path, f"UPDATE job SET {sets[what]} WHERE id = ?", (job_id,))
    if what in {"force-fail", "retry"}:
        raw(
            path,
            "INSERT INTO event (at, actor, face, action, job_id, result)"
            " VALUES (1, 'bob@desk', 'tui', ?, ?, '')",
            (what, job_id),
        )


def test_a_new_job_is_made_and_held_in_one(path: Path, db: sqlite3.Connection) -> None:
    got = claim(db, wanted(total=9, unit="files", argv=("python", "x.py"), cwd="/x", log_file="/x.log"))
    assert (got.fence, got.attempt, got.succeeded, got.failed, got.total) == (1, 1, 0, 0, 9)
    assert counts(path) == ("in_progress", 9, 0, 0, 0, 1)
    ((provider, account, origin, raw_status, owner, lease, started, created),) = raw(
        path,
        "SELECT provider, account, origin, raw_status, owner, lease_until, started_at, created_at FROM job",
    )
    assert (provider, account, origin, raw_status) == ("local", "local", "elsewhere", "in_progress")
    assert (owner, lease, started, created) == (ALIVE.encode(), START + LEASE, START, START)
    assert raw(path, "SELECT * FROM attempt") == [
        (1, 1, 1, owner, "ann@desk", 1, "files", '["python","x.py"]', "/x", "/x.log", START, None, None, None)
    ]
    assert raw(path, "SELECT face, action, result, detail FROM event") == [
        ("script", "start", "in_progress", "attempt 1")
    ]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (("--api-key", "x"), False),
        (("--token", "y"), False),
        (("--hf-token=y",), False),
        (("api_key=z",), False),
        (("--header", "x-goog-api-key: abc"), False),
        (("--max-tokens", "5", "--key", "id", "secret", "token"), True),
    ],
)
def test_a_command_line_with_a_secret_in_it_is_not_kept(
    words: tuple[str, ...], kept: bool, path: Path, db: sqlite3.Connection
) -> None:
    claim(db, wanted(argv=("python", "x.py", *words)))
    ((argv,),) = raw(path, "SELECT argv FROM attempt")
    assert (argv is not None) is kept


Ready = Callable[[Path, Claim], None]


def by(what: str) -> Ready:
    return lambda path, _got: outside(path, what)


def ended(word: str) -> Ready:
    return lambda _path, got: got.lease.finish(word, word)


def lapsed(path: Path, _got: Claim) -> None:
    raw(path, "UPDATE job SET lease_until = ?", (START - 1,))


def told_and_lapsed(path: Path, got: Claim) -> None:
    outside(path, "cancel")
    lapsed(path, got)


@pytest.mark.parametrize(
    ("ready", "joined", "attempt"),
    [
        (by("retry"), True, 2),
        (by("force-fail"), True, 2),
        (by("close"), True, 2),
        (ended("cancelled"), True, 2),
        (ended("failed"), True, 2),
        (lapsed, True, 2),
        (told_and_lapsed, True, 2),
        (by("cancel"), False, 1),
        (ended("completed"), False, 1),
        (by("remove"), False, 1),
        (lambda _path, _got: None, False, 1),
    ],
    ids=[
        *("retried", "failed here", "closed", "cancelled", "failed", "lapsed", "requested and lapsed"),
        *("being cancelled", "completed", "removed", "held"),
    ],
)
def test_the_newest_job_of_a_name_decides(
    ready: Ready, joined: bool, attempt: int, path: Path, db: sqlite3.Connection
) -> None:  # E-4 E-10
    got = claim(db, wanted(total=4))
    got.lease.write_items([*ok(1, 2), *error(3)])
    ready(path, got)
    again = claim(db, wanted(total=4, owner=HERE))
    assert (again.job_id == got.job_id, again.attempt) == (joined, attempt)
    if joined:
        assert counts(path) == ("in_progress", 4, 2, 0, 2, 2)
        assert [row[2] for row in rows(path)] == ["ok", "ok", "waiting"]
        assert raw(
            path,
            "SELECT cancel_requested_at, cancel_reason, verdict, verdict_at, error, finished_at, removed_at"
            " FROM job",
        ) == [(None,) * 7]
        assert again.fence > got.fence
        with pytest.raises(LeaseRefused):
            got.lease.write_items(ok(4))
    else:
        assert counts(path, 2) == ("in_progress", 4, 0, 0, 0, 1)


def test_only_a_living_holder_is_named(path: Path, db: sqlite3.Connection) -> None:
    assert active_pid(claim(db, wanted())) is None
    assert active_pid(claim(db, wanted(owner=HERE))) == 4711
    assert active_pid(claim(db, wanted())) == HERE.pid
    outside(path, "remove", 3)
    assert active_pid(claim(db, wanted())) is None


@needs_proc
def test_a_provably_dead_owner_holds_nothing(path: Path, db: sqlite3.Connection) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait(60)
    claim(db, wanted(owner=replace(HERE, pid=child.pid)))
    got = claim(db, wanted())
    assert (got.job_id, got.attempt) == (1, 2)
    assert raw(path, "SELECT ended FROM attempt ORDER BY fence") == [("worker gone",), (None,)]


def test_an_abandoned_cancel_is_closed_by_whoever_comes(
    path: Path, db: sqlite3.Connection, clock: HandClock
) -> None:
    claim(db, wanted(name="other"))
    outside(path, "cancel")
    clock.now += HOUR
    claim(db, wanted())
    assert counts(path)[0] == "cancelled"
    query = "SELECT action, result FROM event WHERE job_id = 1 ORDER BY id"
    assert raw(path, query) == [("start", "in_progress"), ("end", "cancelled")]


def test_a_job_is_joined_by_its_exact_name_only(path: Path, db: sqlite3.Connection) -> None:
    for name in ("Resize", "resize", "resize ", "x" * 3000, "x" * 3000):
        claim(db, wanted(name=name)).lease.finish("failed", "x")
    assert raw(path, "SELECT count(*) FROM job") == [(4,)]


def test_jobs_of_a_provider_are_never_joined(path: Path, db: sqlite3.Connection) -> None:
    raw(
        path,
        "INSERT INTO job (public_id, provider, account, origin, name, remote_status, raw_status, created_at)"
        " VALUES ('x', 'openai', 'work', 'o', 'resize', 'failed', 'failed', 1)",
    )
    assert claim(db, wanted()).job_id == 2


def test_a_kept_job_and_a_counting_one_are_two(path: Path, db: sqlite3.Connection) -> None:
    claim(db, wanted()).lease.finish("failed", "x")
    assert claim(db, wanted(keyed=False)).job_id == 2


def test_the_job_that_is_meant_is_taken_before_the_newest(path: Path, db: sqlite3.Connection) -> None:
    first = claim(db, wanted())
    first.lease.finish("failed", "x")
    raw(path, "UPDATE job SET name = 'x'")
    claim(db, wanted()).lease.finish("failed", "x")
    raw(path, "UPDATE job SET name = 'resize'")
    assert claim(db, wanted(public_id=first.public_id)).job_id == first.job_id
    assert claim(db, wanted(public_id=first.public_id)).job_id == 2  # it is held now


def test_very_many_failed_items_are_made_ready_in_pieces(
    path: Path, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "MOST_ROWS", 10)
    got = claim(db, wanted(total=25))
    got.lease.write_items([outcome for n in range(25) for outcome in error(n)])
    got.lease.finish("failed", "x")
    states = []
    find_job = claims.find_job

    def watched(connection: sqlite3.Connection, want: ClaimRequest, *more: Any) -> Continuation:
        states.append(counts(path)[:4] + counts(path)[5:])
        return find_job(connection, want, *more)

    monkeypatch.setattr(claims, "find_job", watched)
    again = claim(db, wanted(total=25))
    assert states == [("failed", 25, 0, 25, 1), ("pending", 25, 0, 15, 2), ("pending", 25, 0, 5, 2)]
    assert (again.attempt, again.failed) == (2, 0)
    assert {row[2] for row in rows(path)} == {"waiting"}


def test_a_public_id_that_is_taken_is_made_anew(
    path: Path, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(["aaaaaaaa", "aaaaaaaa", "bbbbbbbb"])
    monkeypatch.setattr(public_ids, "public_id", lambda: next(ids))
    assert claim(db, wanted(name="a")).public_id == "aaaaaaaa"
    assert claim(db, wanted(name="b")).public_id == "bbbbbbbb"


def test_eight_that_want_the_same_job_get_one_each(path: Path) -> None:
    started = threading.Barrier(8)
    got: list[Claim] = []

    def take(number: int) -> None:
        with closing(open_for_worker(path)) as connection:
            started.wait(20)
            got.append(claim(connection, wanted(owner=replace(ALIVE, pid=number + 1))))

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        joined(thread)
    assert sorted(one.job_id for one in got) == list(range(1, 9))
    assert sum(active_pid(one) is None for one in got) == 1


@pytest.fixture
def hold(db: sqlite3.Connection) -> Lease:
    return claim(db, wanted(total=4)).lease


def test_counts_change_by_the_difference_to_what_stood_there(path: Path, hold: Lease) -> None:
    kinds = [ok(1), error(1), [ItemWrite("1", "skipped", '"x"')]]
    for writes in itertools.product(kinds, repeat=3):
        for write in writes:
            hold.write_items(write)
        (outcome,) = raw(path, "SELECT outcome FROM item")[0]
        assert counts(path)[2:4] == ((0, 1) if outcome == "error" else (1, 0))
    hold.write_items([*ok(2), *error(2), *ok(2), *error(3)])
    assert counts(path)[2] + counts(path)[3] == 3
    assert [row[:2] for row in rows(path)] == [(0, "1"), (1, "2"), (2, "3")]


def test_more_items_than_expected_raise_the_total(path: Path, hold: Lease, db: sqlite3.Connection) -> None:
    hold.write_items(ok(*range(6)))
    assert counts(path)[1] == 6
    unknown = claim(db, wanted(name="unknown")).lease
    unknown.write_items(ok(1))
    assert counts(path, 2)[1:3] == (None, 1)
    unknown.set_total(3)
    assert counts(path, 2)[1] == 3


def test_items_renew_the_lease_and_return_a_cancel(path: Path, hold: Lease, clock: HandClock) -> None:  # D-2
    clock.now += MINUTE  # a lease that has run out is still ours until it is taken
    assert hold.write_items(ok(1)) == "in_progress"
    assert raw(path, "SELECT lease_until FROM job") == [(clock.now + LEASE,)]
    clock.now += 1
    assert hold.renew() == "in_progress"
    assert raw(path, "SELECT lease_until FROM job") == [(clock.now + LEASE,)]
    version = hold.connection.data_version()
    outside(path, "cancel")
    assert hold.connection.data_version() != version
    assert hold.write_items(ok(2)) == hold.renew() == hold.status() == "cancelling"


def test_what_is_expected_waits_and_counts_in_nothing(
    path: Path, hold: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "MOST_ROWS", 2)
    hold.write_items(ok("b"))
    hold.expect(["a", "b", "c", "a", "d"])
    assert [row[1:3] for row in rows(path)] == [
        ("b", "ok"),
        ("a", "waiting"),
        ("c", "waiting"),
        ("d", "waiting"),
    ]
    assert [row[0] for row in rows(path)] == [0, 1, 2, 3]
    assert hold.count_total() == 4
    assert counts(path)[:4] == ("in_progress", 4, 1, 0)
    assert hold.item_states(["a", "b", "x"]) == {"a": ItemState("waiting", 1), "b": ItemState("ok", 1)}


def test_counts_without_keys_are_set_as_they_are(path: Path, db: sqlite3.Connection) -> None:
    counting = claim(db, wanted(name="counts", keyed=False, total=9)).lease
    for _ in range(2):
        assert counting.write_counts(5, 2) == "in_progress"
    assert counts(path)[1:4] == (9, 5, 2)
    counting.finish("cancelled", "loop left at 7 of 9")
    again = claim(db, wanted(name="counts", keyed=False, total=9))
    assert (again.job_id, again.succeeded, again.failed) == (1, 0, 0)
    assert counts(path) == ("in_progress", 9, 0, 0, 0, 2)


@pytest.mark.parametrize("word", ["completed", "cancelled", "failed"])
def test_an_end_gives_the_job_back(word: str, path: Path, hold: Lease) -> None:
    reason = "ValueError: x" if word == "failed" else None
    hold.finish(word, "so it ended", reason)
    row = raw(
        path, "SELECT status, raw_status, owner, lease_until, last_owner, finished_at, error, fence FROM job"
    )
    assert row == [(word, word, None, None, None, START, reason, 1)], "no process is to be stopped for it"
    assert raw(path, "SELECT ended_at, ended FROM attempt") == [(START, "so it ended")]
    assert raw(path, "SELECT action, result, detail FROM event ORDER BY id DESC LIMIT 1") == [
        ("end", word, "so it ended")
    ]


def test_ones_own_cancel_shows(path: Path, hold: Lease) -> None:
    hold.request_cancel("Ctrl-C")
    hold.request_cancel("Ctrl-C")
    assert raw(path, "SELECT status, cancel_reason FROM job") == [("cancelling", "Ctrl-C")]
    assert raw(path, "SELECT count(*) FROM event WHERE action = 'cancel'") == [(1,)]
    hold.finish("cancelled", "x", cancel="SIGTERM")
    assert raw(path, "SELECT status, cancel_requested_at, cancel_reason FROM job") == [
        ("cancelled", START, "Ctrl-C")
    ]


def test_an_end_can_be_a_cancel_of_its_own(path: Path, hold: Lease) -> None:
    hold.finish("cancelled", "x", cancel="SIGTERM")
    assert raw(path, "SELECT cancel_requested_at, cancel_reason FROM job") == [(START, "SIGTERM")]


WRITES: dict[str, Callable[[Lease], object]] = {
    "items": lambda hold: hold.write_items(ok(9)),
    "counts": lambda hold: hold.write_counts(9, 9),
    "renew": lambda hold: hold.renew(),
    "expect": lambda hold: hold.expect(["9"]),
    "count total": lambda hold: hold.count_total(),
    "set total": lambda hold: hold.set_total(99),
    "status": lambda hold: hold.status(),
    "ask": lambda hold: hold.request_cancel("x"),
    "finish": lambda hold: hold.finish("completed", "x"),
}
TOLD = {
    "remove": "was removed",
    "force-fail": "was failed by bob@desk",
    "close": "was cancelled",
    "retry": "was set back to pending by bob@desk",
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("what", TOLD)
def test_a_worker_that_lost_its_lease_writes_nothing_and_gets_the_reason(
    what: str, write: str, path: Path, hold: Lease
) -> None:  # E-1 E-2 E-3 E-7 E-8
    hold.write_items(ok(1))
    outside(path, what)
    before = all_of(path)
    with pytest.raises(LeaseRefused) as refused:
        WRITES[write](hold)
    assert (str(refused.value), refused.value.cancelled) == (TOLD[what], what == "close")
    assert all_of(path) == before
    assert not hold.connection.in_transaction


def test_a_taken_over_job_names_the_process(path: Path, hold: Lease, db: sqlite3.Connection) -> None:
    lapsed(path, None)  # type: ignore[arg-type]
    new = claim(db, wanted(owner=replace(ALIVE, pid=42)))
    with pytest.raises(LeaseRefused, match="was taken over by pid 42"):
        hold.renew()
    new.lease.finish("completed", "x")
    with pytest.raises(LeaseRefused, match="was taken over by pid 42"):
        hold.renew()
    raw(path, "UPDATE attempt SET owner = 'nobody'")
    with pytest.raises(LeaseRefused, match="was taken over by another run"):
        hold.renew()


def test_a_finished_or_vanished_job_takes_nothing(path: Path, hold: Lease) -> None:
    hold.finish("completed", "x")
    with pytest.raises(LeaseRefused, match="is completed already"):
        hold.write_items(ok(1))
    for table in ("attempt", "job"):
        raw(path, f"DELETE FROM {table}")
    with pytest.raises(LeaseRefused, match="is not in the store any more"):
        hold.renew()


@pytest.mark.sqlite_only
@pytest.mark.parametrize("step", ["_difference", "_add", "_upsert"])
def test_what_breaks_inside_a_commit_leaves_nothing(
    step: str, path: Path, hold: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(hold, step, broken)
        with pytest.raises(KeyboardInterrupt):
            hold.write_items(ok(1))
    assert rows(path) == []
    assert counts(path)[2] == 0
    hold.write_items(ok(1))
    assert counts(path)[2] == 1


def test_a_worker_works_with_a_newer_store(path: Path, clock: HandClock) -> None:
    raw(path, "UPDATE alembic_version SET version_num = '0099'")
    raw(path, "ALTER TABLE job ADD COLUMN colour TEXT")
    raw(path, "ALTER TABLE item ADD COLUMN colour TEXT")
    with closing(open_for_worker(path)) as connection:
        claim(connection, wanted()).lease.write_items(ok(1))
    assert raw(path, "SELECT version_num FROM alembic_version") == [("0099",)]


@pytest.mark.sqlite_only
def test_finding_the_newest_of_a_name_scans_no_table(path: Path, db: sqlite3.Connection) -> None:
    for query, values in (
        (resume_candidates._BY_NAME, {"shown": 1, "key": "resize", "name": "resize"}),
        (resume_candidates._BY_ID, ("abc", "abd")),
        (resume_candidates._STARTED_FOR, ("x", "resize")),
        (resume_candidates._OF_A_LOOP, ("x.py:", "x.py;")),
        (resume_candidates._NUMBER, (1,)),
        (resume_candidates._KEYS, (1, 100)),
        (leases._STATE, (1, "x")),
        (leases._UPSERT, (1, 1, "x", "ok", 1, None, None, None)),
    ):
        plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", values))
        assert "SCAN" not in plan.replace("SCAN CONSTANT ROW", "")
        assert "TEMP B-TREE" not in plan or query == resume_candidates._OF_A_LOOP


@pytest.mark.sqlite_only
def test_what_is_asked_and_written_of_items_costs_the_same_in_a_large_job(
    path: Path, db: sqlite3.Connection
) -> None:
    steps = itertools.count()
    costs: list[dict[str, int]] = []
    for name, number in (("small", 1_000), ("large", 20_000)):
        hold = claim(db, wanted(name=name)).lease
        hold.expect([str(key) for key in range(number)])
        some = [str(key) for key in range(300, 556)]
        asked = {
            "standing": lambda hold=hold, some=some: hold.item_states(some),  # type: ignore[misc]
            "write": lambda hold=hold, some=some: hold.write_items(ok(*some)),  # type: ignore[misc]
            "renew": hold.renew,
            "total": hold.count_total,
        }
        cost = {}
        for what, do in asked.items():
            before = next(steps)
            db.set_progress_handler(lambda: next(steps) < 0, 100)  # every hundred steps of SQLite's machine
            do()
            db.set_progress_handler(None, 0)
            cost[what] = next(steps) - before
        costs.append(cost)
    for what, small in costs[0].items():
        assert costs[1][what] <= 1.5 * small + 5, (what, costs)
