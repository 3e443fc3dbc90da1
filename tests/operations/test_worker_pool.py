"""A worker at its jobs: what it does, how it ends, and what comes of others' hands on them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shared.deadlines import joined

import jobdash
from jobdash.errors import StoreError
from jobdash.operations.scripts.worker_pool import PoolOptions, WorkerPool
from jobdash.store.bootstrap import ensure_store, open_for_worker
from jobdash.store.dialects import sqlite
from jobdash.store.leases.part_lease import PartLease
from jobdash.store.leases.parts import PartKey, cancel_job, claim_part, due
from jobdash.store.owner import current_owner
from jobdash.worker.functions import JobFunction, Submitted, submit
from jobdash.worker.part_run import PartEnd, run_part

DEADLINE_S = 30.0


class ThreadEngine:
    """Delivers keys to threads of this process: the least that an engine is."""

    def __init__(self) -> None:
        self.delivered: list[str] = []
        self.dispatches = 0
        self._known: set[str] = set()
        self._threads: ThreadPoolExecutor | None = None

    def start(self, handle: Callable[[str], None], concurrency: int) -> None:
        self._handle = handle
        self._threads = ThreadPoolExecutor(concurrency)

    def dispatch(self, keys: Sequence[str]) -> None:
        assert self._threads is not None
        self.dispatches += 1
        for key in keys:
            if key not in self._known:
                self._known.add(key)
                self.delivered.append(key)
                self._threads.submit(self._deliver, key)

    def _deliver(self, key: str) -> None:
        self._handle(key)
        self._known.discard(key)

    def forget(self, jobs: Sequence[str]) -> None:
        self._known = {key for key in self._known if key.partition(".")[0] not in jobs}

    def stop(self, patience_s: float) -> None:
        assert self._threads is not None
        self._threads.shutdown(cancel_futures=True)


class Bench:
    """A store, and workers over it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log: list[str] = []
        self.engine = ThreadEngine()

    def pool(self, *functions: JobFunction[..., Any], **more: Any) -> WorkerPool:
        options = {"lease_ms": 30_000, "concurrency": 2, "once": True, **more}
        known = {function.identity: function for function in functions}
        return WorkerPool(PoolOptions(self.path, known, **options), self.engine, self.log.append)

    def run(self, *functions: JobFunction[..., Any], **more: Any) -> None:
        self.pool(*functions, **more).run()

    def submit(self, function: JobFunction[..., Any], items: Any, **more: Any) -> Submitted:
        return submit(function, items, db=self.path, **more)

    def cancel(self, sent: Submitted) -> None:
        with closing(open_for_worker(self.path)) as connection:
            cancel_job(connection, sent.id, "bob@desk", "enough")

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(open_for_worker(self.path)) as connection:
            return list(connection.execute(sql))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    path = tmp_path / "d" / "jobs.db"
    ensure_store(path)
    monkeypatch.setattr("jobdash.operations.scripts.worker_pool.TICK_S", 0.02)
    monkeypatch.setattr("jobdash.operations.scripts.worker_pool.IDLE_TICK_S", 0.02)
    monkeypatch.setenv("JOBDASH_CONFIG", str(tmp_path / "none.toml"))
    (tmp_path / "none.toml").touch()
    return Bench(path)


