"""Walking a list whose server loses count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import pytest

from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import Status
from jobdash.errors import BadResponse
from jobdash.providers.base import RemotePage
from jobdash.providers.pagination import EMPTY_CAP, pages, read_ahead


def page(ids: str, cursor: str | None, *, promised: bool = True) -> RemotePage:
    jobs = tuple(RemoteJob(word, Status.COMPLETED, "completed", None, None) for word in ids)
    return RemotePage(jobs, cursor, promised)


def serving(*served: RemotePage) -> Callable[[str | None], Awaitable[RemotePage]]:
    left = list(served)

    async def ask(cursor: str | None) -> RemotePage:
        return left.pop(0) if len(left) > 1 else left[0]

    return ask


async def walk(*served: RemotePage, cap: int = 50) -> tuple[str, str]:
    """Return the ids in order, and how the walk failed."""
    ids = ""
    try:
        async for got in pages(serving(*served), cap=cap):
            ids += "".join(job.remote_id for job in got.jobs)
    except BadResponse as error:
        return ids, str(error)
    return ids, ""


@pytest.mark.parametrize(
    ("served", "ids", "failure"),
    [
        ([page("", None)], "", ""),
        ([page("ab", "1"), page("c", None)], "abc", ""),
        ([page("", "1"), page("", "2"), page("a", None)], "a", ""),
        ([page("ab", "1"), page("bc", "2"), page("d", None)], "abbcd", ""),
        ([page("ab", "1"), page("ab", None)], "abab", ""),
        ([page("ab", "1")], "abab", "repeats itself after 2"),
        ([page("ab", "1"), page("cd", "1")], "abcd", "repeats itself after 2"),
        ([page("ab", "1"), page("ab", "2")], "abab", "repeats itself after 2"),
        ([page("a", "1"), page("b", "2"), page("c", "1")], "abc", "repeats itself after 3"),
        ([page("ab", "b", promised=False)], "ab", ""),
        ([page("ab", "b", promised=False), page("cd", "d", promised=False)], "abcd", ""),
        ([page("ab", "b", promised=False), page("bc", "c", promised=False), page("", None)], "abbc", ""),
        ([page("ab", "b", promised=False), page("ab", "b")], "abab", "repeats itself after 2"),
    ],
)
async def test_walks(served: list[RemotePage], ids: str, failure: str) -> None:
    walked, failed = await walk(*served)
    assert walked == ids
    assert (failure in failed) if failure else not failed


async def test_empty_pages_for_ever() -> None:
    _, failed = await walk(*(page("", str(number)) for number in range(100)), cap=100)
    assert f"{EMPTY_CAP + 1} empty pages" in failed


async def test_a_list_that_never_ends() -> None:
    served = [page(chr(200 + number), str(number)) for number in range(20)]
    ids, failed = await walk(*served, cap=10)
    assert len(ids) == 10
    assert "does not end after 10 pages" in failed


class Source:
    """Yields 1, 2, 3 …, each when it is let; fails behind ``last``."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.asked = asyncio.Queue[int]()
        self.go_on = asyncio.Semaphore(0)
        self.cancelled = False

    async def numbers(self) -> AsyncGenerator[int, None]:
        for number in range(1, self.last + 1):
            self.asked.put_nowait(number)
            try:
                await self.go_on.acquire()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
            yield number
        raise BadResponse("no more")


async def test_the_next_page_is_asked_for_while_one_is_worked_on() -> None:
    source = Source(2)
    async with aclosing(read_ahead(source.numbers())) as ahead:
        source.go_on.release()
        assert await anext(ahead) == 1
        async with asyncio.timeout(10):
            assert [await source.asked.get(), await source.asked.get()] == [1, 2]
    assert source.cancelled, "what was under way ends with the walk"


async def test_what_was_read_before_an_error_is_worked_on_before_it_is_raised() -> None:
    source = Source(3)
    for _ in range(3):
        source.go_on.release()
    async with aclosing(read_ahead(source.numbers())) as ahead:
        assert [await anext(ahead) for _ in range(3)] == [1, 2, 3]
        with pytest.raises(BadResponse, match="no more"):
            await anext(ahead)


async def test_an_error_behind_the_place_where_a_walk_stopped_is_dropped() -> None:
    source = Source(1)
    source.go_on.release()
    async with aclosing(read_ahead(source.numbers())) as ahead:
        assert await anext(ahead) == 1


async def test_a_walk_that_is_cancelled_while_it_ends_counts_as_cancelled() -> None:
    ending, ended = asyncio.Event(), asyncio.Event()

    async def numbers() -> AsyncGenerator[int, None]:
        yield 1
        try:
            await ended.wait()
        finally:
            ending.set()
            await ended.wait()

    async def walk_once() -> None:
        async with aclosing(read_ahead(numbers())) as ahead:
            assert await anext(ahead) == 1

    walking = asyncio.create_task(walk_once())
    async with asyncio.timeout(10):
        await ending.wait()
        walking.cancel()
        await asyncio.wait([walking])
    ended.set()
    assert walking.cancelled()
