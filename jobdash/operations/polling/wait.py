"""Waiting until jobs have ended; polls their accounts when they are due and no other process does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from jobdash.domain.backends.registry import rules_of
from jobdash.domain.job import JobRow
from jobdash.domain.time import Clock
from jobdash.errors import ConfigError
from jobdash.operations.accounts.rate_limiter import CancelToken, Sleep, sleep_until_cancelled
from jobdash.operations.job_lookup import Browser
from jobdash.operations.polling.outage import PASSING, RETRY_MS, StoreOutage
from jobdash.operations.polling.poll_interval import overdue_at, rest_ms
from jobdash.operations.polling.sync import CLAIM_MS, SyncReport
from jobdash.operations.polling.sync_accounts import AccountSyncs, rejected
from jobdash.store.writer import Writer

POLL_MS = 2_000
"""The longest time between two polls of the store: another dashboard may have written a change."""
_SHORTEST_MS = 50
_LOCAL_POLL_MS = 250


@dataclass(frozen=True, slots=True)
class WaitResult:
    """The result of a wait."""

    rows: Mapping[int, JobRow]
    """The jobs as they are now."""
    timed_out: bool = False
    stopped: bool = False
    nobody_runs: bool = False
    """Only jobs are left that wait for their scripts, or whose scripts or workers are not heard of."""


@dataclass
class WaitProgress:
    """What to wait for, and callbacks for what happens meanwhile."""

    ids: tuple[int, ...]
    ended: Callable[[JobRow], bool]
    """Whether nothing more is to be waited for in a job."""
    deadline: int | None
    """Milliseconds UTC; None: for ever."""
    on_change: Callable[[JobRow], None] = lambda _row: None
    on_sync: Callable[[SyncReport], None] = lambda _report: None
    sleep: Sleep = asyncio.sleep
    outage: StoreOutage = field(default_factory=StoreOutage)
    """What is reported while the store does not answer."""
    last: dict[int, JobRow] = field(default_factory=dict, init=False)
    """The jobs as they were last read."""
    _reported: dict[int, int] = field(default_factory=dict, init=False)
    rests: dict[str, int] = field(default_factory=dict, init=False)
    """By account: until when it is left alone, milliseconds UTC."""
    asking: str | None = field(default=None, init=False)
    """The account that is being asked; at the end, the one that had not answered."""

    def rows(self, browser: Browser) -> dict[int, JobRow]:
        """Read the jobs, and report those that changed since the last poll.

        StoreError when the store was deleted, moved or replaced: no change would ever be seen.
        """
        browser.refuse_replaced()
        rows = self.last = browser.rows(self.ids)
        for row in rows.values():
            if self._reported.get(row.id) != row.revision:
                self._reported[row.id] = row.revision
                self.on_change(row)
        return rows


async def wait_until(waiting: WaitProgress, syncs: AccountSyncs) -> WaitResult:
    """Wait until all jobs have ended, the deadline has passed, or ``work.stop`` is set.

    An outage of the store is waited out. ConfigError when an account that has to be asked rejects its key:
    waiting on would be for ever.
    """
    work = syncs.work
    return await _repeated(lambda: _ask_step(waiting, syncs), waiting, syncs.browser, work.clock, work.stop)


async def poll_until(waiting: WaitProgress, browser: Browser, stop: CancelToken) -> WaitResult:
    """Wait as `wait_until` does, with a store that is read only: other processes poll and write."""
    return await _repeated(lambda: _read_step(waiting, browser, stop), waiting, browser, browser.clock, stop)


async def _repeated(
    step: Callable[[], Awaitable[WaitResult | int]],
    waiting: WaitProgress,
    browser: Browser,
    clock: Clock,
    stop: CancelToken,
) -> WaitResult:
    """Repeat a step of a wait until it has a result; else it returns the milliseconds until the next one."""
    while True:
        found: WaitResult | int
        try:
            found = await step()
            waiting.outage.end(browser)
        except PASSING as error:
            waiting.outage.begin(error)
            now, deadline = clock(), waiting.deadline
            found = RETRY_MS if deadline is None else max(0, min(RETRY_MS, deadline - now))
            if stop.is_set() or not found:
                found = WaitResult(waiting.last, timed_out=not found, stopped=stop.is_set())
        if isinstance(found, WaitResult):
            return found
        if found:
            await sleep_until_cancelled(found / 1000, waiting.sleep, stop)


async def _ask_step(waiting: WaitProgress, syncs: AccountSyncs) -> WaitResult | int:
    """Look at the jobs, and ask the accounts that are due."""
    clock, stop = syncs.work.clock, syncs.work.stop
    rows = waiting.rows(syncs.browser)
    open_rows = [row for row in rows.values() if not waiting.ended(row)]
    if not open_rows:
        return WaitResult(rows)
    if all(_nobody_runs(row, clock()) for row in open_rows):
        return WaitResult(rows, nobody_runs=True)
    if any(row.worker_gone(clock()) for row in open_rows):
        await syncs.work.store.write(Writer.close_abandoned_cancels)
        return 0
    if stop.is_set():
        return WaitResult(rows, stopped=True)
    if waiting.deadline is not None and clock() >= waiting.deadline:
        return WaitResult(rows, timed_out=True)
    try:
        # A provider that hangs has its own patience; the deadline is a person's.
        async with asyncio.timeout(_left_s(waiting, clock())):
            asked = await _ask(open_rows, waiting, syncs)
    except TimeoutError:
        return WaitResult(waiting.rows(syncs.browser), timed_out=True)
    return 0 if asked else _pause_ms(open_rows, waiting, syncs)


async def _read_step(waiting: WaitProgress, browser: Browser, stop: CancelToken) -> WaitResult | int:
    """Look at the jobs."""
    rows = waiting.rows(browser)
    now = browser.now
    open_rows = [row for row in rows.values() if not (waiting.ended(row) or row.worker_gone(now))]
    nobody_runs = bool(open_rows) and all(_nobody_runs(row, now) for row in open_rows)
    timed_out = waiting.deadline is not None and now >= waiting.deadline
    if not open_rows or nobody_runs or stop.is_set() or timed_out:
        return WaitResult(rows, timed_out and bool(open_rows), stop.is_set(), nobody_runs)
    return _LOCAL_POLL_MS


def _nobody_runs(row: JobRow, now: int) -> bool:
    return row.stalled(now) or (row.waits_for_script and not row.starting(now))


def _left_s(waiting: WaitProgress, now: int) -> float | None:
    return None if waiting.deadline is None else (waiting.deadline - now) / 1000


async def _ask(open_rows: Iterable[JobRow], waiting: WaitProgress, syncs: AccountSyncs) -> bool:
    """Sync the accounts that are due, or overdue for a job that is waited for; return whether any was."""
    asked = False
    clock, settings = syncs.work.clock, syncs.config.sync
    for name, rows in sorted(_by_account(open_rows).items()):
        account = syncs.config.account(name)
        if account is None and _asked_elsewhere(name, syncs):
            continue  # somebody else polls it with its key; what they find is in the store
        if account is None:
            otherwise = f"account {name} is not configured any more: its provider cannot be asked"
            raise ConfigError(syncs.config.unusable_words.get(name, otherwise))
        for row in rows:
            syncs.work.caller(row)
        began = clock()
        if began < waiting.rests.get(name, 0):
            continue
        health = syncs.browser.health(name)
        overdue = health is None or overdue_at(health, rows, began, settings) <= began
        waiting.asking = name
        report = await syncs.if_due(account, overdue=overdue)
        waiting.asking = None
        if report is None:
            continue
        asked = True
        waiting.rests[name] = clock() + rest_ms(clock() - began, settings)
        if not isinstance(report.error, PASSING):  # which is reported once, and not for each account
            waiting.on_sync(report)
        if rejected(report):
            raise ConfigError(f"{name}: {report.error}")
    return asked


def _asked_elsewhere(name: str, syncs: AccountSyncs) -> bool:
    """Whether another person has an account's key, and polls it now."""
    if all(other.name != name for other in syncs.config.others):
        return False
    health, lately = syncs.browser.health(name), syncs.config.sync.slowest_ms + CLAIM_MS
    return health is not None and syncs.work.clock() - (health.asked_at or 0) <= lately


def _pause_ms(open_rows: Iterable[JobRow], waiting: WaitProgress, syncs: AccountSyncs) -> int:
    now, settings = syncs.work.clock(), syncs.config.sync
    moments: list[int] = []
    for name, rows in _by_account(open_rows).items():
        if (health := syncs.browser.health(name)) is None:
            continue
        moment = min(health.next_poll_at, overdue_at(health, rows, now, settings))
        # What is due and was not asked is on its way in another process.
        moment = moment if moment > now else now + POLL_MS
        moments.append(max(moment, waiting.rests.get(name, 0)))
    if waiting.deadline is not None:
        moments.append(waiting.deadline)
    if any(not rules_of(row).at_provider for row in open_rows):  # reading the store is enough
        moments.append(now + _LOCAL_POLL_MS)
    soonest = min(moments, default=now) - now
    return max(_SHORTEST_MS, min(soonest, POLL_MS))


def _by_account(rows: Iterable[JobRow]) -> dict[str, list[JobRow]]:
    found: dict[str, list[JobRow]] = {}
    for row in rows:
        if rules_of(row).at_provider:
            found.setdefault(row.account, []).append(row)
    return found
