"""The door to the writer: what piles up is written at once, and everybody gets their own answer."""

from __future__ import annotations

import asyncio
import threading

import pytest
from operations_kit import World
from shared.event_kit import log

from jobdash.errors import StoreError
from jobdash.operations.writer_thread import WriterThread
from jobdash.store.writer import Writer


async def test_writes_that_wait_for_the_disk_together_each_get_their_answer(world: World) -> None:
    def act(number: int) -> int:
        def write(writer: Writer) -> int:
            log(writer, f"test {number}", "done")
            if number == 7:
                raise ValueError("seven")
            return number

        return write  # type: ignore[return-value]

    answers = await asyncio.gather(
        *(world.store.write(act(number)) for number in range(50)),  # type: ignore[arg-type]
        return_exceptions=True,
    )
    assert [str(answer) for answer in answers if isinstance(answer, ValueError)] == ["seven"]
    assert [answer for answer in answers if isinstance(answer, int)] == [*range(7), *range(8, 50)]


async def test_the_dashboards_writer_answers_other_loops_and_says_when_it_is_closed(world: World) -> None:
    worker = WriterThread(world.config.database, "test", world.ms)
    ready = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(worker.serve(ready.set)), daemon=True)
    thread.start()
    assert await asyncio.to_thread(ready.wait, 10)
    await asyncio.gather(*(worker.write(lambda writer: log(writer, "many", "done")) for _ in range(30)))
    assert len(world.browser.events(limit=100)) == 30
    worker.stop()
    await asyncio.to_thread(thread.join, 10)
    with pytest.raises(StoreError, match="ending"):
        await worker.write(lambda writer: log(writer, "late", "done"))


async def test_who_asks_while_the_dashboards_writer_ends_is_answered(world: World) -> None:
    worker = WriterThread(world.config.database, "test", world.ms)
    ready, asking = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(worker.serve(ready.set)), daemon=True)
    thread.start()
    assert await asyncio.to_thread(ready.wait, 10)

    async def ask() -> object:
        asking.set()
        return await worker.write(lambda writer: log(writer, "late", "done"))

    asked = [asyncio.create_task(ask()) for _ in range(200)]
    await asyncio.to_thread(asking.wait, 10)
    worker.stop()
    asked += [asyncio.create_task(ask()) for _ in range(200)]
    answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 10)
    assert all(answer is None or isinstance(answer, StoreError) for answer in answers)
