"""A sleep that a stop ends."""

from __future__ import annotations

import asyncio

from jobdash.operations.rate_limiter import CancelToken, Sleep


async def sleep_until_cancelled(seconds: float, sleep: Sleep, stop: CancelToken) -> None:
    """Sleep, unless or until the stop is set."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(stopped.set)

    resting = asyncio.ensure_future(sleep(seconds))
    waking = asyncio.ensure_future(stopped.wait())
    with stop.calls(wake):
        try:
            await asyncio.wait((resting, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            resting.cancel()
            waking.cancel()
