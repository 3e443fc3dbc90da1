"""Reading: pages in every order, counts, searches, and that none of it walks through history."""

from __future__ import annotations

import itertools
import random
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared.deadlines import joined
from shared.slices import rest_slow
from store_kit import HOUR, START, HandClock, actor, everything, one, put, raw, remote, remote_error

from jobdash.domain.filter.conditions import Conditions
from jobdash.domain.filter.language import parse
from jobdash.domain.job import JobRow
from jobdash.domain.status import TERMINAL, Status, Tab, tab_number
from jobdash.errors import StoreError
from jobdash.store.bootstrap import ensure_store
from jobdash.store.dialects.sqlite import connect_reader
from jobdash.store.reader import Interrupted, Reader, Scope, Sort
from jobdash.store.records import ActionRequest
from jobdash.store.sort_orders import SORT_ORDERS, KeysetWalk, SortKey, merged, walks
from jobdash.store.writer import Writer

SORTS = [Sort(order, descending) for order in SORT_ORDERS for descending in (True, False)]
SCOPES = [*(Scope(tab) for tab in Tab), Scope(removed=True), Scope(folded=True)]


def _in_scope(row: JobRow, scope: Scope) -> bool:
    number = tab_number(row.status, gone=row.gone_at is not None, removed=row.removed_at is not None)
    if scope.tab is Tab.ALL:
        return scope.removed or row.removed_at is None
    return number == scope.tab.number


def _drawn(reader: Reader, rows: list[JobRow], scope: Scope, sort: Sort) -> list[int]:
    """What a person ought to see: sorted in Python, ties by id in the same direction."""
    keyed = [(reader.key_of(row, sort).value, row.id) for row in rows if _in_scope(row, scope)]
    return [id_ for _, id_ in sorted(keyed, reverse=sort.descending)]


few = st.one_of(st.none(), st.integers(0, 3))
jobs_with_ties = st.lists(
    st.builds(
        dict,
        status=st.sampled_from(Status),
        name=st.sampled_from(["a", "A", "b", "ä", "Ä", "z"]),
        created_at=st.integers(0, 3),
        total=few,
        succeeded=few,
        failed=few,
    ),
    max_size=25,
)


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Writer, Reader]]:
    """One store for all examples of a property: each empties it."""
    path = tmp_path_factory.mktemp("pages") / "jobs.db"
    ensure_store(path)
    reader = Reader(path, HandClock())
    with Writer(path, HandClock(), actor()) as writer:
        yield path, writer, reader
    reader.close()


@settings(max_examples=40, deadline=None)
@given(jobs=jobs_with_ties, size=st.integers(1, 4), data=st.data())
@pytest.mark.slow
def test_pages_put_together_are_the_sorted_list(
    one_store: tuple[Path, Writer, Reader], jobs: list[dict[str, object]], size: int, data: st.DataObject
) -> None:
    path, writer, reader = one_store
    raw(path, "DELETE FROM job")
    put(writer, *(remote(f"batch_{n}", **facts) for n, facts in enumerate(jobs)))
    for row in everything(reader):
        if data.draw(st.integers(0, 5)) == 0:
            writer.hide(ActionRequest(row.id, row.fence))
    rows = everything(reader)
    assert len(rows) == len(jobs)
    for scope, sort in itertools.product(SCOPES, SORTS):
        expected = _drawn(reader, rows, scope, sort)
        assert _forwards(reader, scope, sort, size) == expected
        assert _backwards(reader, scope, sort, size) == expected
        total = reader.count(scope)
        assert total == len(expected)
        for offset in range(0, total, size):
            found = reader.page_at(scope, sort, offset, total, size)
            assert [row.id for row in found] == expected[offset : offset + size]
            assert reader.position(scope, sort, reader.key_of(found[0], sort)) == offset


def _forwards(reader: Reader, scope: Scope, sort: Sort, size: int) -> list[int]:
    ids: list[int] = []
    after: SortKey | None = None
    while found := reader.page(scope, sort, after, size):
        ids += [row.id for row in found]
        assert len(ids) < 100, "a page that never moves on"
        after = reader.key_of(found[-1], sort)
    return ids


