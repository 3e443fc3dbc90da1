"""What is PostgreSQL's own: plans, locks, revisions by transaction, a server that goes away, who may read."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path

import postgres_kit
import psycopg
import pytest
from shared.deadlines import LONG, joined, stopped
from store_kit import START, HandClock, actor, one, put, raw, remote

from jobdash.domain.status import Status, Tab
from jobdash.errors import Interrupted, StoreAway, StoreBusy, StoreError, StoreMissing, StoreReadOnly
from jobdash.store import server_store
from jobdash.store.bootstrap import ensure_store, open_for_worker
from jobdash.store.copying import check_store, copy_store
from jobdash.store.dialects import postgres, postgres_admin
from jobdash.store.dialects.postgres_sql import native_sql
from jobdash.store.leases import parts
from jobdash.store.leases.claims import ClaimRequest, claim
from jobdash.store.leases.lease import ItemWrite
from jobdash.store.location import PostgresLocation
from jobdash.store.owner import current_owner
from jobdash.store.reader import Reader
from jobdash.store.records import ActionRequest
from jobdash.store.sort_orders import SORT_ORDERS, Scope, Sort, SortKey, merged, page_of_all, walks
from jobdash.store.writer import Writer

pytestmark = pytest.mark.postgres_only
PATIENCE_S = 10.0


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# ── one text for two databases ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("sql", "native"),
    [
        ("SELECT ? WHERE a = :a", "SELECT %s WHERE a = %(a)s"),
        ("SELECT x FROM job INDEXED BY job_unfinished WHERE y", "SELECT x FROM job WHERE y"),
        ("a LIKE ? ESCAPE '\\'", "a ILIKE %s ESCAPE '\\'"),
        (
            "a IS ? AND b IS :b AND c IS NULL",
            "a IS NOT DISTINCT FROM %s AND b IS NOT DISTINCT FROM %(b)s AND c IS NULL",
        ),
        ("'what? :a LIKE 100%' || a::text % 2", "'what? :a LIKE 100%%' || a::text %% 2"),
    ],
)
def test_a_statement_is_written_once_for_both(sql: str, native: str) -> None:
    assert native_sql(sql) == native


# ── plans ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def many(path: PostgresLocation) -> PostgresLocation:
    """A store of some thousand jobs, whose statistics are known."""
    raw(
        path,
        "INSERT INTO job (public_id, provider, account, origin, remote_id, name, remote_status, raw_status,"
        " created_at, updated_at, total) SELECT n, 'openai', 'openai', 'o', n, 'job ' || n,"
        " CASE WHEN n % 3 = 0 THEN 'completed' ELSE 'in_progress' END, 'x', n, n, n % 7"
        " FROM generate_series(1, 5000) AS n",
    )
    raw(path, "ANALYZE")
    return path


def test_every_page_is_read_from_an_index(many: PostgresLocation) -> None:
    """Nothing is walked through: a page costs the same among a million jobs."""
    for scope, order in product([Scope(), Scope(Tab.COMPLETED), Scope(removed=True)], SORT_ORDERS):
        key = {"name": "job 2", "account": "openai"}.get(order, 3)
        found = walks(scope, Sort(order), START)
        pages = [
            walk.page("id, name", behind, 50, sorts_arms=True)
            for walk in found
            for behind in (None, SortKey(key, 9))
        ]
        pages += [page_of_all(found, "id, name", behind, 50) for behind in (None, SortKey(key, 9))]
        for sql, values in [*pages, merged(found, 50, 100, sorts_arms=True)]:
            assert "Seq Scan" not in postgres_kit.plan(many, sql, values)


def test_a_page_is_planned_once_for_all_keys(many: PostgresLocation) -> None:
    """Planning takes longer than reading: of two prepared plans the one without the key's values is kept."""
    with Reader(many) as reader:
        for number in range(30):
            reader.page(Scope(), Sort(), SortKey(number * 100, 9), 50)
        asked = "SELECT generic_plans, custom_plans FROM pg_prepared_statements"
        plans = reader._connection.execute(asked).fetchall()
    ((generic, custom),) = plans
    assert generic > custom


