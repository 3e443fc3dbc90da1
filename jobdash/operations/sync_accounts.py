"""Sync of several accounts for a command; each fails by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

from jobdash.config.settings import Config
from jobdash.domain.account import Account
from jobdash.domain.plan import ActionOutcome, ActionResult
from jobdash.errors import AuthRejected, ConfigError, ProviderError, StoreError
from jobdash.operations.abandoned import NOT_CONFIRMED
from jobdash.operations.abandoned import asked as askable
from jobdash.operations.account_clients import AccountClients, duplicate_accounts, other_names
from jobdash.operations.context import OperationContext
from jobdash.operations.job_lookup import Browser
from jobdash.operations.sync import CLAIM_MS, Sync, SyncReport, health_error_text, record_not_asked
from jobdash.store.writer import Writer

OnProgress = Callable[[str, int], None]
"""Called with an account's name and the number of batches it has shown so far."""


@dataclass(frozen=True)
class AccountSyncs:
    """Asks accounts what they have; a key that has two names is asked once."""

    config: Config
    accounts: AccountClients
    browser: Browser
    work: OperationContext
    on_progress: OnProgress = lambda _name, _seen: None

    async def run(self, names: Collection[str] | None = None, *, full: bool = False) -> list[SyncReport]:
        """Sync the named accounts (all, when None), due or not; errors are in the reports.

        StoreError when nothing could be written.
        """
        doubles = duplicate_accounts(self.config.accounts)
        asked = [
            account
            for account in self.config.accounts
            if (account.name not in doubles if names is None else account.name in names)
        ]
        if not asked:
            return []
        reports = list(await asyncio.gather(*(self._reported(account, full=full) for account in asked)))
        lost = [report.error for report in reports if isinstance(report.error, StoreError)]
        if lost and len(lost) == len(reports):
            raise lost[0]
        await self._give_up_removals(reports)
        return reports

    async def _give_up_removals(self, reports: list[SyncReport]) -> None:
        """End removals that waited in vain, also of accounts not polled any more; they are in the reports."""
        names = askable(self.config.accounts)
        for row in await self.work.store.write(Writer.give_up_removals, names):
            report = next((each for each in reports if each.account == row.account), reports[0])
            report.removals.append(ActionOutcome(row, ActionResult.FAILED, NOT_CONFIRMED, row.status))

    async def if_due(self, account: Account, *, overdue: bool = False) -> SyncReport | None:
        """Sync an account when it is due, or ``overdue``, and no other process is on it."""
        mine = await self._claim(account, overdue=overdue)
        return await self._sync(account, full=False) if mine else None

    async def _reported(self, account: Account, *, full: bool) -> SyncReport:
        """Sync an account; what cannot be written of it is its own error and hides no other account."""
        try:
            return await self._now(account, full=full)
        except StoreError as error:
            return SyncReport(account.name, error=error, next_poll_at=self.work.clock())

    async def _now(self, account: Account, *, full: bool) -> SyncReport:
        await self.work.store.write(Writer.poll_now, account.name)
        await self._claim(account)  # so that a dashboard elsewhere leaves it alone meanwhile
        return await self._sync(account, full=full)

    async def _claim(self, account: Account, *, overdue: bool = False) -> bool:
        """Return whether it is this process's turn to poll an account; if so, no other's for a while."""
        now, longest = self.work.clock(), self.config.sync.slowest_ms + CLAIM_MS
        return await self.work.store.write(
            Writer.claim_poll,
            account.name,
            account.provider,
            now,
            now + CLAIM_MS,
            longest,
            duplicates=other_names(self.config.accounts, account.name),
            overdue=overdue,
        )

    async def _sync(self, account: Account, *, full: bool) -> SyncReport:
        caller = self.accounts[account.name]
        try:
            await caller.open()
        except (ProviderError, ConfigError) as error:
            return await self._could_not_open(account, error)
        sync = Sync(
            account,
            caller,
            self.browser,
            self.work,
            self.config.sync,
            full=full,
            duplicates=other_names(self.config.accounts, account.name),
            on_progress=lambda seen: self.on_progress(account.name, seen),
        )
        return await sync.run()

    async def _could_not_open(self, account: Account, error: ProviderError | ConfigError) -> SyncReport:
        failure = error if isinstance(error, ProviderError) else AuthRejected(str(error))
        now = self.work.clock()
        next_poll_at = now + self.config.sync.fastest_ms
        await record_not_asked(
            (account.name, *other_names(self.config.accounts, account.name)),
            account.provider,
            self.work.store,
            now=now,
            next_poll_at=next_poll_at,
            words=health_error_text(failure, account),
            kind=type(error).__name__,
        )
        return SyncReport(account.name, error=failure, next_poll_at=next_poll_at)


def rejected(report: SyncReport) -> bool:
    """Whether an account failed for its key or settings, so that asking again is useless."""
    return isinstance(report.error, AuthRejected)
