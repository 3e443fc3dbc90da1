"""Parts of a function's job: claimed once, fenced twice, and the job ends with the last of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_kit import ServerClock
from shared.store_files import build_store
from store_kit import MINUTE, SECOND, START, HandClock, actor, clock_of, raw

from jobdash.domain.describe.job_text import parts_text
from jobdash.domain.job import JobRow
from jobdash.store.bootstrap import open_for_worker
from jobdash.store.dialects import sqlite
from jobdash.store.dialects.base import Connection
from jobdash.store.leases.claims import ClaimRequest, claim
from jobdash.store.leases.lease import ItemWrite, LeaseRefused
from jobdash.store.leases.part_lease import PartLease
from jobdash.store.leases.parts import (
    ClaimedPart,
    NewFunctionJob,
    PartKey,
    cancel_job,
    claim_part,
    due,
    ended,
    expire_leases_of_dead,
    insert_job,
    item_writes,
    leave_parts,
)
from jobdash.store.location import StoreLocation
from jobdash.store.owner import current_owner
from jobdash.store.reader import Reader
from jobdash.store.records import ActionRequest
from jobdash.store.schema.generate import schema_sql
from jobdash.store.writer import Writer

HERE = current_owner()
ALIVE = replace(HERE, machine="elsewhere", pid=4711)
OTHER = replace(HERE, machine="another", pid=4712)
DEAD = replace(HERE, pid=2**22 - 1, started=1)
LEASE = 30 * SECOND
THUMB = "thumbs:thumb"


@pytest.fixture
def clock(path: StoreLocation, monkeypatch: pytest.MonkeyPatch) -> Iterator[HandClock | ServerClock]:
    with clock_of(path, monkeypatch) as by_hand:
        yield by_hand


@pytest.fixture
def db(path: Path, clock: HandClock) -> Iterator[Connection]:
    with closing(open_for_worker(path)) as connection:
        yield connection


@pytest.fixture
def second(path: Path, clock: HandClock) -> Iterator[Connection]:
    with closing(open_for_worker(path)) as connection:
        yield connection


def made(db: Connection, items: int = 4, parts: int = 2, **more: Any) -> str:
    values = {"function": THUMB, "name": "thumb", "actor": "ann@desk", "machine": "here", "parts": parts}
    return insert_job(
        db, NewFunctionJob(items=[(f"k{n}", str(n)) for n in range(items)], **{**values, **more})
    )


def keys(db: Connection, clock: HandClock) -> list[PartKey]:
    return due(db, [THUMB], 100)


def taken(db: Connection, key: PartKey, owner: Any = ALIVE) -> ClaimedPart:
    claimed = claim_part(db, key, owner, "ann@desk", LEASE, {THUMB})
    assert claimed is not None
    return claimed


def both_taken(db: Connection, second: Connection, two: list[PartKey]) -> tuple[PartLease, PartLease]:
    one, other = two
    return taken(db, one).lease, taken(second, other).lease


def do(lease: PartLease, outcome: str = "ok") -> list[str]:
    """Do all of a part's items."""
    items = lease.next_items()
    lease.write_items([ItemWrite(item.key, outcome) for item in items])
    return [item.key for item in items]


def job(path: Path, public: str) -> dict[str, Any]:
    names = ("status", "succeeded", "failed", "total", "fence", "attempt", "owner", "lease_until", "id")
    (row,) = raw(path, f"SELECT {', '.join(names)} FROM job WHERE public_id = '{public}'")
    return dict(zip(names, row, strict=True))


def test_a_job_is_made_with_all_its_items_in_parts_of_nearly_equal_length(
    path: Path, db: Connection, clock: HandClock
) -> None:
    public = made(db, items=10, parts=3, tags=(("team", "x"),))
    assert raw(path, "SELECT number, first, behind FROM part ORDER BY number") == [
        (0, 0, 3),
        (1, 3, 6),
        (2, 6, 10),
    ]
    assert job(path, public)["status"] == "pending"
    assert job(path, public)["total"] == 10
    assert [key.number for key in keys(db, clock)] == [0, 1, 2]
    assert raw(path, "SELECT key, value FROM job_tag") == [("team", "x")]


