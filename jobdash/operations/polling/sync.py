"""Sync of one account: list its batches, store them, and settle what waits for their states."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field

from jobdash.config.settings import SyncSettings
from jobdash.domain.account import Account
from jobdash.domain.job import AccountHealth
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import TERMINAL, UNFINISHED
from jobdash.domain.time import DAY, HOUR, MINUTE
from jobdash.errors import (
    AuthRejected,
    BadResponse,
    InvalidRequest,
    NotFound,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    SeesNone,
    StoreError,
    Unavailable,
)
from jobdash.operations.accounts.keys import others_alive
from jobdash.operations.accounts.rate_limiter import Sleep
from jobdash.operations.accounts.session import ListPage
from jobdash.operations.actions.reconcile import reconcile, withdraw_unanswered
from jobdash.operations.actions.remove import finish_waiting, give_up_waiting
from jobdash.operations.context import AccountClient, OperationContext
from jobdash.operations.polling.poll_interval import next_poll_ms
from jobdash.operations.polling.single_requests import SingleRequests
from jobdash.operations.polling.sync_report import SyncReport as SyncReport
from jobdash.operations.pricing import price_stale
from jobdash.providers.base import RemotePage
from jobdash.providers.pagination import pages, read_ahead
from jobdash.store.reader import Reader
from jobdash.store.records import IntentKind, UpsertResult
from jobdash.store.writer import Writer

CLAIM_MS = 2 * MINUTE
"""How long after the last renewal of a claim another process may poll the account."""
_KEEP_MS = CLAIM_MS // 4
FULL_EVERY_MS = HOUR
"""A list that is not newest first is read whole this often."""
STUCK_MS = 2 * DAY
"""An unfinished batch older than this is stuck; providers give a batch a day, or two."""
_SETTLED_PAGES = 2
_BACKOFF_MS = (30_000, 60_000, 2 * MINUTE, 5 * MINUTE)


@dataclass
class Sync:
    """One sync of one account; `run` once."""

    account: Account
    caller: AccountClient
    reader: Reader
    work: OperationContext
    settings: SyncSettings = field(default_factory=SyncSettings)
    full: bool = False
    duplicates: tuple[str, ...] = ()
    """Other names for the account's key: what is recorded of the account holds for them, too, and what
    waits for one of them waits for this sync."""
    fingerprint: str | None = None
    """Of the account's key, as the store has it."""
    on_progress: Callable[[int], None] | None = None
    """Called with the number of batches seen so far."""
    sleep: Sleep = asyncio.sleep
    """Waits between two renewals of the claim."""
    _kept_at: int = field(default=0, init=False)
    _others: frozenset[str] = field(default=frozenset(), init=False)

    def __post_init__(self) -> None:
        """Prepare the requests for single jobs."""
        self._singles = SingleRequests(
            self._names, self.caller, self.reader, self.work, self.settings, self._keep_claim, self._upsert
        )

    async def run(self) -> SyncReport:
        """Run the sync; a provider's error is in the report and on the account, never raised."""
        report = SyncReport(self.account.name)
        started = self._kept_at = self.work.clock()
        health = self._health()
        self._others = others_alive(self.reader)
        try:
            async with self._claim_kept():
                await self._poll(report, started, health)
        except ProviderError as error:
            report.error = error
        await price_stale(self.reader, self.work.store, self.work.prices)
        report.next_poll_at = await self._record_health(report, started, health)
        return report

    async def _poll(self, report: SyncReport, started: int, health: AccountHealth | None) -> None:
        # A key that lists other jobs was seen at the last sync: only the jobs in doubt are asked for.
        was_strange = health is not None and health.error_kind == SeesNone.__name__
        singles, full = self._singles, self.full
        strange = await singles.still_strange(report, started, full=full) if was_strange else None
        try:
            await self._list(report, started, health)
        except ProviderError as error:
            if not _of_the_list_alone(error):
                raise
            report.error = error  # single jobs can be asked all the same, and what waits has its turn
        if strange is not None:
            raise strange
        await singles.ask(report, started, full=full)
        await singles.ask_unchanged(report)
        listed = report.error is None
        for name in self._names:
            report.reconciled += await reconcile(name, self.caller, self.reader, self.work, listed=listed)
            report.reconciled += await withdraw_unanswered(name, self.caller, self.work)
        await self._waiting_removals(report)

    @asynccontextmanager
    async def _claim_kept(self) -> AsyncIterator[None]:
        """Renew the claim however long one request waits, so that a 429 does not double the traffic."""

        async def again_and_again() -> None:
            while True:
                await self.sleep(_KEEP_MS / 1000)
                with suppress(StoreError):
                    await self._keep_claim()

        keeping = asyncio.create_task(again_and_again())
        try:
            yield
        finally:
            keeping.cancel()

    async def _keep_claim(self) -> None:
        """Renew the claim of a long sync.

        Also before each request: a task's sleep does not count the time for which a computer is suspended.
        """
        now = self.work.clock()
        if now - self._kept_at >= _KEEP_MS:
            self._kept_at = now
            await self.work.store.write(
                Writer.extend_poll, self.account.name, now + CLAIM_MS, duplicates=self.duplicates
            )

    @property
    def _names(self) -> tuple[str, ...]:
        return (self.account.name, *self.duplicates)

    def _health(self) -> AccountHealth | None:
        return self.reader.health(self.account.name)

    # ── the list ───────────────────────────────────────────────────────────────────────────────────────────

    async def _list(self, report: SyncReport, started: int, health: AccountHealth | None) -> None:
        """Read and store the list, page by page, as far as this sync needs it."""
        first = health is None or not health.first_sync_done
        whole = (
            self.full or first or (not self.caller.capabilities.newest_first and self._hour_is_over(started))
        )
        asked_at: deque[int] = deque()  # of the pages that are not stored yet
        settled_pages = 0

        async def ask(cursor: str | None) -> RemotePage:
            await self._keep_claim()
            asked_at.append(self.work.clock())
            return await self.caller.call(ListPage(cursor))

        # The first page may be enough: the next one is not requested ahead.
        async with aclosing(read_ahead(pages(ask)) if whole else pages(ask)) as listed:
            async for page in listed:
                result = await self._upsert(page.jobs, asked_at.popleft(), listed=True)
                report.add(result)
                report.seen += len(page.jobs)
                if self.on_progress is not None:
                    self.on_progress(report.seen)
                self._singles.knows |= len(result.inserted) < len(page.jobs)
                settled = self._settled(page.jobs, result, started)
                settled_pages = settled_pages + 1 if settled else 0
                if first and not self.full and self._older_than_history(page.jobs, started):
                    break
                if not whole and (
                    settled_pages >= _SETTLED_PAGES or not self.caller.capabilities.newest_first
                ):
                    break

    def _settled(self, jobs: tuple[RemoteJob, ...], result: UpsertResult, now: int) -> bool:
        """Whether everything on a page is known, unchanged and ended, so that no further page is read.

        A batch that is stuck for days counts as ended: it is asked for singly, at its own slow pace, and does
        not make every sync read the whole list.
        """
        news = result.inserted or result.changed
        return bool(jobs) and not news and not any(self._under_way(job, now) for job in jobs)

    @staticmethod
    def _under_way(job: RemoteJob, now: int) -> bool:
        return job.status in UNFINISHED and (job.created_at is None or now - job.created_at < STUCK_MS)

    def _hour_is_over(self, now: int) -> bool:
        # Whole reads fall on the poll that crosses an hour, so that all processes agree without a column.
        health = self._health()
        return health is None or health.ok_at is None or now // FULL_EVERY_MS != health.ok_at // FULL_EVERY_MS

    def _older_than_history(self, jobs: tuple[RemoteJob, ...], now: int) -> bool:
        """Whether a page of a list that is newest first lies beyond what a first sync reads."""
        if not self.caller.capabilities.newest_first or not jobs:
            return False
        oldest = now - self.account.list_history_ms
        return all(
            job.created_at is not None and job.created_at < oldest and job.status in TERMINAL for job in jobs
        )

    async def _upsert(self, jobs: tuple[RemoteJob, ...], asked_at: int, listed: bool = False) -> UpsertResult:
        account, origin = self.account, self.caller.origin
        return await self.work.store.write(
            Writer.upsert,
            account.name,
            account.provider,
            origin,
            jobs,
            asked_at,
            configured=self.work.configured | self._others,
            listed=listed,
        )

    # ── what waits ─────────────────────────────────────────────────────────────────────────────────────────

    async def _waiting_removals(self, report: SyncReport) -> None:
        waiting = [
            intent for name in self._names for intent in self.reader.open_intents(name, IntentKind.REMOVE)
        ]
        for intent in waiting:
            row = self.reader.rows([intent.job_id]).get(intent.job_id)
            if row is None:
                continue
            if row.remote_status not in UNFINISHED:
                report.removals.append(await finish_waiting(intent, row, self.work))
            elif self.work.clock() > intent.deadline:
                report.removals.append(await give_up_waiting(intent, row, self.work))

    # ── health ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _record_health(self, report: SyncReport, started: int, before: AccountHealth | None) -> int:
        now = self.work.clock()
        error = report.error
        retry_after = error.retry_after if isinstance(error, RateLimited | Unavailable) else None
        if error is None:
            origin = self.caller.origin
            rows = [row for name in self._names for row in self.reader.shortest_interval_jobs(name, origin)]
            wait = next_poll_ms(rows, now, self.settings)
        else:
            wait = _backoff(before, error)
        if retry_after is not None:
            wait = max(wait, int(retry_after * 1000))
        next_poll_at = now + min(wait, self.settings.slowest_ms)
        seen = (before.discovered if before else 0) + report.new

        await self.work.store.write(
            Writer.set_health,
            self.account.name,
            self.account.provider,
            duplicates=self.duplicates,
            asked_at=started,
            next_poll_at=next_poll_at,
            error=None if error is None else health_error_text(error, self.account),
            error_kind=None if error is None else type(error).__name__,
            retry_after_until=None if retry_after is None else now + int(retry_after * 1000),
            discovered=seen,
            first_sync_done=True if error is None else None,
            claimed=True,
            fingerprint=self.fingerprint,
        )
        return next_poll_at