def test_the_parts_that_workers_hold_are_found_among_those_that_are_done(path: PostgresLocation) -> None:
    raw(
        path,
        "INSERT INTO job (public_id, provider, account, origin, name, remote_status, raw_status, created_at,"
        " function) SELECT n, 'local', 'local', 'o', 'n', 'completed', 'x', n, 'm:f'"
        " FROM generate_series(1, 100) AS n",
    )
    raw(
        path,
        "INSERT INTO part (job_id, number, first, behind, done_at, owner, lease_until)"
        " SELECT job.id, n, n, n + 1, CASE WHEN n > 0 THEN 1 END, CASE WHEN n = 0 THEN 'x' END, 1"
        " FROM job, generate_series(0, 99) AS n",
    )
    raw(path, "ANALYZE part")
    for query, values in ((parts._HOLDERS, ()), (parts._EXPIRE, (1, "y", 5))):
        assert "Seq Scan" not in postgres_kit.plan(path, query, values)


def test_items_are_found_by_their_keys_in_a_job_of_many(path: PostgresLocation) -> None:
    lease = claimed(path).lease
    lease.write_items([ItemWrite(f"k{number}", "ok") for number in range(3000)])
    raw(path, "ANALYZE item")
    began = time.monotonic()
    for number in range(20):
        lease.write_items([ItemWrite(f"k{number}", "error")])
    assert time.monotonic() - began < 2.0
    assert raw(path, "SELECT succeeded, failed FROM job") == [(2980, 20)]


# ── revisions, and who waits for whom ───────────────────────────────────────────────────────────────────────


def claimed(path: PostgresLocation, name: str = "resize"):  # type: ignore[no-untyped-def]
    return claim(open_for_worker(path), ClaimRequest(name, current_owner(), "ann@desk", True, 30_000))


def test_a_change_that_is_committed_late_is_seen(
    path: PostgresLocation, writer: Writer, reader: Reader
) -> None:
    """The late one has the older revision: who asks for newer ones alone never sees it."""
    put(writer, remote("late"), remote("early"))
    late, early = reader.by_remote("late")[0], reader.by_remote("early")[0]
    version, mark = reader.data_version(), reader.revision()
    with closing(postgres_kit.connect(path)) as slow:
        slow.execute("BEGIN")
        slow.execute(f"UPDATE job SET succeeded = 1 WHERE id = {late.id}")
        raw(path, f"UPDATE job SET succeeded = 2 WHERE id = {early.id}")
        assert reader.data_version() != version
        assert [row.id for row in reader.changed_since(mark)] == [early.id]
        mark, stamp = reader.revision(), reader.counts().stamp
        slow.execute("COMMIT")
    version = reader.data_version()
    assert reader.counts().stamp != stamp
    assert late.id in {row.id for row in reader.changed_since(mark)}
    assert reader.data_version() == version, "nothing is under way any more"


def test_the_very_first_change_of_a_store_is_seen(path: PostgresLocation) -> None:
    there = replace(path, schema="later")
    server_store.create(there)
    with Reader(there) as reader:
        version = reader.data_version()
        raw(there, "INSERT INTO account (name, provider) VALUES ('openai', 'openai')")
        assert reader.data_version() != version


def test_a_change_that_was_under_way_at_a_look_is_found_when_it_has_ended(
    path: PostgresLocation, reader: Reader
) -> None:
    raw(path, "INSERT INTO account (name, provider) VALUES ('openai', 'openai')")
    with closing(postgres_kit.connect(path)) as slow:
        slow.execute("BEGIN")
        slow.execute("UPDATE account SET error = 'x'")
        before = [reader.data_version() for _ in range(4)][-1]
        assert reader.data_version() == before, "nothing has ended"
        slow.execute("COMMIT")
    after = reader.data_version()
    assert after != before
    assert reader.data_version() == after