def test_no_job_has_more_parts_than_items(path: Path, db: Connection) -> None:
    made(db, items=2, parts=9)
    assert raw(path, "SELECT count(*) FROM part") == [(2,)]


def test_keys_are_read_as_they_are_written() -> None:
    key = PartKey("k3f9x2ab", 2, 17, 3)
    assert PartKey.read(str(key)) == key
    for wrong in ("", "k3f9x2ab", "k3f9x2ab.1.2", "k.1.2.x", "k.1.2.3.4", "k.-1.2.3", "k.1.2.³"):
        assert PartKey.read(wrong) is None


def test_a_part_is_claimed_once(path: Path, db: Connection, second: Connection, clock: HandClock) -> None:
    public = made(db)
    key = keys(db, clock)[0]
    claimed = taken(db, key)
    assert (claimed.public_id, claimed.function, claimed.number) == (public, THUMB, 0)
    assert claim_part(second, key, OTHER, "bob@desk", LEASE, {THUMB}) is None
    again = key._replace(part_fence=key.part_fence + 1)
    assert claim_part(second, again, OTHER, "bob@desk", LEASE, {THUMB}) is None
    assert [left.number for left in keys(db, clock)] == [1]
    assert job(path, public)["status"] == "in_progress"


def test_the_items_of_a_part_are_its_own(db: Connection, second: Connection, clock: HandClock) -> None:
    made(db)
    first, other = keys(db, clock)
    assert do(taken(db, first).lease) == ["k0", "k1"]
    assert [item.given for item in taken(second, other).lease.next_items()] == ["2", "3"]


def test_the_last_part_ends_the_job(path: Path, db: Connection, second: Connection, clock: HandClock) -> None:
    public = made(db)
    one, two = (
        taken(connection, key).lease for connection, key in zip((db, second), keys(db, clock), strict=True)
    )
    do(one)
    assert one.end_part(done=True) is None
    assert job(path, public)["status"] == "in_progress"
    do(two, "error")
    assert two.end_part(done=True) == "completed"
    found = job(path, public)
    assert (found["status"], found["succeeded"], found["failed"]) == ("completed", 2, 2)
    assert (found["owner"], found["lease_until"]) == (None, None)
    assert ended(db, [public, "zzzzzzzz"]) == [public]
    assert [each.outcome for each in item_writes(db, public)] == ["ok", "ok", "error", "error"]


def test_parts_that_are_given_back_wait_for_another_worker(
    path: Path, db: Connection, second: Connection, clock: HandClock
) -> None:
    public = made(db, parts=1)
    lease = taken(db, keys(db, clock)[0]).lease
    lease.write_items([ItemWrite("k0", "ok")])
    assert lease.end_part(done=False) is None
    assert job(path, public)["status"] == "pending"
    assert do(taken(second, keys(db, clock)[0]).lease) == ["k1", "k2", "k3"]
    assert raw(path, "SELECT count(*) FROM attempt") == [(1,)]
    # In the log it has started once.
    assert raw(path, "SELECT action, detail FROM event ORDER BY id") == [
        ("submit", "4 items"),
        ("start", "attempt 1"),
    ]


def test_the_part_of_a_silent_worker_is_taken_over_and_its_writes_are_refused(
    path: Path, db: Connection, second: Connection, clock: HandClock
) -> None:
    made(db)
    zombie = taken(db, keys(db, clock)[0]).lease
    clock.now += LEASE + 1
    key = keys(second, clock)[0]
    assert key.part_fence == 1
    lease = taken(second, key, OTHER).lease
    for write in (
        lambda: zombie.write_items([ItemWrite("k0", "ok")]),
        zombie.renew,
        zombie.status,
        lambda: zombie.end_part(done=True),
    ):
        with pytest.raises(LeaseRefused, match="part 1 was taken over"):
            write()
    assert do(lease) == ["k0", "k1"]
    assert raw(path, "SELECT count(*) FROM item WHERE outcome = 'ok'") == [(2,)]