def _of_the_list_alone(error: ProviderError) -> bool:
    """Whether an error of the list may be one of the list alone, and not of the account or the network."""
    if isinstance(error, Unavailable):
        return error.status is not None and error.retry_after is None
    return isinstance(error, NotFound | InvalidRequest | BadResponse)


def _backoff(before: AccountHealth | None, error: ProviderError | StoreError) -> int:
    """Return how long to wait before a failing account is polled again: longer, the longer it fails."""
    if isinstance(error, AuthRejected | QuotaExhausted | SeesNone):
        return _BACKOFF_MS[-1]
    if before is None or before.error is None or before.asked_at is None:
        return _BACKOFF_MS[0]
    failing = before.asked_at - (before.ok_at or before.asked_at)
    return next((wait for wait in _BACKOFF_MS if failing < 2 * wait), _BACKOFF_MS[-1])


def health_error_text(error: ProviderError | StoreError, account: Account) -> str:
    """Return the error for the account line: short, and with what to do about it."""
    if isinstance(error, StoreError):
        return str(error)
    if isinstance(error, RateLimited):
        return f"too many requests ({error.status})" if error.status else "too many requests"
    if isinstance(error, AuthRejected | QuotaExhausted) and error.status is not None:
        return str(error)
    if isinstance(error, AuthRejected):
        return str(error) if account.api_key else f"no key: set {account.key_env}"
    return error.full_text
