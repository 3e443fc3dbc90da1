"""Watching without a screen: the accounts are polled, results fetched, notifications sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass

from jobdash.config.settings import Config
from jobdash.domain.job import JobRow
from jobdash.domain.time import Clock, system_clock
from jobdash.errors import StoreError
from jobdash.operations.accounts.rate_limiter import CancelToken, sleep_until_cancelled
from jobdash.operations.actions.abandoned import polled_accounts
from jobdash.operations.ended_jobs import ALL, EndedJobs
from jobdash.operations.job_lookup import Browser
from jobdash.operations.notify import POLL_EVERY_S, Notifier
from jobdash.operations.polling.account_worker import AccountWorker, close_abandoned
from jobdash.operations.polling.outage import PASSING, StoreOutage
from jobdash.operations.polling.sync import SyncReport
from jobdash.operations.results.fetch_request import FetchedResults
from jobdash.operations.writer_thread import WriterThread

LAST_S = 5.0
"""How long the end of a watch waits for notifications: a service manager kills what takes long to stop."""


@dataclass(frozen=True)
class Watch:
    """Does what a dashboard does by itself, in one event loop, until it is stopped."""

    config: Config
    store: WriterThread
    notifier: Notifier | None
    on_begin: Callable[[], None]
    """Called when what ends from now on is reported."""
    on_ended: Callable[[JobRow], None]
    on_sync: Callable[[SyncReport], None]
    on_trouble: Callable[[str, str], None]
    """Called with an account and a sentence."""
    on_fetched: Callable[[FetchedResults], None]
    on_outage: Callable[[str], None]
    """Called with a sentence when the store does not answer, and when it does again."""
    clock: Clock = system_clock

    async def run(self, stop: CancelToken) -> None:
        """Watch until the token is set; an outage of the store is waited out.

        Raises `StoreError` when the store was deleted or replaced, and when its server refuses us for good.
        """
        workers = {account.name: self._worker(account.name) for account in self.config.accounts}
        tasks = [asyncio.ensure_future(worker.serve(self.store, workers)) for worker in workers.values()]
        names = polled_accounts(self.config)
        abandoned = asyncio.ensure_future(
            close_abandoned(self.store, names, lambda row, why: self.on_trouble(row.account, why))
        )
        sending = asyncio.ensure_future(self._keep_sending(stop))
        tasks += [abandoned, sending]
        try:
            with closing(Browser(self.config.database, self.clock)) as browser:
                ended, outage = EndedJobs(browser, ALL), StoreOutage(self.on_outage)
                self.on_begin()
                while not stop.is_set():
                    self._look(browser, ended, outage)
                    await sleep_until_cancelled(POLL_EVERY_S, asyncio.sleep, stop)
                self._look(browser, ended, outage)
            await self._send_last(sending)
        finally:
            for worker in workers.values():
                worker.stop()
            abandoned.cancel()
            sending.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _look(self, browser: Browser, ended: EndedJobs, outage: StoreOutage) -> None:
        try:
            self.report_ended(browser, ended)
            outage.end(browser)
        except PASSING as error:
            outage.begin(error)

    def _report_sync(self, report: SyncReport) -> None:
        if not isinstance(report.error, PASSING):  # which is reported once, and not for each account
            self.on_sync(report)

    def report_ended(self, browser: Browser, ended: EndedJobs) -> None:
        """Report what has ended since the last call; what could not be reported comes with the next one.

        Raises `StoreError` when the store was replaced, or does not answer.
        """
        browser.refuse_replaced()
        ended.report(self.on_ended)

    async def _keep_sending(self, stop: CancelToken) -> None:
        """Send notifications in a task of its own: a program or a server may be slow."""
        if self.notifier is not None:
            await self.notifier.keep_sending(stop)

    async def _send_last(self, sending: asyncio.Future[None]) -> None:
        """Send the claimed and the last notifications; report it where that takes too long."""
        if self.notifier is None:
            return
        try:
            async with asyncio.timeout(LAST_S):
                await sending
                with suppress(StoreError):
                    await self.notifier.send_new()
        except TimeoutError:
            self.notifier.on_error(f"what was not notified of within {LAST_S:g} s is not sent any more")

    def _worker(self, name: str) -> AccountWorker:
        account = self.config.account(name)
        assert account is not None
        return AccountWorker(
            account,
            self.config,
            self.clock,
            on_wait=lambda _name, _until: None,
            on_sync=self._report_sync,
            on_progress=lambda _name, _seen: None,
            on_trouble=self.on_trouble,
            on_fetched=self.on_fetched,
        )