def test_an_open_transaction_of_one_job_keeps_no_other_job_waiting(path: PostgresLocation) -> None:
    first, second = claimed(path, "one"), claimed(path, "two")
    with closing(postgres_kit.connect(path)) as frozen:
        frozen.execute("BEGIN")
        frozen.execute(f"UPDATE job SET lease_until = 1 WHERE id = {first.job_id}")
        began = time.monotonic()
        second.lease.write_items([ItemWrite("a", "ok")])
        second.lease.renew()
        assert time.monotonic() - began < 1.0
        first.lease.connection.set_busy_timeout(100)
        with pytest.raises(StoreBusy):
            first.lease.write_items([ItemWrite("a", "ok")])
        frozen.execute("ROLLBACK")
    first.lease.write_items([ItemWrite("a", "ok"), ItemWrite("a", "error"), ItemWrite("b", "skipped")])
    assert raw(path, "SELECT key, outcome, seq FROM item WHERE job_id = ? ORDER BY seq", (first.job_id,)) == [
        ("a", "error", 0),
        ("b", "skipped", 1),
    ]
    assert raw(path, "SELECT succeeded, failed FROM job WHERE id = ?", (first.job_id,)) == [(1, 1)]


def test_two_writers_take_turns_and_one_waits_no_longer_than_it_may(path: PostgresLocation) -> None:
    with (
        closing(postgres.connect_writer(path, "x")) as one,
        closing(postgres.connect_writer(path, "x")) as other,
    ):
        one.begin()
        other.set_busy_timeout(100)
        with pytest.raises(StoreBusy, match="busy"):
            other.begin()
        assert not other.in_transaction
        one.rollback()
        other.begin()
        other.commit()


@pytest.mark.slow
def test_a_program_frozen_in_a_transaction_loses_its_locks(path: PostgresLocation, writer: Writer) -> None:
    with closing(postgres.connect_writer(path, "x")) as frozen:
        frozen.begin()
        put(writer, remote())
        with pytest.raises(StoreAway):
            frozen.execute("SELECT 1")


def test_a_statement_can_be_stopped_from_another_thread(reader: Reader) -> None:
    stop = threading.Timer(0.2, reader.interrupt)
    stop.start()
    with pytest.raises(Interrupted):
        reader._all("SELECT pg_sleep(30)")
    assert reader.counts().total == 0


# ── texts and numbers ───────────────────────────────────────────────────────────────────────────────────────


def test_what_postgresql_cannot_keep_is_kept_as_near_as_can_be(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader, name="a\0b \ud800 ü\U0001f600", total=2**63 - 1)
    assert row.name == "a\N{REPLACEMENT CHARACTER}b ? ü\U0001f600"
    put(writer, remote("batch_1", name="a\0b", total=7, succeeded=7), at=START + 1)
    assert reader.rows([row.id])[row.id].total == 7


def test_names_are_ordered_by_their_bytes(writer: Writer, reader: Reader) -> None:
    put(writer, *(remote(name, name=name) for name in ("b", "B", "a", "ä", "Z", "z", "_")))
    page = reader.page(Scope(), Sort("name", descending=False))
    assert [row.name.lower() for row in page] == ["_", "a", "b", "b", "z", "z", "ä"]


# ── a server that is not there ──────────────────────────────────────────────────────────────────────────────


def test_a_store_that_was_not_made_is_not_made_by_the_way(path: PostgresLocation) -> None:
    for location in (
        replace(path, schema="other"),
        replace(path, url=path.url.replace("/jobs?", "/nothing?")),
    ):
        for use in (ensure_store, open_for_worker, Reader):
            with pytest.raises(StoreMissing, match="jobdash store init") as raised:
                use(location)
            assert raised.value.exit_code == 6
    assert raw(path, "SELECT count(*) FROM pg_namespace WHERE nspname = 'other'") == [(0,)]


def test_a_server_that_cannot_be_reached_is_away(path: PostgresLocation) -> None:
    with pytest.raises(StoreAway, match="does not answer"):
        ensure_store(PostgresLocation("postgresql://ann@127.0.0.1:1/jobs"))