def _backwards(reader: Reader, scope: Scope, sort: Sort, size: int) -> list[int]:
    ids: list[int] = []
    found = reader.page_from_end(scope, sort, size)
    while found:
        ids = [row.id for row in found] + ids
        assert len(ids) < 100, "a page that never moves on"
        found = reader.page_before(scope, sort, reader.key_of(found[0], sort), size)
    return ids


def _plan(path: Path, sql: str, values: list[str | int]) -> str:
    with closing(connect_reader(path)) as connection:
        steps = connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
    return "\n".join(detail for *_, detail in steps)


@pytest.mark.sqlite_only
@pytest.mark.parametrize("sort", SORTS, ids=lambda sort: f"{sort.order}-{sort.descending}")
@pytest.mark.parametrize(
    "scope", SCOPES, ids=lambda scope: f"{scope.tab}{'-removed' * scope.removed}{'-folded' * scope.folded}"
)
def test_every_page_is_read_by_key(one_store: tuple[Path, Writer, Reader], scope: Scope, sort: Sort) -> None:
    """No table is walked through and nothing is sorted, whatever the tab, the order and the direction."""
    path = one_store[0]
    for walk in _all_walks(scope, sort):
        for sql, values in (
            walk.page("id, name", None, 50),
            walk.page("id, name", SortKey(1, 1), 50),
            walk.count_in_front(SortKey(1, 1)),
        ):
            plan = _plan(path, sql, values)
            assert f"USING INDEX {walk.index}" in plan or f"USING COVERING INDEX {walk.index}" in plan
            assert "SCAN job" not in plan
            assert "TEMP B-TREE" not in plan
    for backwards in (False, True):
        plan = _plan(path, *merged(walks(scope, sort, START, backwards=backwards), 50, 1_000))
        assert "SCAN job" not in plan
        assert "TEMP B-TREE" not in plan


def _all_walks(scope: Scope, sort: Sort) -> list[KeysetWalk]:
    return walks(scope, sort, START) + walks(scope, sort, START, backwards=True)


@pytest.mark.sqlite_only
@pytest.mark.parametrize("scope", [Scope(folded=True), Scope(), Scope(Tab.FAILED)], ids=str)
def test_a_far_jump_reads_ids_from_the_index_alone(path: Path, scope: Scope) -> None:
    """SQLite opens the table, but every column it reads is one of the index's."""
    sql, values = merged(walks(scope, Sort("created"), START), 50, 500_000)
    with closing(connect_reader(path)) as connection:
        program = [(code, p1, p2) for _, code, p1, p2, *_ in connection.execute(f"EXPLAIN {sql}", values)]
    (root,) = raw(path, "SELECT rootpage FROM sqlite_master WHERE name = 'job'")[0]
    tables = [p1 for code, p1, p2 in program if code == "OpenRead" and p2 == root]
    assert tables
    for table in tables:
        assert not {code for code, p1, _ in program if p1 == table} & {"Column", "Rowid"}


@pytest.mark.sqlite_only
def test_other_frequent_reads_use_an_index(path: Path) -> None:
    for sql, index in (
        ("SELECT * FROM job WHERE revision > 5 ORDER BY revision LIMIT 10", "job_revision"),
        ("SELECT * FROM job WHERE public_id >= 'a' AND public_id < 'b'", "job_public_id"),
        ("SELECT * FROM job WHERE remote_id = 'x'", "job_identity"),
        ("SELECT * FROM job WHERE submit_key = 'x'", "job_submit_key"),
        ("SELECT * FROM job WHERE parent_id = 1", "job_parent"),
        ("SELECT * FROM intent WHERE closed_at IS NULL AND account = 'a'", "intent_open"),
        ("SELECT * FROM event WHERE job_id = 1 ORDER BY id DESC LIMIT 9", "event_job"),
    ):
        plan = _plan(path, sql, [])
        assert f"INDEX {index}" in plan
        assert "TEMP B-TREE" not in plan


FILTERS = [
    "name:two", "status:failed", "failed>0", "status:running two", "-status:completed", "total<3 name:o",
    "tag:x", "tag:x=1", "error:broken", "age>30m", "model:gpt,o3 failed>0", "removed:yes", "removed:no",
    "id:batch_1",
]  # fmt: skip


