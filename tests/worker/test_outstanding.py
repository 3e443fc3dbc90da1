"""Items that are out of the loop's hand, sources that grow, and a second time through."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from worker_kit import Seen, until

from jobdash import Item, Job, track
from jobdash.domain.describe.job_text import status_words
from jobdash.store.reader import Reader


def all_values(job: Job[Any]) -> list[Any]:
    did = []
    for item in job:
        with item:
            did.append(item.value)
    return did


@pytest.mark.parametrize("key", [None, str])
def test_an_executor_may_enter_items_long_after_the_loop_has_passed_them(
    seen: Seen, capsys: pytest.CaptureFixture[str], key: Any
) -> None:
    all_given = threading.Event()

    def work(item: Item[int]) -> None:
        assert all_given.wait(20)
        with item:
            if item.value % 2:
                raise ValueError("odd")

    with track(range(20), "executor", key=key, on_error="record") as job, ThreadPoolExecutor(2) as pool:
        done = [pool.submit(work, item) for item in job]
        all_given.set()
    assert [one.exception() for one in done] == [None] * 20
    assert job.summary() == (10, 10, 20)
    assert seen.counts("executor") == ("completed", 20, 10, 10)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"jobdash: executor ({job.id}): 10 of 20 failed; ")


@pytest.mark.parametrize("key", [None, str])
async def test_tasks_may_enter_items_long_after_the_loop_has_passed_them(
    seen: Seen, capsys: pytest.CaptureFixture[str], key: Any
) -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(10):
            yield number

    async def work(item: Item[int]) -> None:
        with item:
            await asyncio.sleep(0)
            if item.value == 3:
                raise ValueError("three")

    async with track(numbers(), "tasks", key=key, on_error="record") as job, asyncio.TaskGroup() as tasks:
        async for item in job:
            tasks.create_task(work(item))
    assert seen.counts("tasks") == ("completed", 10, 9, 1)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"jobdash: tasks ({job.id}): 1 of 10 failed; ")


def test_an_item_that_waits_for_its_thread_is_not_given_twice(seen: Seen) -> None:
    with track(["a", "b", "a"], "in a queue", key=str) as job:
        waiting = list(job)
        assert [item.value for item in waiting] == ["a", "b"]
        assert list(job) == []
        for item in waiting:
            with item:
                pass
    assert seen.counts("in a queue") == ("completed", 2, 2, 0)


def test_an_item_that_is_done_while_the_loop_comes_to_its_key_again_is_not_done_twice(seen: Seen) -> None:
    """What comes is looked up some hundreds ahead, when the first one of the key is still under way."""
    looked_up = threading.Event()
    did: list[str] = []

    def work(key: str) -> None:
        did.append(key)
        if key == "twice":
            assert looked_up.wait(20)
        elif key == "behind":
            looked_up.set()
            until(lambda: seen.items("again").get("twice") == "ok", "the first one")

    with track([*map(str, range(255)), "twice", "behind", "twice"], "again", key=str) as job:
        job.map(work, workers=2)
    assert did.count("twice") == 1
    assert seen.counts("again") == ("completed", 257, 257, 0)


def test_items_that_were_only_looked_at_are_given_again(
    seen: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    with track(range(3), "counted first", key=str) as job:
        assert sum(1 for _ in job) == 3
        assert all_values(job) == [0, 1, 2]
    assert seen.counts("counted first") == ("completed", 3, 3, 0)


def test_a_queue_that_was_dropped_is_not_done(seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    with track(range(4), "dropped") as job:
        items = list(job)
        with items[0]:
            pass
    assert job.summary() == (1, 0, 4)
    assert "3 items of dropped not recorded" in capsys.readouterr().err
    assert seen.counts("dropped") == ("completed", 4, 1, 0)


def test_a_loop_that_forgets_the_blocks_of_its_items_says_so_where_the_job_is_shown(
    seen: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    with track(range(5), "forgetful", key=str) as job:
        for _ in job:
            pass
    words = "5 items of forgetful not recorded: the work at an item belongs inside `with item:`"
    assert words in capsys.readouterr().err
    assert seen.counts("forgetful") == ("completed", 5, 0, 0)
    with Reader(seen.path) as reader:
        (row,) = reader.rows([int(seen.job("forgetful")["id"])]).values()
        assert row.error == words
        assert status_words(row, reader.now) == "completed · 5 not recorded"


def test_a_loop_that_enters_no_item_and_has_no_keys_counts_as_it_goes(
    seen: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    with track(range(3), "not entered") as job:
        assert [job.succeeded for _ in job] == [0, 1, 2]
    assert seen.counts("not entered") == ("completed", 3, 3, 0)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("key", [None, str])
def test_what_is_appended_while_the_loop_runs_is_done_too(seen: Seen, key: Any) -> None:
    def crawl(left_at: int) -> tuple[list[str], list[str]]:
        todo, did = ["a"], []
        with track(todo, "crawl", key=key) as job:
            for item in job:
                assert job.total == len(todo)
                with item:
                    did.append(item.value)
                    if len(todo) < 5:
                        todo += [f"{item.value}{len(todo)}"]
                if len(did) == left_at:
                    break
        return todo, did

    todo, did = crawl(3)
    assert did == todo[:3]
    if key is not None:
        assert seen.items("crawl") == dict.fromkeys(todo[:3], "ok") | {todo[3]: "waiting"}
        assert seen.counts("crawl") == ("cancelled", 4, 3, 0)
    todo, did = crawl(99)
    assert did == todo[1:] if key is not None and len(todo) < 5 else did
    assert seen.job("crawl")["status"] == "completed"


def test_a_set_that_changes_under_the_loop_is_an_error_as_ever(seen: Seen) -> None:
    values = {1}

    def grow(job: Job[int]) -> None:
        for item in job:
            with item:
                values.add(2)

    with pytest.raises(RuntimeError, match="changed size"), track(values, "set", key=str) as job:
        grow(job)


def test_a_second_time_through_counts_anew(seen: Seen) -> None:
    with track(range(10), "epochs", on_error="record") as job:
        assert all_values(job) == list(range(10))
        assert all_values(job) == list(range(10))
    assert seen.counts("epochs") == ("completed", 10, 10, 0)
    with track(iter(range(10)), "in two parts") as rest:
        with next(iter(rest)):
            pass
        assert len(all_values(rest)) == 9
    assert seen.counts("in two parts") == ("completed", 10, 10, 0)


def test_an_asynchronous_source_keeps_the_total_it_was_given(seen: Seen) -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(5):
            yield number

    async def main() -> None:
        async with track(numbers(), "asynchronous", key=str, total=50) as job:
            assert job.total == 50
            async for item in job:
                with item:
                    assert seen.counts("asynchronous")[:2] == ("in_progress", 50)

    asyncio.run(main())
    assert seen.counts("asynchronous") == ("completed", 5, 5, 0)


async def test_a_total_that_was_too_large_is_corrected_at_the_end(seen: Seen) -> None:
    assert len(list(track(iter(range(6)), "large", total=100))) == 6
    assert seen.counts("large") == ("completed", 6, 6, 0)
    assert len([value async for value in track(iter(range(6)), "a large", total=100)]) == 6
    assert seen.counts("a large") == ("completed", 6, 6, 0)
    with track(iter(range(6)), "large with", total=100) as job:
        all_values(job)
    assert seen.counts("large with") == ("completed", 6, 6, 0)


class Seven:
    def __index__(self) -> int:
        return 7


class NoLength(list[int]):
    def __len__(self) -> int:
        raise RuntimeError("nobody knows")


@pytest.mark.parametrize("total", [1e3, 2.5, float("nan"), float("inf"), "3", -1, 2**63])
def test_a_total_that_is_no_whole_number_is_refused(total: Any) -> None:
    with pytest.raises(ValueError, match="total has to be a whole number"):
        track([1], total=total)


def test_a_source_may_be_of_any_length_or_of_none(seen: Seen) -> None:
    for name, source in (("endless", range(2**70)), ("no length", NoLength([1]))):
        assert next(iter(track(source, name))) in {0, 1}
        with track(source, f"{name} with", key=str) as job:
            with next(iter(job)):
                pass
            assert job.total is None
        assert seen.counts(f"{name} with") == ("cancelled", None, 1, 0)
    assert list(track([1], "index", total=Seven())) == [1]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="flush_interval"):
        track([1], flush_interval=float("nan"))
    assert sys.maxsize  # a length beyond it is what `len` refuses


def test_a_coroutine_function_is_not_mapped(seen: Seen) -> None:
    """Nobody would await it, and the next run would find its items done."""

    async def work(value: int) -> None:
        raise AssertionError(value)

    with pytest.raises(TypeError, match="await coroutines"), track([1, 2], "mapped", key=str) as job:
        job.map(work)
    assert seen.counts("mapped") == ("failed", 2, 0, 0)


def test_what_cannot_be_gone_through_is_called_so() -> None:
    with pytest.raises(TypeError, match="has to be iterable, and int is not"):
        list(track(5, "five"))  # type: ignore[call-overload]