def until(done: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not done():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


@jobdash.job
def double(number: int) -> int:
    if number % 10 == 9:
        raise ValueError(f"no such number: {number}")
    return number * 2


def test_items_are_done_and_their_outcomes_kept(bench: Bench) -> None:
    sent = bench.submit(double, range(30), parts=3)
    bench.run(double)
    end = sent.wait(0)
    assert (end.status, end.succeeded, end.failed, end.total) == ("completed", 27, 3, 30)
    results = list(sent.results())
    assert [(each.key, each.value) for each in results[:2]] == [("0", 0), ("1", 2)]
    assert (results[9].outcome, results[9].error) == ("error", "ValueError: no such number: 9")
    assert sorted(line.partition(", ")[2] for line in bench.log[1:]) == [
        "part 1: done",
        "part 2: done",
        "part 3: done",
    ]


def test_a_function_of_another_module_is_left_alone(bench: Bench) -> None:
    @jobdash.job
    def other(number: int) -> int:
        return number

    sent = bench.submit(double, range(3))
    bench.run(other)
    assert bench.ask(f"SELECT status FROM job WHERE public_id = '{sent.id}'") == [("pending",)]


def test_the_token_is_given_where_it_is_wanted_and_tells_of_a_cancel(bench: Bench) -> None:
    seen: list[int] = []
    running = threading.Event()

    @jobdash.job
    def slow(number: int, token: jobdash.Token) -> None:
        seen.append(number)
        running.set()
        until(lambda: token.cancelled)
        token.raise_if_cancelled()

    slow.identity = "module:slow"
    sent = bench.submit(slow, range(5), parts=1)
    worker = threading.Thread(target=bench.run, args=(slow,))
    worker.start()
    assert running.wait(DEADLINE_S)
    bench.cancel(sent)
    worker.join(DEADLINE_S)
    assert sent.wait(0).status == "cancelled"
    assert seen == [0]
    assert [each.outcome for each in sent.results()] == ["waiting"] * 5  # it was not done


def test_too_many_errors_end_the_job(bench: Bench) -> None:
    @jobdash.job(max_errors=2)
    def bad(number: int) -> None:
        raise KeyError(number)

    bad.identity = "module:bad"
    sent = bench.submit(bad, range(50), parts=2)
    bench.run(bad)
    end = sent.wait(0)
    assert end.status == "failed"
    assert end.error is not None
    assert "more than 2 items failed, the last with KeyError" in end.error
    assert 3 <= end.failed <= 4


def test_an_error_that_is_raised_ends_the_job_with_it(bench: Bench) -> None:
    @jobdash.job(on_error="raise")
    def strict(number: int) -> int:
        return 1 // number

    strict.identity = "module:strict"
    sent = bench.submit(strict, [2, 1, 0, 5], parts=1)
    bench.run(strict)
    end = sent.wait(0)
    assert (end.status, end.succeeded, end.failed) == ("failed", 2, 1)
    assert end.error is not None
    assert end.error.startswith("ZeroDivisionError")


def test_draining_gives_parts_back(bench: Bench) -> None:
    begun = threading.Event()
    go_on = threading.Event()

    @jobdash.job
    def slow(number: int) -> int:
        begun.set()
        assert go_on.wait(DEADLINE_S)
        return number

    slow.identity = "module:slow"
    sent = bench.submit(slow, range(4), parts=1)
    pool = bench.pool(slow, once=False)
    worker = threading.Thread(target=pool.run)
    worker.start()
    assert begun.wait(DEADLINE_S)
    pool.drain()
    go_on.set()
    worker.join(DEADLINE_S)
    assert bench.ask("SELECT status, succeeded FROM job") == [("pending", 1)]
    bench.engine = ThreadEngine()
    bench.run(slow)
    assert sent.wait(0).succeeded == 4


@pytest.mark.parametrize("result", [object(), float("nan"), "x" * 20_000])
def test_a_result_that_is_no_json_is_an_error_of_its_item(bench: Bench, result: object) -> None:
    @jobdash.job
    def odd(number: int) -> object:
        return result if number == 1 else number

    odd.identity = "module:odd"
    sent = bench.submit(odd, range(3))
    bench.run(odd)
    assert [each.outcome for each in sent.results()] == ["ok", "error", "ok"]


def test_a_function_that_exits_loses_its_item_alone(bench: Bench) -> None:
    @jobdash.job
    def leaves(number: int) -> int:
        if number == 1:
            raise SystemExit(3)
        return number

    leaves.identity = "module:leaves"
    sent = bench.submit(leaves, range(3))
    bench.run(leaves)
    assert [each.outcome for each in sent.results()] == ["ok", "error", "ok"]


def test_a_key_that_is_delivered_twice_or_late_does_nothing(bench: Bench) -> None:
    sent = bench.submit(double, range(3))
    bench.run(double)
    (key, *_) = bench.engine.delivered
    pool = bench.pool(double)
    for text in (key, "nonsense", f"{sent.id}.9.9.9"):
        pool._handle(text)
    assert bench.ask("SELECT succeeded, failed FROM job") == [(3, 0)]
    assert bench.ask("SELECT count(*) FROM attempt") == [(1,)]


def test_a_worker_that_lost_its_part_writes_nothing_more_and_takes_others(bench: Bench) -> None:
    begun, go_on = threading.Event(), threading.Event()
    done: list[int] = []

    @jobdash.job
    def slow(number: int) -> int:
        if number == 0:
            begun.set()
            assert go_on.wait(DEADLINE_S)
        done.append(number)
        return number

    slow.identity = "module:slow"
    sent = bench.submit(slow, range(4), parts=2)
    worker = threading.Thread(target=bench.run, args=(slow,), kwargs={"concurrency": 1})
    worker.start()
    assert begun.wait(DEADLINE_S)
    with closing(open_for_worker(bench.path)) as connection:
        connection.execute("UPDATE part SET fence = fence + 1, owner = 'x' WHERE number = 0")
        connection.execute("UPDATE part SET lease_until = now_ms() WHERE number = 0")
    go_on.set()
    worker.join(DEADLINE_S)
    assert sent.wait(0).succeeded == 4
    assert done.count(0) == 2  # the first outcome was refused
    assert any("lost: goes on elsewhere: its part 1 was taken over" in line for line in bench.log)


def test_two_workers_share_a_job(bench: Bench) -> None:
    sent = bench.submit(double, range(80), parts=8)
    others = [Bench(bench.path) for _ in range(2)]
    threads = [threading.Thread(target=other.run, args=(double,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    end = sent.wait(0)
    assert (end.status, end.succeeded, end.failed) == ("completed", 72, 8)
    assert bench.ask("SELECT count(*) FROM part WHERE done_at IS NULL") == [(0,)]


def keys_of(bench: Bench, function: JobFunction[..., Any]) -> list[PartKey]:
    with closing(open_for_worker(bench.path)) as connection:
        return due(connection, [function.identity], 100)


def hold(
    bench: Bench, key: PartKey, function: JobFunction[..., Any], lease_ms: int, pid: int = 4711
) -> PartLease:
    """Let a worker on another computer hold a part."""
    owner = replace(current_owner(), machine="elsewhere", pid=pid)
    claimed = claim_part(open_for_worker(bench.path), key, owner, "bob@desk", lease_ms, {function.identity})
    assert claimed is not None
    return claimed.lease


def named(function: JobFunction[..., Any]) -> JobFunction[..., Any]:
    """A function of a test, named as one of a module."""
    function.identity = f"module:{function.name}"
    return function


def test_what_runs_behind_the_loss_of_the_store_is_not_called_done(bench: Bench) -> None:
    ran: list[int] = []

    @named
    @jobdash.job
    def moves(number: int, token: jobdash.Token) -> None:
        ran.append(number)
        for file in bench.path.parent.glob("jobs.db*"):
            file.rename(file.with_name(f"moved-{file.name}"))
        ensure_store(bench.path)
        until(lambda: token.cancelled)

    bench.submit(moves, range(6), parts=1)
    (key,) = keys_of(bench, moves)
    functions = {moves.identity: moves}
    done = run_part(str(key), functions, bench.path, 30_000, threading.Event())
    assert done.end is PartEnd.LOST
    assert "was deleted, moved or replaced" in done.words
    assert ran == [0]


@pytest.mark.parametrize("error", [asyncio.CancelledError(), jobdash.JobCancelled(), BaseException("odd")])
def test_whatever_a_function_raises_is_its_items(bench: Bench, error: BaseException) -> None:
    @named
    @jobdash.job
    def raises(number: int) -> None:
        raise error

    sent = bench.submit(raises, range(2), parts=1)
    bench.run(raises)
    assert [each.outcome for each in sent.results()] == ["error", "error"]
    assert bench.ask("SELECT count(*) FROM event WHERE action = 'start'") == [(1,)]


def test_a_worker_without_the_function_changes_nothing(bench: Bench) -> None:
    bench.submit(double, [1])
    (key,) = keys_of(bench, double)
    before = (
        bench.ask("SELECT status, started_at, fence FROM job"),
        bench.ask("SELECT fence, owner FROM part"),
    )
    assert run_part(str(key), {}, bench.path, 30_000, threading.Event()).end is PartEnd.STALE
    after = bench.ask("SELECT status, started_at, fence FROM job"), bench.ask("SELECT fence, owner FROM part")
    assert after == before
    assert bench.ask("SELECT count(*) FROM event WHERE action = 'start'") == [(0,)]


def test_a_cancel_that_no_worker_can_answer_is_closed_by_another(bench: Bench) -> None:
    sent = bench.submit(double, range(2), parts=2)
    hold(bench, keys_of(bench, double)[0], double, 300)
    sent.cancel()
    assert bench.ask("SELECT status FROM job") == [("cancelling",)]
    assert sent.wait(DEADLINE_S).status == "cancelled"


def test_the_last_living_worker_of_a_cancelled_job_ends_it(bench: Bench) -> None:
    sent = bench.submit(double, range(2), parts=2)
    one, two = keys_of(bench, double)
    hold(bench, one, double, 1)
    live = hold(bench, two, double, 30_000, pid=4712)
    sent.cancel()
    live.end_part(done=False)
    assert bench.ask("SELECT status FROM job") == [("cancelled",)]


def test_once_waits_for_the_part_of_a_worker_that_is_gone(bench: Bench) -> None:
    sent = bench.submit(double, range(2), parts=2)
    hold(bench, keys_of(bench, double)[0], double, 700)
    bench.run(double)
    assert sent.wait(0).succeeded == 2


def test_a_store_that_is_replaced_ends_the_worker(bench: Bench) -> None:
    failed: list[StoreError] = []

    def run() -> None:
        try:
            bench.run(double, once=False)
        except StoreError as error:
            failed.append(error)

    worker = threading.Thread(target=run)
    worker.start()
    until(lambda: bench.engine._threads is not None)
    for file in bench.path.parent.glob("jobs.db*"):
        file.unlink()
    ensure_store(bench.path)
    worker.join(DEADLINE_S)
    assert len(failed) == 1


def test_an_engine_that_calls_too_often_is_declined(bench: Bench) -> None:
    sent = bench.submit(double, range(6), parts=6)
    keys = keys_of(bench, double)
    pool = bench.pool(double, concurrency=1)
    assert pool._room.acquire(blocking=False)
    pool._handle(str(keys[0]))
    assert bench.ask("SELECT count(*) FROM part WHERE done_at IS NOT NULL") == [(0,)]
    pool._room.release()
    pool.run()
    assert sent.wait(0).status == "completed"


def test_a_part_that_has_cost_two_workers_is_done_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobdash.operations.scripts.worker_pool._AGAIN_S", 0.02)
    running: set[int] = set()
    beside: list[set[int]] = []

    @jobdash.job
    def watched(number: int) -> None:
        running.add(number)
        threading.Event().wait(0.02)
        if number < 4:
            beside.append(running - {number})
        running.discard(number)

    watched.identity = "module:watched"
    sent = bench.submit(watched, range(12), parts=3)
    with closing(open_for_worker(bench.path)) as connection:
        connection.execute("UPDATE part SET lost = 2 WHERE number = 0")
    bench.run(watched, concurrency=3)
    assert sent.wait(0).succeeded == 12
    assert beside == [set()] * 4


def test_a_worker_that_does_a_part_alone_leaves_other_keys_with_the_engine(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that takes each key and does nothing would leave none to the workers that have room."""
    monkeypatch.setattr("jobdash.operations.scripts.worker_pool._AGAIN_S", 0.02)
    began, go_on = threading.Event(), threading.Event()

    @jobdash.job
    def held(number: int) -> None:
        began.set()
        assert go_on.wait(DEADLINE_S)

    held.identity = "module:held"
    bench.submit(held, range(1), parts=1)
    with closing(open_for_worker(bench.path)) as connection:
        connection.execute("UPDATE part SET lost = 2")
    worker = threading.Thread(target=bench.run, args=(held, double), kwargs={"concurrency": 3})
    worker.start()
    try:
        assert began.wait(DEADLINE_S)
        sent = bench.submit(double, range(6), parts=6)
        until(lambda: len(bench.engine.delivered) == 7)
        dispatches = bench.engine.dispatches
        until(lambda: bench.engine.dispatches > dispatches + 10)
        assert len(bench.engine.delivered) == 7, "none was taken, and dispatched once more"
    finally:
        go_on.set()
        joined(worker)
    assert sent.wait(0).succeeded == 6


def test_a_large_submit_holds_nobody_up_and_is_seen_whole(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    begin = sqlite.Connection.begin

    def look(connection: Any, job_id: int | None = None, *, relaxed: bool = False) -> None:
        seen.append(bench.ask("SELECT count(*) FROM job WHERE removed_at IS NULL")[0][0])
        begin(connection, job_id, relaxed=relaxed)

    monkeypatch.setattr(sqlite.Connection, "begin", look)
    bench.submit(double, range(12_000))
    assert len(seen) == 5  # the job, three runs of items, the parts
    assert set(seen) == {0}
    assert bench.ask("SELECT count(*) FROM item") == [(12_000,)]
    assert bench.ask("SELECT status, tab > 0 FROM job") == [("pending", 1)]