def _varied(writer: Writer) -> None:
    chance = random.Random(7)
    put(
        writer,
        *(
            remote(
                f"batch_{n}",
                chance.choice(list(Status)),
                name=chance.choice(["one", "two", "TWO and one", "_%_"]),
                created_at=START - chance.randrange(2 * HOUR),
                total=chance.choice([None, 2, 5]),
                failed=chance.choice([None, 0, 1]),
                model=chance.choice([None, "gpt-x", "o3"]),
                metadata=chance.choice([{}, {"x": "1"}, {"x": "2"}]),
                errors=chance.choice([(), (remote_error("it is broken"),)]),
            )
            for n in range(60)
        ),
    )


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A store with jobs of every kind, some of them removed."""
    path = tmp_path_factory.mktemp("varied") / "jobs.db"
    ensure_store(path)
    with Writer(path, HandClock(), actor()) as writer:
        _varied(writer)
        reader = Reader(path, HandClock())
        for row in everything(reader)[::7]:
            writer.hide(ActionRequest(row.id, row.fence))
    yield reader
    reader.close()


@pytest.mark.parametrize(
    "text", rest_slow(FILTERS, ["status:running two", "tag:x=1", "removed:yes", "total<3 name:o"])
)
def test_a_filter_means_the_same_to_the_store_and_to_one_job(
    varied: Reader, clock: HandClock, text: str
) -> None:
    reader = varied
    conditions = parse(text)
    for tab in Tab if not conditions.removed else [Tab.ALL]:
        scope = Scope(tab, conditions)
        base = Scope(tab, removed=conditions.removed)
        expected = {
            row.id
            for row in everything(reader)
            if _in_scope(row, base) and _passes(reader, row, conditions, clock)
        }
        assert reader.count(scope) == len(expected)
        assert {row.id for row in everything(reader) if reader.matches(row.id, scope)} == expected
        for sort in SORTS:
            drawn = [id_ for id_ in _drawn(reader, everything(reader), base, sort) if id_ in expected]
            assert reader.search(scope, sort) == drawn
            assert [id_ for ids in reader.iter_ids(scope, sort, batch=7) for id_ in ids] == drawn
            assert _forwards(reader, scope, sort, 9) == drawn


def _passes(reader: Reader, row: JobRow, conditions: Conditions, clock: HandClock) -> bool:
    job = reader.job(row.id)
    assert job is not None
    return conditions.matches(row, job.tags, clock())


def test_a_search_for_text_takes_the_newest_matches_and_draws_them_in_order(
    writer: Writer, reader: Reader
) -> None:
    names = ["b needle", "hay", "c needle", "a needle"]
    put(writer, *(remote(f"batch_{n}", name=name) for n, name in enumerate(names)))
    first, _, third, fourth = sorted(row.id for row in everything(reader))
    scope = Scope(Tab.ALL, parse("needle"))
    by_name = Sort("name", descending=False)
    assert reader.search(scope, by_name, limit=3) == [fourth, first, third]
    assert reader.search(scope, by_name, limit=2) == [fourth, third]


@pytest.mark.sqlite_only
def test_a_search_can_be_stopped_from_another_thread(path: Path, reader: Reader) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    started = threading.Event()
    reader._connection.set_progress_handler(started.set, 100)

    def stop() -> None:
        started.wait()
        reader.interrupt()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(Interrupted):
        reader._all(endless)
    joined(thread)
    reader._connection.set_progress_handler(None, 0)
    assert reader.counts().total == 0, "the next question is answered again"


def test_counts_are_kept_by_tab_and_account(writer: Writer, reader: Reader) -> None:
    put(writer, remote("a", Status.FAILED), remote("b", Status.PENDING), remote("c", Status.UNKNOWN))
    put(writer, remote("d", Status.VALIDATING), remote("e"), account="work")
    (hidden,) = reader.by_remote("e")
    writer.hide(ActionRequest(hidden.id, 0))
    counts = reader.counts()
    assert (counts.total, counts.unfinished) == (4, 3)
    assert {tab: n for tab, n in counts.by_tab.items() if n} == {
        Tab.ALL: 4,
        Tab.FAILED: 1,
        Tab.PENDING: 1,
        Tab.RUNNING: 2,
    }
    assert counts.by_account["work"][Tab.RUNNING] == counts.by_account["work"][Tab.ALL] == 1
    assert counts.revision == reader.revision()
    assert (reader.count(Scope()), reader.count(Scope(removed=True))) == (4, 5)


def test_an_empty_store_has_nothing(reader: Reader) -> None:
    assert (reader.counts().total, reader.changed_since(0)) == (0, [])
    assert reader.page(Scope(), Sort()) == reader.page_at(Scope(), Sort(), 0, 0, 50) == []
    assert list(reader.iter_ids(Scope())) == []
    assert reader.job(1) is None
    assert reader.last_undoable("ann@desk") is None


def test_changes_come_by_revision_removed_ones_too(writer: Writer, reader: Reader) -> None:
    put(writer, *(remote(f"batch_{n}") for n in range(3)))
    version, revision = reader.data_version(), reader.revision()
    first = everything(reader)[0]
    writer.hide(ActionRequest(first.id, 0))
    assert reader.data_version() != version
    assert [row.id for row in reader.changed_since(revision)] == [first.id]
    newest, older = reader.changed_since(0, limit=5)[-1], reader.changed_since(0, limit=2)
    assert newest.id == first.id
    assert older[0].revision <= older[1].revision <= revision < newest.revision


def test_a_job_is_found_by_its_ids(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    assert reader.by_public(row.public_id[:3].upper()) == [row]
    assert reader.by_public("") == [row]
    assert reader.by_remote("batch_1") == [row]
    assert reader.rows([row.id, 99]) == {row.id: row}
    assert len(reader.rows(range(2000))) == 1


def test_errors_are_grouped_by_code_or_message(writer: Writer, reader: Reader) -> None:
    errors = [remote_error("too big", "size"), remote_error("bigger", "size"), remote_error("odd")]
    row = one(writer, reader, Status.FAILED, errors=tuple(errors))
    assert row.error == "too big"
    assert reader.errors_summary(row.id) == [("size", 2), ("odd", 1)]
    put(writer, remote("batch_2"))
    assert reader.errors_summary(reader.by_remote("batch_2")[0].id) == []


def test_jobs_to_ask_singly_are_those_whose_remote_word_is_open(
    writer: Writer, reader: Reader, clock: HandClock
) -> None:
    put(writer, remote("old"), remote("forced"), remote("done", Status.COMPLETED), at=START)
    put(writer, remote("hidden"), remote("asked"), remote("elsewhere"), at=START)
    put(writer, remote("fresh"), at=START + HOUR)
    by_word = {row.remote_id: row for row in everything(reader)}
    writer.force_fail(ActionRequest(by_word["forced"].id, 0))
    for word in ("hidden", "asked"):
        row = by_word[word]
        if word == "asked":
            writer.begin_cancel(ActionRequest(row.id, 0), deadline=START)
        writer.hide(ActionRequest(row.id, 0))
    raw(reader.location, "UPDATE job SET account = 'work' WHERE remote_id = 'elsewhere'")
    clock.now = START + HOUR
    found = reader.unfinished_remotely("openai", seen_before=START + 1)
    assert {(row.remote_id, seen_at) for row, seen_at in found} == {
        ("old", START),
        ("forced", START),
        ("asked", START),
    }
    assert all(row.remote_status not in TERMINAL for row, _ in found)


def test_a_job_seen_by_a_clock_that_was_set_back_is_asked_at_once(
    writer: Writer, reader: Reader, clock: HandClock
) -> None:
    put(writer, remote("ahead"), at=START + 365 * 24 * HOUR)
    put(writer, remote("now"), at=START)
    found = reader.unfinished_remotely("openai", seen_before=START)
    assert [(row.remote_id, seen_at) for row, seen_at in found] == [("ahead", 0)]


@pytest.mark.sqlite_only
def test_a_store_that_went_away_is_reported(path: Path, reader: Reader) -> None:
    raw(path, "DROP TABLE tally")
    with pytest.raises(StoreError, match="is not a jobdash store"):
        reader.counts()


def test_one_reader_serves_several_threads_in_turn(writer: Writer, reader: Reader) -> None:
    row = one(writer, reader)
    found: list[list[JobRow]] = []
    thread = threading.Thread(target=lambda: found.append(reader.by_remote("batch_1")))
    thread.start()
    joined(thread)
    assert found == [[row]]
    assert sqlite3.threadsafety
