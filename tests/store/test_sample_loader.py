"""Samples: a store filled in one go is a store like any other."""

from __future__ import annotations

import random
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_kit import START, HandClock, actor, put, raw, remote

from jobdash.domain.filter.language import parse
from jobdash.domain.job import JobRow
from jobdash.domain.status import Status, Tab
from jobdash.errors import StoreError
from jobdash.store.bootstrap import ensure_store
from jobdash.store.reader import Reader
from jobdash.store.records import ActionRequest
from jobdash.store.sample_loader import SAMPLE_COLUMNS, SampleRow, build_sample_store
from jobdash.store.sort_orders import SORT_ORDERS, Scope, Sort
from jobdash.store.writer import Writer

pytestmark = pytest.mark.sqlite_only


def sample_rows(count: int) -> Iterator[SampleRow]:
    chance = random.Random(3)
    words = ["completed"] * 90 + ["failed"] * 6 + ["expired"] * 3 + ["in_progress"]
    for n in range(count):
        word, created, total = chance.choice(words), START - n * 1000, chance.randrange(1, 50_000)
        values = {
            "provider": "openai",
            "account": ("openai", "work")[n % 2],
            "origin": "https://api.example/v1",
            "remote_id": f"batch_{n:024x}",
            "name": f"{chance.choice(['nightly-eval', 'catalogue-tags', 'embed'])} {n % 1000}",
            "remote_status": word,
            "raw_status": word,
            "model": "gpt-x",
            "total": total,
            "succeeded": total // 2,
            "failed": chance.choice([0, 0, 12]),
            "created_at": created,
            "updated_at": created + 5,
            "seen_at": START,
        }
        yield tuple(values.get(column) for column in SAMPLE_COLUMNS)


def test_a_sample_store_is_a_store_like_any_other(path: Path, tmp_path: Path) -> None:
    sample = tmp_path / "samples" / "jobs.db"
    assert build_sample_store(sample, sample_rows(500)) == 500
    assert stat.S_IMODE(sample.stat().st_mode) == 0o600
    assert ensure_store(sample) is None
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2"
    assert raw(sample, schema) == raw(path, schema)
    assert raw(sample, "PRAGMA journal_mode") == [("wal",)]
    reader = Reader(sample)
    counts = reader.counts()
    assert (counts.total, counts.revision) == (500, 500)
    counted = raw(sample, "SELECT count(*) FROM job WHERE tab = ?", [Tab.FAILED.number])
    assert [(counts.by_tab[Tab.FAILED],)] == counted
    with Writer(sample, HandClock(), actor()) as writer:
        put(writer, remote("new"))
        assert reader.counts().revision == 501


def test_a_store_that_is_there_is_not_filled(path: Path, writer: Writer) -> None:
    put(writer, remote())
    with pytest.raises(StoreError, match="exists already"):
        build_sample_store(path, sample_rows(1))
    assert raw(path, "SELECT count(*) FROM job") == [(1,)]


def test_rows_that_cannot_be_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    with pytest.raises(StoreError):
        build_sample_store(path, [(None,) * len(SAMPLE_COLUMNS)])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    path = tmp_path_factory.mktemp("million") / "jobs.db"
    started = time.process_time()  # of this process: what else the machine is at does not count
    build_sample_store(path, sample_rows(1_000_000))
    return path, time.process_time() - started


@pytest.mark.slow
def test_cost_does_not_grow_with_history(million: tuple[Path, float]) -> None:
    """Generous bounds: what they catch is a walk through a million rows, not a slow machine."""
    path, built = million
    assert built < 120
    reader = Reader(path)
    assert _seconds(reader.counts) < 0.005
    for order in SORT_ORDERS:
        for sort in (Sort(order, True), Sort(order, False)):
            middle = reader.page_at(Scope(), sort, 500_000, 1_000_000, 50)
            key = reader.key_of(middle[25], sort)
            assert _seconds(lambda sort=sort: reader.page(Scope(), sort, None, 50)) < 0.01
            assert _seconds(lambda sort=sort, key=key: reader.page(Scope(), sort, key, 50)) < 0.01
            assert _seconds(lambda sort=sort, key=key: reader.page_before(Scope(), sort, key, 50)) < 0.01
            assert _seconds(lambda sort=sort: reader.page_from_end(Scope(), sort, 50)) < 0.01
    assert _seconds(lambda: reader.search(Scope(Tab.ALL, parse("zzzz")), Sort("name"))) < 1.5
    with Writer(path, HandClock(), actor()) as writer:
        known = [remote(f"batch_{n:024x}", Status.COMPLETED) for n in range(100)]
        assert _seconds(lambda: put(writer, *known)) < 0.2
        (row,) = reader.by_remote(f"batch_{5:024x}")

        def remove_and_undo() -> None:
            hidden = writer.hide(ActionRequest(row.id, reader.rows([row.id])[row.id].fence))
            assert isinstance(hidden, JobRow)
            action = reader.last_undoable("ann@desk")
            assert action is not None
            writer.undo(action)

        assert _seconds(remove_and_undo) < 0.1


def _seconds(call: object) -> float:
    """The best of three: the first one reads from the disk."""
    assert callable(call)
    times = []
    for _ in range(3):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)
