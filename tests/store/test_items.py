"""The items of a local job: pages in both directions, far jumps, counts, errors in groups, attempts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from shared.local_kit import ELSEWHERE, LAPSED, Run, begin
from store_kit import raw

from jobdash.domain.items import ItemRow, ItemStatus
from jobdash.store.location import beside
from jobdash.store.reader import Reader

OK, ERROR, SKIPPED, WAITING = ItemStatus.OK, ItemStatus.ERROR, ItemStatus.SKIPPED, ItemStatus.WAITING
MIXED = ["ok", "error", "ok", "skipped", "ok", "error"]


@pytest.fixture
def looks(path: Path) -> Reader:
    return Reader(path)


@pytest.fixture
def run(path: Path) -> Run:
    """Six items done, four more expected."""
    made = begin(path, total=10)
    made.expects(10)
    made.did(*MIXED)
    return made


def seqs(items: Sequence[ItemRow]) -> list[int]:
    return [item.seq for item in items]


def test_pages_follow_each_other_in_both_directions(looks: Reader, run: Run) -> None:  # C-1
    assert seqs(looks.items(run.id, limit=4)) == [0, 1, 2, 3]
    assert seqs(looks.items(run.id, after=3, limit=4)) == [4, 5, 6, 7]
    assert seqs(looks.items_before(run.id, before=4, limit=3)) == [1, 2, 3]
    assert seqs(looks.items_before(run.id, limit=2)) == [8, 9]
    assert looks.items(run.id, after=9) == []


def test_pages_of_one_outcome(looks: Reader, run: Run) -> None:  # C-1
    assert seqs(looks.items(run.id, OK)) == [0, 2, 4]
    assert seqs(looks.items(run.id, OK, after=0, limit=1)) == [2]
    assert seqs(looks.items_before(run.id, OK, before=4, limit=1)) == [2]
    assert seqs(looks.items(run.id, WAITING)) == [6, 7, 8, 9]  # C-13: the list of the unprocessed


@pytest.mark.parametrize("offset", range(4))
def test_a_far_jump_is_where_a_walk_would_have_come(looks: Reader, run: Run, offset: int) -> None:
    assert seqs(looks.items_at(run.id, None, offset, 10, 2)) == [offset, offset + 1]
    for outcome in (OK, WAITING):
        walked = looks.items(run.id, outcome)
        assert looks.items_at(run.id, outcome, offset, len(walked), 2) == walked[offset : offset + 2]
    assert looks.item_position(run.id, None, offset) == offset
    assert looks.item_position(run.id, WAITING, 6 + offset) == offset


def test_an_item_has_what_the_script_gave_it(looks: Reader, run: Run) -> None:  # C-1 D-8
    item = looks.items(run.id, ERROR)[0]
    values = (item.key, item.detail, item.error_type, item.error, item.attempt)
    assert values == ("key 1", '"12 KB"', "ValueError", "no such colour", 1)


@pytest.mark.sqlite_only
def test_counts_are_those_of_the_items_and_not_counted(
    looks: Reader, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    read = looks._all

    def noted(sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        asked.append(sql)
        return read(sql, values)

    monkeypatch.setattr(looks, "_all", noted)
    assert looks.item_counts(run.id) == {WAITING: 4, OK: 3, ERROR: 2, SKIPPED: 1}
    assert len(asked) == 1
    steps = " ".join(str(step[3]) for step in read(f"EXPLAIN QUERY PLAN {asked[0]}", (run.id,)))
    assert "SCAN" not in steps


def test_counts_of_a_run_without_keys_are_not_taken_for_items(looks: Reader, path: Path) -> None:
    run = begin(path, keyed=False, total=10)
    run.claimed.lease.write_counts(4, 1)
    assert set(looks.item_counts(run.id).values()) == {0}
    assert looks.have_items([run.id]) == set()


def test_counts_that_are_not_the_items_are_mended_by_counting(looks: Reader, run: Run, path: Path) -> None:
    raw(path, "UPDATE job SET succeeded = 99")
    assert looks.item_counts(run.id) == {WAITING: 4, OK: 3, ERROR: 2, SKIPPED: 1}


def test_only_jobs_with_something_done_have_results(looks: Reader, path: Path, run: Run) -> None:  # D-3
    other = begin(path, "other")
    other.expects(3)
    assert looks.have_items([run.id, other.id]) == {run.id}


def test_results_are_streamed_without_what_waits(looks: Reader, run: Run) -> None:
    assert seqs(list(looks.iter_items(run.id))) == [0, 1, 2, 3, 4, 5]
    assert seqs(list(looks.iter_items(run.id, waiting=True))) == list(range(10))


def test_errors_are_grouped_by_their_words(looks: Reader, path: Path, run: Run) -> None:  # C-1
    raw(path, "UPDATE item SET error_type = 'OSError', error = 'full' WHERE seq = 0")
    raw(path, "UPDATE item SET outcome = 'error' WHERE seq = 0")
    errors = looks.item_errors(run.id)
    found = [(group.error_type, group.error, group.count, group.first) for group in errors.groups]
    assert found == [("ValueError", "no such colour", 2, 1), ("OSError", "full", 1, 0)]
    assert (errors.examined, errors.complete) == (3, True)
    assert not looks.item_errors(run.id, most=2).complete


def test_attempts_come_newest_first(looks: Reader, path: Path) -> None:
    first = begin(path, argv=["python", "x.py"], cwd=beside(path).parent, log_file="/x.log", unit="files")
    first.ends("failed")
    second = begin(path, owner=ELSEWHERE, lease_ms=LAPSED)
    newest, oldest = looks.attempts(second.id)
    assert second.id == first.id
    assert (newest.number, newest.fence, newest.pid, newest.ended) == (2, 3, 4711, None)
    assert (oldest.argv, oldest.cwd, oldest.log_file) == (
        ("python", "x.py"),
        str(beside(path).parent),
        "/x.log",
    )
    assert (oldest.unit, oldest.keyed, oldest.ended) == ("files", True, "failed by the test")
    assert looks.last_attempts([first.id]) == {first.id: newest}
    assert looks.owners([first.id]) == {first.id: ELSEWHERE.encode()}


def test_live_and_lost_leases_are_counted_apart(looks: Reader, path: Path) -> None:
    for name, lease in (("a", 60_000), ("b", LAPSED), ("c", 60_000)):
        begin(path, name, lease_ms=lease, owner=ELSEWHERE)
    begin(path, "d").ends()
    assert looks.leases(looks._clock()) == (2, 1)


@pytest.mark.sqlite_only
def test_every_page_is_read_from_an_index(looks: Reader, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Sequence[Any]]] = []
    read = looks._all

    def noted(sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        asked.append((sql, values))
        return read(sql, values)

    monkeypatch.setattr(looks, "_all", noted)
    for outcome in (None, OK):
        looks.items(run.id, outcome)
        looks.items_before(run.id, outcome)
        looks.items_at(run.id, outcome, 2, 3)
    for sql, values in asked:
        steps = [str(step[3]) for step in read(f"EXPLAIN QUERY PLAN {sql}", values)]
        assert not any("SCAN" in step or "TEMP B-TREE" in step for step in steps), (sql, steps)


@pytest.mark.sqlite_only
def test_a_few_errors_among_very_many_items_are_found_without_going_through_all(
    path: Path, looks: Reader
) -> None:
    steps: list[int] = []
    for name, number in (("small", 100), ("large", 10_000)):
        made = begin(path, name)
        made.did(*["ok"] * number, "error")
        calls = count()
        looks._connection.set_progress_handler(lambda calls=calls: next(calls) < 0, 100)  # type: ignore[misc]
        assert looks.item_errors(made.id).groups[0].first == number
        looks._connection.set_progress_handler(None, 0)
        steps.append(next(calls))
    assert steps[1] <= steps[0] + 5