def test_a_failed_item_is_tried_again_by_a_retry_alone(
    path: Path, db: Connection, second: Connection, clock: HandClock, writer: Writer
) -> None:
    public = made(db, parts=1)
    lease = taken(db, keys(db, clock)[0]).lease
    lease.write_items([ItemWrite("k0", "error"), ItemWrite("k1", "ok")])
    clock.now += LEASE + 1
    later = taken(second, keys(second, clock)[0], OTHER).lease
    assert do(later) == ["k2", "k3"]
    assert later.end_part(done=True) == "completed"
    assert keys(db, clock) == []
    row = row_of(writer, public)
    writer.retry_local(ActionRequest(row.id, row.fence))
    assert do(taken(second, keys(second, clock)[0], OTHER).lease) == ["k0"]
    assert job(path, public)["attempt"] == 2


def test_only_parts_with_items_left_are_done_again(
    db: Connection, clock: HandClock, writer: Writer, path: Path
) -> None:
    public = made(db, items=6, parts=3)
    for key in keys(db, clock):
        lease = taken(db, key).lease
        do(lease, "error" if key.number == 1 else "ok")
        lease.end_part(done=True)
    row = row_of(writer, public)
    writer.retry_local(ActionRequest(row.id, row.fence))
    assert [key.number for key in keys(db, clock)] == [1]
    lease = taken(db, keys(db, clock)[0]).lease
    do(lease)
    assert lease.end_part(done=True) == "completed"
    assert (job(path, public)["succeeded"], job(path, public)["failed"]) == (6, 0)


def row_of(writer: Writer, public: str) -> JobRow:
    with writer._transaction() as connection:
        ((job_id,),) = connection.execute("SELECT id FROM job WHERE public_id = ?", (public,)).fetchall()
        return writer._row_now(connection, job_id)


END: dict[str, Callable[[Writer, JobRow], object]] = {
    "force-fail": lambda writer, row: writer.force_fail_local(ActionRequest(row.id, row.fence)),
    "remove": lambda writer, row: writer.remove_local(ActionRequest(row.id, row.fence)),
}


@pytest.mark.parametrize("how", END)
def test_what_ends_the_job_shuts_all_of_its_workers_out(
    path: Path, db: Connection, second: Connection, clock: HandClock, writer: Writer, how: str
) -> None:
    public = made(db)
    all_keys = keys(db, clock)
    one, two = both_taken(db, second, all_keys)
    END[how](writer, row_of(writer, public))
    for lease in (one, two):
        with pytest.raises(LeaseRefused, match=r"was (failed|removed)"):
            lease.write_items([ItemWrite("k0", "ok")])
        with pytest.raises(LeaseRefused):
            lease.end_part(done=True)
    assert keys(db, clock) == []
    assert all(claim_part(db, key, ALIVE, "ann@desk", LEASE, {THUMB}) is None for key in all_keys)
    assert raw(path, "SELECT count(*) FROM item WHERE outcome <> 'waiting'") == [(0,)]


@pytest.mark.parametrize("how", END)
def test_no_part_of_a_job_that_has_ended_is_with_a_worker(
    path: Path, db: Connection, second: Connection, clock: HandClock, writer: Writer, reader: Reader, how: str
) -> None:
    public = made(db)
    both_taken(db, second, keys(db, clock))
    row = row_of(writer, public)
    before, _ = reader.job(row.id), END[how](writer, row)
    after = reader.job(row.id)
    assert before is not None
    assert after is not None
    assert (before.parts, parts_text(before)) == (
        {"done": 0, "running": 2, "waiting": 0},
        "done 0, running 2, waiting 0",
    )
    assert (after.parts, parts_text(after)) == ({"done": 0, "running": 0, "waiting": 2}, "done 0, left 2")


