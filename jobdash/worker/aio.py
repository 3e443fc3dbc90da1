"""A job under asyncio: claim and end in a thread, so that an event loop never waits for the store.

An item's own write takes about 0.1 ms and is done in place; when other programs are writing it waits at most
0.1 s, and then the heartbeat's thread writes it and those that follow.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Iterable
from typing import TypeVar

from jobdash.worker import process
from jobdash.worker.item import Item
from jobdash.worker.job import Job, JobOptions
from jobdash.worker.job_run import JobRun
from jobdash.worker.outcome import LoopInstruction, handled, instruction
from jobdash.worker.settings import TrackOptions

T = TypeVar("T")


class AsyncJob(Job[T]):
    """A running job; ``async for item in job`` gives what is still to be done."""

    def __init__(self, run: JobRun, source: Iterable[T] | AsyncIterable[T], rules: JobOptions) -> None:
        sync_source: Iterable[T] = source if isinstance(source, Iterable) else iter(())
        super().__init__(run, sync_source, rules)
        self._async_source = source

    async def __aiter__(self) -> AsyncIterator[Item[T]]:
        self.begin_pass()
        self.check()
        async for value, key in self._to_do_as_it_comes():
            item = self.item(value, key)
            yield item
            self._outstanding.pass_by(item)
            self.check()
        self.exhausted()

    async def _to_do_as_it_comes(self) -> AsyncIterator[tuple[T, str | None]]:
        if isinstance(self._async_source, Iterable):
            for pair in self._to_do():
                yield pair
            return
        async for value in self._async_source:
            for pair in self.unprocessed([value]):
                yield pair


class CountedValues(AsyncIterator[T]):
    """The values of a plain ``async for``, each counted when the next is asked for.

    It knows the instruction that left the loop: the generator itself is closed by the event loop, later.
    """

    def __init__(self, options: TrackOptions, source: Iterable[T] | AsyncIterable[T]) -> None:
        self._left_at: list[LoopInstruction] = []
        self._values = _counted(options, source, self._left_at)

    def __anext__(self) -> Awaitable[T]:
        return self._values.__anext__()

    async def aclose(self) -> None:
        """End the loop."""
        await self._values.aclose()

    def __del__(self) -> None:
        at = instruction(sys._getframe().f_back)  # noqa: SLF001 - see `JobRun.leave`
        if at is not None:
            self._left_at.append(at)


async def _counted(
    options: TrackOptions, source: Iterable[T] | AsyncIterable[T], left_at: list[LoopInstruction]
) -> AsyncGenerator[T, None]:
    before = sys.exc_info()[1]
    run = await _begun(options)
    token, total, done = run.token, run.total, 0
    try:
        async for value in _values(source):
            if token.stopped:
                raise run.stop()
            yield value
            done += 1
            run.succeeded = done
            # (another thread sets it)
            if token.stopped and (done != total or token.lost is not None):  # type: ignore[unreachable]
                raise run.stop()
        if run.total != done:
            await asyncio.to_thread(run.set_total, done)
        await _concluded(run, None, exhausted=True)
    except BaseException as error:
        if left_at:  # it is the event loop that closes the generator now, or cancels the task which does
            await _left(run, None, done + 1, left_at[-1])
            raise
        if isinstance(error, GeneratorExit):
            await _left(run, handled(before), done + 1, None)
            raise
        await _concluded(run, error, exhausted=False)
        if run.continues(error):
            return
        raise
    if run.end_status == "cancelled" and not run.continues():
        raise run.stop()


async def enter(
    options: TrackOptions, source: Iterable[T] | AsyncIterable[T], rules: JobOptions
) -> AsyncJob[T]:
    """Claim a job for an ``async with`` block."""
    run = await _begun(options)
    job = AsyncJob(run, source, rules)
    try:
        await asyncio.to_thread(job.seed)
    except BaseException as error:
        await _concluded(run, error, exhausted=False)
        raise
    job.entered()
    return job


async def leave(job: AsyncJob[T], error: BaseException | None) -> bool:
    """End a job as its ``async with`` block was left; whether ``error`` goes no further."""
    job.left()
    process.stop_listening(job.token)
    return await asyncio.to_thread(job.conclude, error)


async def _begun(options: TrackOptions) -> JobRun:
    run = JobRun(options._replace(on_a_loop=True))
    try:
        await asyncio.to_thread(run.begin)
        process.listen(run.token)
    except BaseException as error:  # cancelled for one, while the thread goes on claiming
        await _concluded(run, error, exhausted=False)
        raise
    return run


async def _concluded(run: JobRun, error: BaseException | None, *, exhausted: bool) -> None:
    process.stop_listening(run.token)
    await asyncio.to_thread(run.conclude, error, exhausted)


async def _left(run: JobRun, error: BaseException | None, yielded: int, at: LoopInstruction | None) -> None:
    process.stop_listening(run.token)
    try:
        await asyncio.to_thread(run.leave, error, yielded, at)
    except RuntimeError:  # no event loop runs any more that could stand still
        run.leave(error, yielded, at)


async def _values(source: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(source, AsyncIterable):
        async for value in source:
            yield value
    else:
        for value in source:
            yield value
