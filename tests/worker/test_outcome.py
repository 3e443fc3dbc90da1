"""Beginnings and ends that go wrong: whatever happens, the job ends and the process is as it was."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from shared.deadlines import joined
from shared.other_program import Program, hold, other_program
from worker_kit import Scripts, Seen, until

from jobdash import JobCancelled, LeaseLost, track
from jobdash.store.dialects import sqlite
from jobdash.store.leases.lease import Lease
from jobdash.store.location import StoreLocation
from jobdash.worker import job as jobs
from jobdash.worker import process, store_connection
from jobdash.worker.recorder import Recorder


@pytest.fixture(autouse=True)
def _all_is_as_it_was() -> Iterator[None]:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert not process.live


def test_a_key_that_raises_before_the_first_item_fails_the_job(seen: Seen) -> None:
    rows: list[dict[str, int]] = [{"id": 1}, {}]
    with pytest.raises(KeyError), track(rows, "no id", key=lambda row: row["id"]):
        raise AssertionError("the block does not begin")
    assert seen.counts("no id") == ("failed", 2, 0, 0)
    assert seen.job("no id")["error"] == "KeyError: 'id'"


def test_a_key_that_raises_at_the_end_does_not_keep_the_job_from_ending(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SEEDED", 1)
    rows: list[dict[str, int]] = [*({"id": number} for number in range(300)), {}]
    with track(rows, "left", key=lambda row: row["id"]) as job, next(iter(job)):
        pass
    assert seen.counts("left") == ("cancelled", 301, 1, 0)

    def all_of_them() -> None:
        for item in job:
            with item:
                pass

    with pytest.raises(KeyError), track(rows, "raises", key=lambda row: row["id"]) as job:
        all_of_them()
    assert seen.counts("raises")[0] == "failed"


async def test_a_task_that_is_cancelled_while_it_claims_leaves_no_job_running(
    path: StoreLocation, seen: Seen
) -> None:
    async def plain() -> None:
        async for _ in track(range(5), "claiming"):
            pass

    async def items() -> None:
        async with track(range(5), "claiming", key=str):
            pass

    for work in (plain, items):
        with other_program(path) as other:
            hold(other, path)
            task = asyncio.create_task(work())
            await asyncio.to_thread(until, lambda: process.live)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            other.execute("COMMIT")
        await asyncio.to_thread(until, lambda: not process.live, "the claim is given back")
        assert seen.counts("claiming")[0] == "cancelled"
        assert seen.job("claiming")["owner"] is None


async def test_a_task_that_is_cancelled_while_the_total_is_kept_leaves_no_job_running(
    path: StoreLocation, seen: Seen
) -> None:
    async def numbers(other: Program) -> AsyncIterator[int]:
        yield 1
        hold(other, path)
        ended.set()

    async def loop(other: Program) -> None:
        async for _ in track(numbers(other), "total"):
            pass

    ended = asyncio.Event()
    with other_program(path) as other:
        task = asyncio.create_task(loop(other))
        await ended.wait()
        (run,) = process.live
        await asyncio.to_thread(until, lambda: run.total == 1)
        task.cancel()
        await asyncio.wait([task], timeout=0.2)
        other.execute("COMMIT")
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(until, lambda: not process.live, "the end")
    assert seen.counts("total") == ("cancelled", 1, 1, 0)
    assert seen.job("total")["owner"] is None


def test_a_total_that_is_interrupted_leaves_no_job_running(path: StoreLocation, seen: Seen) -> None:
    def numbers(other: Program) -> Iterator[int]:
        yield 1
        hold(other, path)

    def press_twice() -> None:
        (run,) = process.live
        until(lambda: run.total == 1)
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: run.token.stopped, "Ctrl-C")
        os.kill(os.getpid(), signal.SIGINT)
        other.execute("COMMIT")

    with other_program(path) as other:
        loop = iter(track(numbers(other), "total"))
        next(loop)
        person = threading.Thread(target=press_twice)
        person.start()
        with pytest.raises(KeyboardInterrupt):
            next(loop)
        joined(person)
    status, total, succeeded, _ = seen.counts("total")
    assert (status, succeeded) == ("cancelled", 1)
    assert total in {None, 1}, "it may have been written in time"


def keepers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "jobdash"]


async def test_a_job_that_is_cancelled_at_the_end_of_its_claim_leaves_no_thread_behind(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    class Slow(io.StringIO):
        def isatty(self) -> bool:
            asked.set()
            return not go_on.wait(20)

    async def items() -> None:
        async with track(range(5), "claimed", key=str):
            pass

    monkeypatch.setattr(sys, "stderr", Slow())
    task = asyncio.create_task(items())
    await asyncio.to_thread(asked.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert keepers() == []
    assert seen.counts("claimed")[0] == "cancelled"


def test_an_interrupt_while_the_thread_is_started_leaves_none_behind(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "jobdash":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), track(range(3), "interrupted", key=str):
        raise AssertionError("the block does not begin")
    assert keepers() == []
    assert seen.counts("interrupted")[0] == "cancelled"


def test_a_handler_of_any_kind_is_left_alone(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    class Handler:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, *_: object) -> None:
            pass

    before = signal.signal(signal.SIGINT, Handler())
    try:
        assert list(track(range(2), "own handler")) == [0, 1]
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_exception_of_the_scripts_own_is_a_failure_whatever_its_base(seen: Seen) -> None:
    class Stop(BaseException):
        pass

    for error, word in (
        (Stop("x"), "failed"),
        (KeyboardInterrupt(), "cancelled"),
        (asyncio.CancelledError(), "cancelled"),
        (JobCancelled(), "cancelled"),
    ):
        name = type(error).__name__
        with pytest.raises(type(error)), track(range(2), name, key=str):
            raise error
        assert seen.counts(name)[0] == word


def test_a_loop_collected_inside_its_own_statement_ends_behind_it(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice, collected = Recorder._notice_cancel, threading.Event()

    def collecting(recorder: Recorder, hold: Lease) -> None:
        if threading.current_thread().name == "jobdash" and not collected.is_set():
            gc.collect()
            collected.set()
        notice(recorder, hold)

    gc.disable()
    try:
        cycle: list[Any] = [iter(track(range(9), "cycle"))]
        cycle.append(cycle)
        next(cycle[0])
        del cycle
        monkeypatch.setattr(Recorder, "_notice_cancel", collecting)
        assert collected.wait(20)
    finally:
        gc.enable()
    until(lambda: seen.counts("cycle")[0] != "in_progress", "the end")
    assert seen.counts("cycle") == ("cancelled", 9, 0, 0)
    assert seen.attempts("cycle") == [(1, "loop left at 0 of 9")]
    list(track([1], "behind"))  # only the main thread can give signals back, and does it with its next job


@pytest.fixture
def collecting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Collect garbage when the store is asked for the time by this thread, which is inside a transaction."""
    now_ms = sqlite.now_ms

    def collect() -> int:
        if threading.current_thread() is threading.main_thread():
            gc.collect()
        return now_ms()

    monkeypatch.setattr(store_connection, "LAST_WAIT_S", 0.5)
    gc.disable()
    yield lambda: monkeypatch.setattr(sqlite, "now_ms", collect)
    gc.enable()


