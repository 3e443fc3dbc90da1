"""Walking a list page by page, also one of a server that repeats pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from jobdash.errors import BadResponse
from jobdash.providers.base import RemotePage

PAGE_CAP = 10_000
EMPTY_CAP = 20
"""Empty pages in a row that still promise more before the list is given up."""

_TURNS_TO_SEND = 4
"""Turns of the event loop until a request has left; work on a page may then keep the interpreter busy."""

AskPage = Callable[[str | None], Awaitable[RemotePage]]
"""Returns the page at a cursor; `Adapter.list` is one, a session's call another."""


T = TypeVar("T")


async def pages(ask: AskPage, *, cap: int = PAGE_CAP) -> AsyncGenerator[RemotePage, None]:
    """Yield the pages of a list in order, from the first.

    A cursor seen before, a page that holds only batches seen before and still promises more, more than
    ``cap`` pages, or more than `EMPTY_CAP` empty ones in a row end it with BadResponse. Every page is
    yielded before that is raised, so what was readable has been read. Where the server promises nothing, a
    page of batches seen before is simply the end.
    """
    cursor: str | None = None
    cursors: set[str] = set()
    known: set[str] = set()
    empty = 0
    for number in range(1, cap + 1):
        page = await ask(cursor)
        ids = {job.remote_id for job in page.jobs}
        if not page.promised and ids <= known:
            return
        yield page
        if page.cursor is None:
            return
        if page.cursor in cursors or (ids and ids <= known):
            raise BadResponse(f"the list repeats itself after {number} pages")
        empty = 0 if ids else empty + 1
        if empty > EMPTY_CAP:
            raise BadResponse(f"the list promises more after {empty} empty pages")
        cursors.add(page.cursor)
        known |= ids
        cursor = page.cursor
    raise BadResponse(f"the list does not end after {cap} pages")


async def read_ahead(source: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """Yield what ``source`` yields, and ask for the next one while one is worked on.

    An error of ``source`` is raised after what came before it. What is under way when this is closed is
    cancelled, and its error dropped.
    """
    end = object()

    async def ask() -> T | object:
        return await anext(source, end)

    following = asyncio.create_task(ask())
    try:
        while (value := await following) is not end:
            following = asyncio.create_task(ask())
            for _ in range(_TURNS_TO_SEND):
                await asyncio.sleep(0)
            yield value  # type: ignore[misc]  # not ``end``
    finally:
        following.cancel()
        following.add_done_callback(_drop_error)
        # Not `await following`: its cancellation cannot be distinguished from one of the caller.
        await asyncio.wait([following])


def _drop_error(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # else asyncio logs it as never retrieved
