"""Sync of several accounts for a command; each fails by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

from jobdash.config.settings import Config
from jobdash.domain.account import Account
from jobdash.domain.plan import ActionOutcome, ActionResult
from jobdash.errors import AuthRejected, ConfigError, KeyDiffers, ProviderError, StoreError
from jobdash.operations.accounts.clients import AccountClients, duplicate_accounts
from jobdash.operations.actions.abandoned import NOT_CONFIRMED, polled_accounts
from jobdash.operations.context import OperationContext
from jobdash.operations.job_lookup import Browser
from jobdash.operations.polling.poller import Poller
from jobdash.operations.polling.sync import SyncReport
from jobdash.store.writer import Writer

OnProgress = Callable[[str, int], None]
"""Called with an account's name and the number of batches it has shown so far."""


@dataclass(frozen=True)
class AccountSyncs:
    """Syncs accounts; a key that has two names is synced once."""

    config: Config
    accounts: AccountClients
    browser: Browser
    work: OperationContext
    on_progress: OnProgress = lambda _name, _seen: None

    async def run(
        self, names: Collection[str] | None = None, *, full: bool = False, send: bool = False
    ) -> list[SyncReport]:
        """Sync the named accounts (all, when None), due or not; errors are in the reports.

        ``send``: also send what waits in the queue, as far as there is room. StoreError when nothing could
        be written.
        """
        doubles = duplicate_accounts(self.config.accounts)
        asked = [
            account
            for account in self.config.accounts
            if (account.name not in doubles if names is None else account.name in names)
        ]
        if not asked:
            return []
        reports = list(
            await asyncio.gather(*(self._reported(account, full=full, send=send) for account in asked))
        )
        lost = [report.error for report in reports if isinstance(report.error, StoreError)]
        if lost and len(lost) == len(reports):
            raise lost[0]
        await self._give_up_removals(reports)
        return reports

    async def _give_up_removals(self, reports: list[SyncReport]) -> None:
        """End removals whose time is over, also of accounts not polled any more; they are in the reports."""
        names = polled_accounts(self.config)
        for row in await self.work.store.write(Writer.give_up_removals, names):
            report = next((each for each in reports if each.account == row.account), reports[0])
            report.removals.append(ActionOutcome(row, ActionResult.FAILED, NOT_CONFIRMED, row.status))

    async def if_due(self, account: Account, *, overdue: bool = False) -> SyncReport | None:
        """Sync an account when it is due, or ``overdue``, and no other process polls it; send its queue."""
        poller = self._poller(account)
        mine = await poller.claim(self.work.store, overdue=overdue)
        return await self._sync(poller, full=False, send=True) if mine else None

    def _poller(self, account: Account) -> Poller:
        return Poller(account, self.config, self.work.clock)

    async def _reported(self, account: Account, *, full: bool, send: bool) -> SyncReport:
        """Sync an account; a failed write is reported as its error and ends no other account's sync."""
        try:
            return await self._now(account, full=full, send=send)
        except StoreError as error:
            return SyncReport(account.name, error=error, next_poll_at=self.work.clock())

    async def _now(self, account: Account, *, full: bool, send: bool) -> SyncReport:
        await self.work.store.write(Writer.poll_now, account.name)
        poller = self._poller(account)
        try:
            await poller.claim(self.work.store)  # so that a dashboard elsewhere leaves it alone meanwhile
        except KeyDiffers as error:
            return SyncReport(account.name, error=AuthRejected(str(error)), next_poll_at=self.work.clock())
        return await self._sync(poller, full=full, send=send)

    async def _sync(self, poller: Poller, *, full: bool, send: bool) -> SyncReport:
        name = poller.account.name
        client = self.accounts[name]
        try:
            await client.open()
        except (ProviderError, ConfigError) as error:
            failure = error if isinstance(error, ProviderError) else AuthRejected(str(error))
            next_poll_at = await poller.record_failure(error, self.work.store)
            return SyncReport(name, error=failure, next_poll_at=next_poll_at)
        report = await poller.sync(
            client, self.browser, self.work, lambda seen: self.on_progress(name, seen), full=full
        )
        if send and report.error is None:
            report.sent += await poller.send_queued(client, self.work)
        return report


def rejected(report: SyncReport) -> bool:
    """Whether an account failed for its key or settings, so that asking again is useless."""
    return isinstance(report.error, AuthRejected)