def forget(name: str) -> None:
    """Leave a loop to the garbage collector."""
    cycle: list[Any] = [iter(track(range(9), name))]
    cycle.append(cycle)
    next(cycle[0])


@pytest.mark.sqlite_only
@pytest.mark.slow
def test_a_loop_collected_inside_another_jobs_transaction_ends_behind_it(
    seen: Seen, collecting: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with track(range(3), "other", key=str) as job:
        for item in job:
            with item:
                if item.value == 1:
                    forget("forgotten")
                    collecting()
            assert seen.counts("other")[2] == item.value + 1
    assert seen.counts("forgotten") == ("cancelled", 9, 0, 0)
    assert seen.counts("other") == ("completed", 3, 3, 0)
    assert capsys.readouterr().err == ""


@pytest.mark.sqlite_only
@pytest.mark.slow
def test_a_loop_collected_while_another_job_is_claimed_ends_behind_it(
    seen: Seen, collecting: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    forget("forgotten")
    collecting()
    assert list(track(range(2), "other")) == [0, 1]
    assert seen.counts("forgotten") == ("cancelled", 9, 0, 0)
    assert seen.counts("other") == ("completed", 2, 2, 0)
    assert capsys.readouterr().err == ""


def test_the_end_of_a_huge_job_writes_down_what_there_is_time_for(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SEEDED", 10)
    monkeypatch.setattr(jobs, "_LISTING_S", 0.1)
    asked = threading.Event()

    def slow(value: int) -> str:
        if asked.is_set():
            time.sleep(
                0.02
            )  # a key that takes its time; what is tested is that the end does not wait for all of them
        return str(value)

    with track(range(100_000), "huge", key=slow) as job, next(iter(job)):
        asked.set()
    assert seen.counts("huge") == ("cancelled", 100_000, 1, 0)
    assert 1 <= len(seen.items("huge")) <= 10


def test_a_job_that_was_lost_is_named_and_has_no_other_status(seen: Seen) -> None:
    with pytest.raises(LeaseLost) as caught, track(range(3), "lost", key=str) as job, next(iter(job)):
        seen.remove("lost")
    assert str(caught.value) == f"job lost ({job.id}) was removed"
    assert job.status == "lost"


def test_a_forked_child_with_a_job_of_its_own_dies_of_sigterm(scripts: Scripts, seen: Seen) -> None:
    script = scripts.start(
        """
        import os, signal, time
        for _ in jobdash.track([1], "outer"):
            ours, theirs = os.pipe()
            child = os.fork()
            if not child:
                list(jobdash.track([1], "inner"))
                os.write(theirs, b"x")
                while True: time.sleep(60)
            os.read(ours, 1)
            os.kill(child, signal.SIGTERM)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        """
    )
    assert script.finish() == (0, "")
    assert script.out == ["-15"]
    assert seen.counts("inner") == seen.counts("outer") == ("completed", 1, 1, 0)


CHILD = """
    import os, signal
    {before}
    ours, theirs = os.pipe()
    with jobdash.track([1], "outer", key=str) as job:
        for item in job:
            with item:
                child = os.fork()
                if not child:
                    signal.alarm(20)
                    os.write(theirs, b"x")
                    try: signal.pause()
                    except KeyboardInterrupt: os._exit(7)
    {then}
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_an_interrupt_is_an_interrupt_in_a_forked_child_when_the_job_is_over(scripts: Scripts) -> None:
    then = "os.read(ours, 1); os.kill(child, signal.SIGINT)"
    assert scripts.run(CHILD.format(before="", then=then)) == (0, "", ["7"])


def test_a_child_dies_of_a_sigterm_that_comes_with_its_fork(scripts: Scripts) -> None:
    before = "os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.SIGTERM))"
    assert scripts.run(CHILD.format(before=before, then="")) == (0, "", ["-15"])


def test_threads_that_cannot_be_started_fail_the_job(scripts: Scripts, seen: Seen) -> None:
    code, err, _ = scripts.run(
        """
        import faulthandler, resource, threading
        faulthandler.dump_traceback_later(25, exit=True)
        with jobdash.track(range(3), "threads", key=str) as job:
            threading.stack_size(64 << 20)
            resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
            job.map(str, workers=64)
        """
    )
    assert code == 1
    assert "can't start new thread" in err.splitlines()[-1]
    assert seen.counts("threads") == ("failed", 3, 0, 0)


def test_an_interrupt_while_a_fork_waits_does_not_hold_up_the_next_one(scripts: Scripts, seen: Seen) -> None:
    code, err, out = scripts.run(
        """
        import faulthandler, os, signal, sqlite3, threading, time
        from jobdash.worker import process
        faulthandler.dump_traceback_later(25, exit=True)
        def fork():
            child = os.fork()
            if not child: os._exit(0)
            os.waitpid(child, 0)
        def job():
            with jobdash.track(range(2), "in a thread", key=str) as job:
                for item in job:
                    with item:
                        if item.value == 0: at_work.set(); go_on.wait()
        at_work, go_on = threading.Event(), threading.Event()
        thread = threading.Thread(target=job)
        thread.start()
        at_work.wait()
        (run,) = process.live
        def transaction():   # one that takes its time
            run.recorder.before_fork()
            under_way.set()
            while sys._current_frames()[main].f_code.co_name != "before_fork": pass
            time.sleep(0.1)  # until it waits for the lock: a signal just before would be seen after it
            os.kill(os.getpid(), signal.SIGINT)
            forked.wait()
            run.recorder.after_fork()
        main, under_way, forked = threading.get_ident(), threading.Event(), threading.Event()
        busy = threading.Thread(target=transaction)
        busy.start()
        under_way.wait()
        fork()
        print("forked", flush=True)
        forked.set()
        busy.join()
        go_on.set()
        thread.join()
        fork()
        print("forked again", flush=True)
        """
    )
    assert (code, out) == (0, ["forked", "forked again"]), err
    assert seen.counts("in a thread") == ("completed", 2, 2, 0)


@pytest.mark.slow
def test_threads_may_fork_at_once_while_jobs_begin_and_end(scripts: Scripts) -> None:
    code, err, out = scripts.run(
        """
        # logging has hooks of its own, which complain when it is imported between the two halves of a fork.
        import faulthandler, logging, os, threading
        faulthandler.dump_traceback_later(25, exit=True)
        stop = threading.Event()
        def fork():
            while not stop.is_set():
                child = os.fork()
                if not child: os._exit(0)
                os.waitpid(child, 0)
        threads = [threading.Thread(target=fork) for _ in range(2)]
        for thread in threads: thread.start()
        for number in range(12):
            with jobdash.track(range(40), f"job {number}", key=str) as job: job.map(lambda _: None)
        stop.set()
        for thread in threads: thread.join()
        print("through")
        """
    )
    assert (code, err, out) == (0, "", ["through"])
