"""Waiting until jobs have ended, asking their accounts whenever it is their turn and nobody else does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from jobdash.domain.job import JobRow
from jobdash.domain.marks import stalled, starting, waits_for_script, worker_gone
from jobdash.errors import ConfigError
from jobdash.operations.limiter import Sleep
from jobdash.operations.sync import SyncReport
from jobdash.operations.sync_all import AccountSyncs, rejected

LOOK_AGAIN_MS = 2_000
"""The longest time between two looks at the store: a dashboard elsewhere may have the news."""
_SHORTEST_MS = 50
_LOCAL_LOOK_MS = 250


@dataclass(frozen=True, slots=True)
class Waited:
    """How the waiting ended."""

    rows: Mapping[int, JobRow]
    """The jobs as they are now."""
    timed_out: bool = False
    stopped: bool = False
    nobody_runs: bool = False
    """Only jobs are left that wait for their scripts, or whose scripts are not heard of any more."""


@dataclass
class Waiting:
    """What to wait for, and who hears of it."""

    ids: tuple[int, ...]
    ended: Callable[[JobRow], bool]
    """Whether nothing more is to be waited for in a job."""
    deadline: int | None
    """Milliseconds UTC; None: for ever."""
    on_change: Callable[[JobRow], None] = lambda _row: None
    on_sync: Callable[[SyncReport], None] = lambda _report: None
    sleep: Sleep = asyncio.sleep
    _told: dict[int, int] = field(default_factory=dict, init=False)

    def rows(self, syncs: AccountSyncs) -> dict[int, JobRow]:
        """Read the jobs, and tell of those that changed since the last look.

        StoreError when the store was deleted, moved or replaced: no change would ever be seen.
        """
        syncs.browser.refuse_replaced()
        rows = syncs.browser.rows(self.ids)
        for row in rows.values():
            if self._told.get(row.id) != row.revision:
                self._told[row.id] = row.revision
                self.on_change(row)
        return rows


async def wait_until(waiting: Waiting, syncs: AccountSyncs) -> Waited:
    """Wait until all jobs have ended, the deadline has passed, or ``work.stop`` is set.

    ConfigError when an account that has to be asked rejects its key: waiting on would be for ever.
    """
    clock, stop = syncs.work.clock, syncs.work.stop
    while True:
        rows = waiting.rows(syncs)
        open_rows = [row for row in rows.values() if not waiting.ended(row)]
        if not open_rows:
            return Waited(rows)
        if all(_nobody_runs(row, clock()) for row in open_rows):
            return Waited(rows, nobody_runs=True)
        if any(worker_gone(row, clock()) for row in open_rows):
            await syncs.work.store.write(lambda writer: writer.close_abandoned_cancels())
            continue
        if stop.is_set():
            return Waited(rows, stopped=True)
        if waiting.deadline is not None and clock() >= waiting.deadline:
            return Waited(rows, timed_out=True)
        try:
            # A provider that hangs has its own patience; the deadline is a person's.
            async with asyncio.timeout(_left_s(waiting, clock())):
                asked = await _ask(open_rows, waiting, syncs)
        except TimeoutError:
            return Waited(waiting.rows(syncs), timed_out=True)
        if asked:
            continue
        await _rest(_pause_ms(open_rows, waiting, syncs), waiting.sleep, syncs)


def _nobody_runs(row: JobRow, now: int) -> bool:
    return stalled(row, now) or (waits_for_script(row) and not starting(row, now))


def _left_s(waiting: Waiting, now: int) -> float | None:
    return None if waiting.deadline is None else (waiting.deadline - now) / 1000


async def _ask(open_rows: Iterable[JobRow], waiting: Waiting, syncs: AccountSyncs) -> bool:
    """Sync the accounts that are due; return whether any was."""
    asked = False
    for name in sorted({row.account for row in open_rows if not row.local}):
        account = syncs.config.account(name)
        if account is None:
            raise ConfigError(f"account {name} is not configured any more: nobody can be asked")
        report = await syncs.if_due(account)
        if report is None:
            continue
        asked = True
        waiting.on_sync(report)
        if rejected(report):
            raise ConfigError(f"{name}: {report.error}")
    return asked


def _pause_ms(open_rows: Iterable[JobRow], waiting: Waiting, syncs: AccountSyncs) -> int:
    now = syncs.work.clock()
    names = {row.account for row in open_rows if not row.local}
    moments = [health.next_poll_at for health in syncs.browser.accounts() if health.name in names]
    if waiting.deadline is not None:
        moments.append(waiting.deadline)
    if any(row.local for row in open_rows):  # a look at the store is all it takes
        moments.append(now + _LOCAL_LOOK_MS)
    soonest = min(moments, default=now) - now
    return max(_SHORTEST_MS, min(soonest, LOOK_AGAIN_MS))


async def _rest(ms: int, sleep: Sleep, syncs: AccountSyncs) -> None:
    """Sleep, unless or until the stop is set."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(stopped.set)

    resting = asyncio.ensure_future(sleep(ms / 1000))
    waking = asyncio.ensure_future(stopped.wait())
    with syncs.work.stop.calls(wake):
        try:
            await asyncio.wait((resting, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            resting.cancel()
            waking.cancel()