def test_a_cancel_ends_with_the_last_worker(
    path: Path, db: Connection, second: Connection, clock: HandClock
) -> None:
    public = made(db, parts=3)
    one, two = (
        taken(connection, key).lease
        for connection, key in zip((db, second), keys(db, clock)[:2], strict=True)
    )
    cancel_job(db, public, "ann@desk", "enough")
    assert job(path, public)["status"] == "cancelling"
    assert keys(db, clock) == []  # the third is not begun any more
    assert one.write_items([ItemWrite("k0", "ok")]) == "cancelling"
    assert one.end_part(done=False) is None
    assert job(path, public)["status"] == "cancelling"
    assert two.end_part(done=False) == "cancelled"
    assert job(path, public)["succeeded"] == 1


def test_a_job_that_waits_is_cancelled_at_once(path: Path, db: Connection, clock: HandClock) -> None:
    public = made(db)
    cancel_job(db, public, "ann@desk", "enough")
    assert job(path, public)["status"] == "cancelled"
    assert keys(db, clock) == []
    cancel_job(db, public, "ann@desk", "again")  # nothing to do, and no error
    assert raw(path, "SELECT count(*) FROM event WHERE action = 'cancel'") == [(1,)]


def test_all_items_done_in_front_of_a_cancel_are_a_completed_job(db: Connection, clock: HandClock) -> None:
    public = made(db, parts=1)
    lease = taken(db, keys(db, clock)[0]).lease
    cancel_job(db, public, "ann@desk", "enough")
    do(lease)
    assert lease.end_part(done=True) == "completed"


def test_a_dead_worker_of_this_computer_is_not_waited_for(db: Connection, clock: HandClock) -> None:
    made(db, parts=1)
    taken(db, keys(db, clock)[0], DEAD)
    assert keys(db, clock) == []
    assert expire_leases_of_dead(db) == 1
    assert expire_leases_of_dead(db) == 0
    assert taken(db, keys(db, clock)[0]).lease


def test_renewing_keeps_a_part_and_its_job(path: Path, db: Connection, clock: HandClock) -> None:
    public = made(db, parts=1)
    lease = taken(db, keys(db, clock)[0]).lease
    for _ in range(3):
        clock.now += 20 * SECOND
        assert lease.renew() == "in_progress"
    assert keys(db, clock) == []
    assert job(path, public)["lease_until"] == clock() + LEASE
    assert clock() == START + MINUTE


def test_functions_that_a_worker_does_not_have_are_left_alone(db: Connection, clock: HandClock) -> None:
    made(db)
    assert due(db, ["other:thing"], 10) == []
    assert due(db, [], 10) == []


def test_a_script_never_continues_a_functions_job(path: Path, db: Connection, writer: Writer) -> None:
    public = made(db)
    cancel_job(db, public, "ann@desk", "enough")
    want = ClaimRequest("thumb", ALIVE, "ann@desk", True, LEASE, resume="always")
    assert claim(db, want).public_id != public


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "do", "end", "back", "silence", "cancel", "retry", "fail"]),
        st.integers(0, 3),
    ),
    max_size=30,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(STEPS)
def test_whatever_workers_and_people_do_counts_are_those_of_the_items(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, int]]
) -> None:
    clock = HandClock()
    monkeypatch.setattr(sqlite, "now_ms", clock)
    path = tmp_path_factory.mktemp("parts") / "j.db"
    build_store(path, schema_sql())
    with closing(open_for_worker(path)) as db, Writer(path, clock, actor()) as writer:
        public = made(db, items=6, parts=3)
        leases: list[PartLease] = []
        for what, n in steps:
            _step(db, writer, clock, public, leases, what, n)
            found = job(path, public)
            ok, bad, waiting = (
                raw(path, f"SELECT count(*) FROM item WHERE outcome = '{word}'")[0][0]
                for word in ("ok", "error", "waiting")
            )
            assert (found["succeeded"], found["failed"]) == (ok, bad)
            assert ok + bad + waiting == 6
            if found["status"] == "completed":
                assert waiting == 0
            if found["status"] in {"completed", "cancelled", "failed"}:
                assert keys(db, clock) == []
                assert raw(
                    path, "SELECT count(*) FROM part WHERE owner IS NOT NULL AND done_at IS NOT NULL"
                ) == [(0,)]


