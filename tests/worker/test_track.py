"""The forms of a loop: plain, with items, in threads, under asyncio; how each ends and what is kept."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from shared.other_program import Program, hold, other_program
from worker_kit import Seen, until

import jobdash
from jobdash import Job, JobCancelled, LeaseLost, TooManyErrors, track
from jobdash.store.location import StoreLocation
from jobdash.worker import process

CONTINUED: dict[str, Any] = {"resume": "always", "on_cancel": "continue"}
"""A second run in this process goes on, and a cancel does not end the tests."""


def test_a_plain_loop_gives_the_values_and_is_a_completed_job(seen: Seen) -> None:
    assert list(track("abc", "plain", unit="letters")) == ["a", "b", "c"]
    assert seen.counts("plain") == ("completed", 3, 3, 0)
    assert seen.attempts("plain") == [(1, "3 of 3 done")]
    assert seen.events("plain") == [("start", "in_progress"), ("end", "completed")]
    row = seen.job("plain")
    assert (row["owner"], row["last_owner"], row["lease_until"]) == (None, None, None)
    assert seen.ask("SELECT unit, keyed, argv FROM attempt") == [("letters", 0, None)]


def test_nothing_to_do_is_completed(seen: Seen) -> None:
    assert list(track([], "none")) == []
    with track([], "none with", key=str) as job:
        assert list(job) == []
    assert seen.counts("none") == ("completed", 0, 0, 0)
    assert seen.counts("none with") == ("completed", 0, 0, 0)


def test_a_loop_of_unknown_length_has_a_total_in_the_end(seen: Seen) -> None:
    loop = iter(track((n for n in range(3)), "unknown"))
    next(loop)
    assert seen.counts("unknown")[1] is None
    assert list(loop) == [1, 2]
    assert seen.counts("unknown") == ("completed", 3, 3, 0)


def test_a_loop_without_a_name_is_called_by_its_line(seen: Seen) -> None:
    for _ in track([1]):
        pass
    ((name,),) = seen.ask("SELECT name FROM job")
    assert name.startswith("test_track.py:")


def test_a_plain_loop_left_early_is_cancelled(seen: Seen) -> None:
    for number in track(range(100), "left"):
        if number == 25:
            break
    gc.collect()
    assert seen.counts("left") == ("cancelled", 100, 25, 0)
    assert seen.attempts("left") == [(1, "loop left at 25 of 100")]


@pytest.mark.parametrize("total", [None, 5])
def test_a_loop_whose_last_item_was_given_out_is_completed(seen: Seen, total: int | None) -> None:
    source = range(5) if total is None else iter(range(5))
    assert list(zip(range(5), track(source, "zipped", total=total), strict=False))[-1] == (4, 4)
    gc.collect()
    assert seen.counts("zipped") == ("completed", 5, 5, 0)
    with track(range(5), "zipped block", key=str) as job:
        for _, item in zip(range(5), job, strict=False):
            with item:
                pass
    assert seen.counts("zipped block") == ("completed", 5, 5, 0)
    with track(range(5), "counted block") as job:
        assert len(list(zip(range(5), job, strict=False))) == 5
    assert seen.counts("counted block") == ("completed", 5, 5, 0)
    with track(range(5), "too short", key=str) as job:
        for _, item in zip(range(4), job, strict=False):
            with item:
                pass
    assert seen.counts("too short") == ("cancelled", 5, 4, 0)


def test_a_loop_has_the_length_of_what_it_goes_through() -> None:
    assert len(track("abc")) == 3
    assert len(track(iter("abc"), total=7)) == 7
    assert track(iter("abc"))
    assert not track([])
    with pytest.raises(TypeError, match="has no length"):
        len(track(iter("abc")))


def test_an_exception_that_is_being_handled_when_a_loop_is_left_fails_it(seen: Seen) -> None:
    def go() -> None:
        loop = iter(track(range(5), "handled"))
        for number in loop:
            if number == 2:
                raise ValueError("boom")

    try:
        go()
    except ValueError as error:
        traceback.clear_frames(error.__traceback__)
    assert seen.counts("handled") == ("failed", 5, 2, 0)
    assert seen.attempts("handled") == [(1, "ValueError: boom")]
    try:
        raise KeyError("another matter")
    except KeyError:
        for number in track(range(5), "unrelated"):
            if number == 2:
                break
    assert seen.attempts("unrelated") == [(1, "loop left at 2 of 5")]


def test_an_iterable_that_fails_fails_the_job(seen: Seen) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("no such disk")

    with pytest.raises(OSError, match="no such disk"):
        list(track(broken(), "broken"))
    assert seen.counts("broken") == ("failed", None, 1, 0)
    assert seen.job("broken")["error"] == "OSError: no such disk"


def test_items_are_kept_by_their_keys(seen: Seen) -> None:  # D-1 D-4
    with track(["a", "b", "c", "d"], "kept", key=str.upper, on_error="record") as job:
        for item in job:
            with item:
                if item.value == "b":
                    raise ValueError("bad b")
                if item.value == "c":
                    item.skip("not now")
                item.detail = item.detail or {"of": item.value}
    assert (job.status, job.succeeded, job.failed, job.total) == ("completed", 3, 1, 4)
    assert seen.counts("kept") == ("completed", 4, 3, 1)
    rows = seen.ask("SELECT seq, key, outcome, attempt, detail, error_type, error FROM item ORDER BY seq")
    assert rows == [
        (0, "A", "ok", 1, '{"of":"a"}', None, None),
        (1, "B", "error", 1, None, "ValueError", "bad b"),
        (2, "C", "skipped", 1, '"not now"', None, None),
        (3, "D", "ok", 1, '{"of":"d"}', None, None),
    ]


def test_unprocessed_items_stand_there_from_the_start(
    seen: Seen,
) -> None:  # C-13: the list of unprocessed items
    with track(range(3), "seeded", key=str) as job:
        loop = iter(job)
        with next(loop):
            pass
        until(lambda: seen.counts("seeded")[2] == 1, "what is written behind an item")
        assert seen.items("seeded") == {"0": "ok", "1": "waiting", "2": "waiting"}
        assert seen.counts("seeded") == ("in_progress", 3, 1, 0)
    assert seen.attempts("seeded") == [(1, "loop left at 1 of 3")]
    assert seen.counts("seeded") == ("cancelled", 3, 1, 0)


@pytest.mark.sqlite_only
def test_many_unprocessed_items_stand_there_after_a_graceful_end(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobdash.worker.job.SEEDED", 5)
    with track(range(8), "many", key=str) as job:
        for item in job:
            with item:
                assert len(seen.items("many")) == item.value
            if item.value == 2:
                break
    assert list(seen.items("many").values()) == ["ok"] * 3 + ["waiting"] * 5
    assert seen.counts("many") == ("cancelled", 8, 3, 0)


def test_an_exception_leaving_the_block_fails_the_job_and_goes_on_up(seen: Seen) -> None:
    def boom(job: Job[int]) -> None:
        for item in job:
            with item:
                raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"), track(range(3), "fails", key=str) as job:
        boom(job)
    assert seen.counts("fails") == ("failed", 3, 0, 1)
    assert seen.job("fails")["error"] == "ValueError: boom"
    assert job.status == "failed"


def test_too_many_errors_fail_the_job(seen: Seen) -> None:
    def fail_all(job: Job[int]) -> None:
        for item in job:
            with item:
                raise KeyError(item.value)

    with (
        pytest.raises(TooManyErrors, match="3 items failed, at most 2 may") as caught,
        track(range(9), "too many", key=str, on_error="record", max_errors=2) as job,
    ):
        fail_all(job)
    assert isinstance(caught.value.__cause__, KeyError)
    assert seen.counts("too many") == ("failed", 9, 0, 3)


def test_the_next_run_does_only_what_is_missing(seen: Seen) -> None:  # C-13 D-4 E-4
    def run(stop_at: int) -> list[int]:
        did = []
        with track(range(10), "resumed", key=str, on_error="record", **CONTINUED) as job:
            for item in job:
                if item.value == stop_at:
                    raise JobCancelled
                with item:
                    did.append(item.value)
                    if item.value == 3 and stop_at < 10:
                        raise ValueError("once")
        return did

    assert run(6) == [0, 1, 2, 3, 4, 5]
    assert seen.counts("resumed") == ("cancelled", 10, 5, 1)
    assert run(99) == [3, 6, 7, 8, 9]
    assert seen.counts("resumed") == ("completed", 10, 10, 0)
    assert seen.job("resumed")["attempt"] == 2
    assert seen.job("resumed")["done_before"] == 5
    assert run(99) == list(range(10))  # a completed job is not joined  # E-10
    assert seen.ask("SELECT count(*) FROM job") == [(2,)]


def test_a_loop_without_keys_begins_again(seen: Seen) -> None:
    for number in track(range(5), "again", resume="always"):
        if number == 3:
            break
    gc.collect()
    assert list(track(range(5), "again", resume="always")) == list(range(5))
    assert seen.counts("again") == ("completed", 5, 5, 0)
    assert [number for number, _ in seen.attempts("again")] == [1, 2]


def test_of_two_items_with_one_key_the_second_is_not_done(seen: Seen) -> None:
    did = []
    with track([1, 2, 1, 3, 2], "twice", key=str) as job:
        for item in job:
            with item:
                did.append(item.value)
    assert did == [1, 2, 3]
    assert seen.counts("twice") == ("completed", 3, 3, 0)


def test_keys_come_from_generators_too(seen: Seen) -> None:
    def run() -> list[int]:
        did = []
        with track((n for n in range(4)), "generated", key=str, resume="always") as job:
            for item in job:
                with item:
                    did.append(item.value)
                if len(did) == 2 and item.value < 2:
                    break
        return did

    assert run() == [0, 1]
    assert seen.counts("generated") == ("cancelled", None, 2, 0)
    assert run() == [2, 3]
    assert seen.counts("generated") == ("completed", 4, 4, 0)


def test_work_outside_the_items_block_is_not_taken_for_done(
    seen: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    with track(range(2), "outside", key=str) as job:
        for _item in job:
            pass
    assert seen.counts("outside") == ("completed", 2, 0, 0)
    assert "inside `with item:`" in capsys.readouterr().err


def test_items_without_keys_are_counted_only(seen: Seen) -> None:
    with track(range(4), "counted", on_error="record") as job:
        for item in job:
            with item:
                if item.value == 1:
                    raise ValueError
    assert seen.counts("counted") == ("completed", 4, 3, 1)
    assert seen.ask("SELECT count(*) FROM item") == [(0,)]


def test_threads_do_the_items(seen: Seen) -> None:  # C-6
    under_way, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(3, timeout=20)

    def work(value: int) -> dict[str, int]:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        together.wait()
        with lock:
            under_way -= 1
        return {"twice": 2 * value}

    with track(range(30), "threads", key=str) as job:
        assert job.map(work, workers=3) == job.summary()
    assert most == 3
    assert seen.counts("threads") == ("completed", 30, 30, 0)
    assert seen.ask("SELECT detail FROM item WHERE key = '7'") == [('{"twice":14}',)]


def test_threads_finish_what_is_under_way_and_begin_nothing_after_a_cancel(seen: Seen) -> None:  # C-4 C-6
    begun: list[int] = []
    two = threading.Barrier(3, timeout=20)
    released = threading.Event()

    def work(value: int) -> None:
        begun.append(value)
        two.wait()
        assert released.wait(20)

    def cancel(token: Any) -> None:
        two.wait()
        token.cancel()
        released.set()

    def run() -> None:
        with track(range(30), "stopped threads", key=str) as job:
            threading.Thread(target=cancel, args=(job.token,)).start()
            job.map(work, workers=2)
            raise AssertionError("a cancelled map does not return")

    with pytest.raises(JobCancelled):
        run()
    assert sorted(begun) == [0, 1]
    assert seen.counts("stopped threads") == ("cancelled", 30, 2, 0)


def test_an_error_in_a_thread_ends_the_loop_or_is_recorded(seen: Seen) -> None:
    def work(value: int) -> None:
        if value % 10 == 5:
            raise ValueError(f"bad {value}")

    with pytest.raises(ValueError, match="bad 5"), track(range(100), "raising", key=str) as job:
        job.map(work, workers=1)
    assert seen.counts("raising") == ("failed", 100, 5, 1)
    with track(range(100), "recording", key=str, on_error="record") as job:
        job.map(work, workers=4)
    assert seen.counts("recording") == ("completed", 100, 90, 10)


def test_what_cannot_be_kept_of_a_thread_is_an_error_of_its_item(seen: Seen) -> None:
    with track(range(3), "objects", key=str, on_error="record") as job:
        job.map(lambda value: object() if value == 1 else {"value": value})
    assert seen.counts("objects") == ("completed", 3, 2, 1)
    assert seen.ask("SELECT key, outcome, detail, error_type FROM item ORDER BY seq") == [
        ("0", "ok", '{"value":0}', None),
        ("1", "error", None, "TypeError"),
        ("2", "ok", '{"value":2}', None),
    ]
    ((error,),) = seen.ask("SELECT error FROM item WHERE key = '1'")
    assert error.startswith("the result is an object, which is no JSON and cannot be kept")
    with pytest.raises(ValueError, match="at least 1"), track([1], "no workers") as job:
        job.map(str, workers=0)


async def test_asyncio_has_the_same_loops(seen: Seen) -> None:  # D-8
    async def numbers() -> AsyncIterator[int]:
        for number in range(3):
            await asyncio.sleep(0)
            yield number

    assert [value async for value in track(numbers(), "a plain")] == [0, 1, 2]
    assert [value async for value in track([0, 1], "a plain list")] == [0, 1]
    for again in range(2):
        did = []
        async with track(numbers(), "a items", key=str, on_error="record", **CONTINUED) as job:
            async for item in job:
                with item:
                    await asyncio.sleep(0)
                    did.append(item.value)
                    if item.value == 1 and not again:
                        raise JobCancelled
        assert did == [[0, 1], [1, 2]][again]
    assert seen.counts("a plain") == ("completed", 3, 3, 0)
    assert seen.counts("a plain list") == ("completed", 2, 2, 0)
    assert seen.counts("a items") == ("completed", 3, 3, 0)


async def cancelled_plain(seen: Seen) -> None:
    """Go through a loop that is cancelled from elsewhere while it is at its first item."""
    loop = track(range(5), "a plain cancelled")
    async for _ in loop:
        seen.cancel("a plain cancelled")
        await asyncio.to_thread(until, lambda: any(run.token.stopped for run in process.live))


async def test_an_asynchronous_loop_that_is_cancelled_or_fails_reports_it(seen: Seen) -> None:
    async def cancelled() -> None:
        async with track(range(5), "a cancelled", key=str) as job:
            async for item in job:
                with item:
                    job.token.cancel()

    with pytest.raises(JobCancelled):
        await cancelled()
    assert seen.counts("a cancelled") == ("cancelled", 5, 1, 0)
    with pytest.raises(OSError, match="x"):
        async with track(range(5), "a failed", key=str):
            raise OSError("x")
    assert seen.counts("a failed") == ("failed", 5, 0, 0)
    with pytest.raises(JobCancelled):
        await cancelled_plain(seen)
    assert seen.counts("a plain cancelled") == ("cancelled", 5, 1, 0)


async def test_an_asynchronous_loop_that_is_left_does_not_hold_up_the_others(
    path: StoreLocation, seen: Seen
) -> None:
    async def leave(other: Program) -> None:
        async for number in track(range(9), "a left"):
            if number == 4:
                hold(other, path)
                break

    with other_program(path) as other:
        await leave(other)
        (run,) = process.live
        await asyncio.to_thread(until, lambda: run._end_as is not None, "the end begins")
        other.execute("COMMIT")  # the end waits for it, and would wait in vain if we waited for the end
    await asyncio.to_thread(until, lambda: not process.live, "the end")
    assert seen.counts("a left") == ("cancelled", 9, 4, 0)


def test_an_asynchronous_loop_is_ended_without_an_event_loop_too(seen: Seen) -> None:
    loop = aiter(track(range(9), "a left"))

    async def first() -> int:
        return await anext(loop)

    other = asyncio.new_event_loop()
    other.run_until_complete(first())
    other.close()
    with pytest.raises(StopIteration):
        loop.aclose().send(None)  # type: ignore[attr-defined]
    assert seen.counts("a left")[0] == "cancelled"


def test_asynchronous_things_want_async(seen: Seen) -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(TypeError, match="async for"):
        iter(track(numbers()))
    with pytest.raises(TypeError, match="async with"), track(numbers()):
        pass
    assert seen.ask("SELECT count(*) FROM job") == [(0,)]


def test_two_loops_inside_each_other_are_two_jobs(seen: Seen) -> None:
    for _ in track(range(2), "outer"):
        for _ in track(range(3), "inner"):
            pass
    assert seen.ask("SELECT name, status FROM job ORDER BY id") == [
        ("outer", "completed"),
        ("inner", "completed"),
        ("inner", "completed"),
    ]


def test_metadata_and_tags_are_kept(seen: Seen) -> None:
    list(track([1], "worded", metadata={"source": "scan", "pages": 3}, tags={"nightly": "yes"}))
    assert seen.job("worded")["remote_metadata"] == '{"pages":"3","source":"scan"}'
    assert seen.ask("SELECT key, value FROM job_tag") == [("nightly", "yes")]
    named = {"api_key": "hunter2hunter2", "password": "swordfish", "token": "short"}
    list(track([1], "keys", metadata=named, tags={"token": "abcdefghijklmnop1234"}))
    kept = '{"api_key":"[secret]","password":"[secret]","token":"short"}'
    assert seen.job("keys")["remote_metadata"] == kept
    assert seen.ask("SELECT value FROM job_tag WHERE key = 'token'") == [("[secret]",)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_error": "ignore"}, "'raise' or 'record'"),
        ({"max_errors": 3}, "on_error='record'"),
        ({"max_errors": -1, "on_error": "record"}, "at least 0"),
        ({"total": -1}, "at least 0"),
        ({"flush_interval": -0.1}, "at least 0"),
    ],
)
def test_wrong_arguments_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        track([1], **options)


@pytest.mark.parametrize("options", [{"key": str}, {"on_error": "record"}])
def test_a_plain_loop_takes_nothing_that_needs_items(options: dict[str, Any], seen: Seen) -> None:
    with pytest.raises(ValueError, match="need items"):
        iter(track([1], **options))
    assert seen.ask("SELECT count(*) FROM job") == [(0,)]


def test_the_exceptions_pass_by_an_except_exception() -> None:  # E-9
    assert issubclass(LeaseLost, JobCancelled)
    assert issubclass(JobCancelled, SystemExit)
    assert not issubclass(JobCancelled, Exception)
    assert (JobCancelled().code, LeaseLost().code) == (130, 75)
    assert {"track", "JobCancelled", "LeaseLost"} <= set(dir(jobdash))
    with pytest.raises(AttributeError, match="no attribute 'trak'"):
        _ = jobdash.trak


def test_help_names_every_option_and_how_a_job_is_continued() -> None:
    text = inspect.getdoc(jobdash.track) or ""
    lines = text.splitlines()
    assert [name for name in inspect.signature(jobdash.track).parameters if f"``{name}``" not in text] == []
    assert "Which job is continued is always reported on standard error. With ``resume``:" in lines
    assert (
        '- ``"failed"``: the same, and also a completed job with failures: its failed items are done again.'
        in lines
    )