def test_a_connection_that_was_lost_is_made_anew(
    path: PostgresLocation, writer: Writer, reader: Reader
) -> None:
    put(writer, remote())
    raw(path, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jobdash'")
    with pytest.raises(StoreAway):
        reader.counts()
    with pytest.raises(StoreAway):
        put(writer, remote("other"))
    began = time.monotonic()
    with pytest.raises(StoreAway):
        reader.counts()
    assert time.monotonic() - began < 0.1, "it is not tried again at once"
    until(lambda: _there(reader.counts))
    until(lambda: _there(lambda: put(writer, remote("other"))))
    assert reader.counts().total == 2


@pytest.mark.parametrize("closed", [False, True], ids=["by the server", "on the way"])
def test_a_write_on_a_lost_connection_leaves_the_driver_nothing_to_say(
    path: PostgresLocation, caplog: pytest.LogCaptureFixture, closed: bool
) -> None:
    """A script without logging would have it on its standard error, beside our own sentence."""
    with closing(open_for_worker(path)) as connection:
        assert isinstance(connection, postgres.Connection)
        if closed:
            with contextlib.closing(socket.socket(fileno=os.dup(connection.raw.fileno()))) as same:
                same.shutdown(socket.SHUT_RDWR)
        else:
            raw(
                path,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'jobdash'",
            )
        with pytest.raises(StoreAway):
            connection.write_job(1, "UPDATE job SET name = ? WHERE id = 1 RETURNING id", ["x" * 100_000])
    assert caplog.records == []


def _there(do: Callable[[], object]) -> bool:
    try:
        do()
    except StoreAway:
        return False
    return True


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[postgres_kit.Server]:
    """A server that a test may stop; its folder is short, as the name of a socket has to be."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="jobdash-pg-own-"))
    running = postgres_kit.start(folder)
    running.run("CREATE DATABASE jobs")
    yield running
    running.process.kill()
    running.process.wait(LONG)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_who_follows_a_store_is_told_that_it_is_away_and_that_it_is_back(
    own_server: postgres_kit.Server,
) -> None:
    location = PostgresLocation(own_server.url("jobs"))
    server_store.create(location)
    with Reader(location) as reader, Writer(location, HandClock(), actor()) as writer:
        put(writer, remote())
        reader.follow()
        until(lambda: reader.data_version() > 0)
        own_server.stop()
        until(lambda: reader.away_since is not None)
        version = reader.data_version()
        began = time.monotonic()
        for _ in range(100):
            with pytest.raises(StoreAway):
                reader.counts()
        assert time.monotonic() - began < 0.5
        again = postgres_kit.start(own_server.folder)
        try:
            until(lambda: reader.away_since is None)
            assert reader.data_version() != version
            until(lambda: _there(reader.counts))
            assert reader.counts().total == 1
        finally:
            again.process.kill()
            again.process.wait(LONG)


@pytest.mark.slow
def test_a_query_to_a_frozen_server_ends(own_server: postgres_kit.Server) -> None:
    location = PostgresLocation(own_server.url("jobs"))
    server_store.create(location)
    with Reader(location) as reader:
        reader.follow()
        until(lambda: reader.data_version() > 0)
        with psycopg.connect(own_server.url("jobs")) as asking:
            pids = [
                pid
                for (pid,) in asking.execute(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = 'jobdash'"
                )
            ]
        with stopped(pids):
            began = time.monotonic()
            with pytest.raises(StoreAway):
                reader.counts()
            assert time.monotonic() - began < 4.0
        until(lambda: _there(reader.counts))


# ── the store as a whole ────────────────────────────────────────────────────────────────────────────────────


def test_making_it_twice_makes_one(path: PostgresLocation) -> None:
    there = replace(path, schema="later")
    made: list[bool] = []
    makers = [threading.Thread(target=lambda: made.append(server_store.create(there))) for _ in range(4)]
    for maker in makers:
        maker.start()
    joined(*makers)
    assert sorted(made) == [False, False, False, True]
    assert check_store(there) == []


def test_a_role_that_may_read_cannot_write(path: PostgresLocation, writer: Writer) -> None:
    put(writer, remote())
    with contextlib.suppress(psycopg.errors.DuplicateObject):
        raw(path, "CREATE ROLE viewer LOGIN")
    postgres_admin.grant_reading(path, "viewer")
    seen = replace(path, url=path.url.replace("postgres@", "viewer@"))
    assert ensure_store(seen) == "this database role may only read"
    with Reader(seen) as reader:
        assert reader.counts().total == 1
        assert reader.data_version() > 0
        assert len(reader.page(Scope(), Sort())) == 1
    with (
        Writer(seen, HandClock(), actor()) as unable,
        pytest.raises(StoreReadOnly, match="cannot be written"),
    ):
        put(unable, remote("other"))
    with pytest.raises(StoreError, match="no database role nobody_here"):
        postgres_admin.grant_reading(path, "nobody_here")


def test_a_copy_is_the_same_there_and_back(path: PostgresLocation, writer: Writer, tmp_path: Path) -> None:
    put(writer, *(remote(f"batch_{number}", metadata={"a": "b\\c\t\n"}) for number in range(20)))
    put(writer, remote("done", Status.COMPLETED, total=3, succeeded=2, failed=1))
    run = claimed(path)
    run.lease.write_items(
        [ItemWrite("a", "ok", '"x"'), ItemWrite("b", "error", None, "ValueError", "tab\there")]
    )
    with pytest.raises(StoreError, match=r"1 running job writes to .* when it has ended or was cancelled"):
        copy_store(path, tmp_path / "copy.db")
    run.lease.finish("completed", "2 of 2 done")
    with Reader(path) as reader:
        first = reader.rows(range(1, 50)).values()
        writer.hide(ActionRequest(next(iter(first)).id, 0))
        before = facts(reader)
    file = tmp_path / "copy.db"
    assert copy_store(path, file) == 21
    assert check_store(path) == check_store(file) == []
    back = replace(path, schema="later")
    server_store.create(back)
    assert copy_store(file, back) == 21
    assert check_store(back) == []
    for location in (file, back):
        with Reader(location) as reader:
            assert facts(reader) == before
    with pytest.raises(StoreError, match="not empty"):
        copy_store(file, back)
    with pytest.raises(StoreError, match="into a new one"):
        copy_store(path, file)
    with Writer(back, HandClock(), actor()) as again, Reader(back) as reader:
        mark = reader.revision()
        put(again, remote("new"))
        assert [row.remote_id for row in reader.changed_since(mark)] == ["new"]


def facts(reader: Reader) -> list[object]:
    ids = range(1, 60)
    # A server returns rows in any order.
    rows = [replace(row, revision=0) for _, row in sorted(reader.rows(ids).items())]
    jobs = [job._replace(row=replace(job.row, revision=0)) for _, job in sorted(reader.jobs(ids).items())]
    items = [list(reader.iter_items(row.id)) for row in rows]
    return [rows, jobs, items, reader.events(), reader.counts().by_account, reader.accounts()]


def test_a_check_finds_what_does_not_agree(path: PostgresLocation, writer: Writer) -> None:
    put(writer, remote())
    raw(path, "UPDATE tally SET n = n + 1; UPDATE meta SET folded = 3")
    assert check_store(path) == [
        "the counts of jobs by account and tab: not as its rows have it",
        "the number of jobs that are folded: not as its rows have it",
    ]


def test_the_server_is_described(path: PostgresLocation, reader: Reader) -> None:
    found = reader.server()
    assert found is not None
    assert found.is_local
    assert (found.user, found.tls, found.has_foreign_revisions) == ("postgres", None, False)
    assert abs(found.clock_offset_ms) < 1000
    raw(path, "SELECT 1")
    assert found.size > 100_000


def test_a_clock_apart_from_the_servers_makes_no_difference(
    path: PostgresLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is compared between hosts is written by one clock: the server's."""
    wrong = time.time_ns
    monkeypatch.setattr(postgres.time, "time_ns", lambda: wrong() - 3_600 * 10**9)
    with Reader(path, lambda: postgres.time.time_ns() // 10**6) as reader:
        assert abs(reader.now - wrong() // 10**6) < 2000