def _step(
    db: Connection, writer: Writer, clock: HandClock, public: str, leases: list[PartLease], what: str, n: int
) -> None:
    if what == "claim":
        open_keys = keys(db, clock)
        claimed = (
            claim_part(db, open_keys[n % len(open_keys)], ALIVE, "ann@desk", LEASE, {THUMB})
            if open_keys
            else None
        )
        if claimed is not None:
            leases.append(claimed.lease)
    elif what in {"do", "end", "back"} and leases:
        lease = leases[n % len(leases)]
        try:
            if what == "do":
                lease.write_items(
                    [ItemWrite(item.key, "error" if n == 3 else "ok") for item in lease.next_items(1)]
                )
            elif what == "end":
                do(lease)
                lease.end_part(done=True)
            else:
                lease.end_part(done=False)
        except LeaseRefused:
            pass
    elif what == "silence":
        clock.now += LEASE + 1
    elif what == "cancel":
        cancel_job(db, public, "ann@desk", "enough")
    else:
        row = row_of(writer, public)
        act = writer.retry_local if what == "retry" else writer.force_fail_local
        if what == "retry" or row.unfinished:
            act(ActionRequest(row.id, row.fence))


def lost_again(db: Connection, clock: HandClock) -> ClaimedPart:
    """Let the lease of whoever holds the first part run out, and another worker take it."""
    clock.now += LEASE + 1
    return taken(db, keys(db, clock)[0], OTHER)


def test_workers_that_are_lost_at_a_part_are_counted_until_an_item_has_an_outcome(
    db: Connection, clock: HandClock
) -> None:
    made(db, parts=1)
    first = taken(db, keys(db, clock)[0])
    assert first.lost == 0
    first.lease.renew()
    assert lost_again(db, clock).lost == 1
    third = lost_again(db, clock)
    assert third.lost == 2
    third.lease.write_items([ItemWrite("k0", "ok")])
    assert lost_again(db, clock).lost == 1


def test_a_worker_that_gives_a_part_back_or_leaves_it_is_not_lost(db: Connection, clock: HandClock) -> None:
    made(db, parts=1)
    taken(db, keys(db, clock)[0]).lease.end_part(done=False)
    assert taken(db, keys(db, clock)[0]).lost == 0
    leave_parts(db, ALIVE)
    assert taken(db, keys(db, clock)[0], OTHER).lost == 0, "and nobody waits for its lease"


def test_a_part_that_has_cost_two_workers_is_done_alone_and_behind_the_others(
    db: Connection, clock: HandClock
) -> None:
    made(db, parts=2)
    taken(db, keys(db, clock)[0])
    lost_again(db, clock)
    lost_again(db, clock)
    clock.now += LEASE + 1
    other, costly = keys(db, clock)
    assert (other.number, costly.number) == (1, 0)
    busy = claim_part(db, costly, ALIVE, "ann@desk", LEASE, {THUMB}, lambda: False)
    assert busy is None
    assert keys(db, clock) == [other, costly], "nothing was changed"
    alone = claim_part(db, costly, ALIVE, "ann@desk", LEASE, {THUMB}, lambda: True)
    assert alone is not None
    assert alone.lost == 3


def test_a_retry_counts_anew(path: Path, db: Connection, writer: Writer, clock: HandClock) -> None:
    public = made(db, parts=1)
    taken(db, keys(db, clock)[0])
    lost_again(db, clock).lease.finish("failed", "failed", "E: e")
    row = job(path, public)
    writer.retry_local(ActionRequest(row["id"], row["fence"]))
    assert taken(db, keys(db, clock)[0]).lost == 0
