"""The poller of one account: it claims the poll for this process, runs the sync, and records failures."""

from __future__ import annotations

from collections.abc import Callable

from jobdash.config.settings import Config
from jobdash.domain.account import Account
from jobdash.domain.time import Clock
from jobdash.errors import JobdashError, ProviderError
from jobdash.operations.accounts.clients import duplicate_accounts, other_names
from jobdash.operations.accounts.keys import fingerprint
from jobdash.operations.context import AccountClient, OperationContext
from jobdash.operations.polling.sync import CLAIM_MS, Sync, SyncReport, health_error_text
from jobdash.operations.submission.outcome import SubmitOutcome
from jobdash.operations.submission.queue import send_queued
from jobdash.operations.writer_thread import WriterThread
from jobdash.store.reader import Reader
from jobdash.store.writer import Writer


class Poller:
    """Polls one account, for the dashboard and for commands; only one process polls an account at a time."""

    def __init__(self, account: Account, config: Config, clock: Clock) -> None:
        self.account = account
        self.is_duplicate = account.name in duplicate_accounts(config.accounts)
        """It is another name for an earlier account's key, which is polled instead."""
        self.longest_ms = config.sync.slowest_ms + CLAIM_MS
        """The longest time until an account is due, however long it was to wait."""
        self._settings = config.sync
        self._clock = clock
        self._duplicates = other_names(config.accounts, account.name)
        self._fingerprint = fingerprint(account, config.secret)
        self.names = (account.name, *self._duplicates)
        """All names of the account's key."""
        self._accounts = [each for each in config.accounts if each.name in self.names]

    async def claim(self, store: WriterThread, *, overdue: bool = False) -> bool:
        """Return whether this process may poll the account; if so, no other does until `CLAIM_MS` later.

        ``overdue`` claims it although it is not due. Raises `KeyDiffers` when the store has another key under
        its name by now.
        """
        now = self._clock()
        return await store.write(
            Writer.claim_poll,
            self.account.name,
            self.account.provider,
            now,
            now + CLAIM_MS,
            self.longest_ms,
            duplicates=self._duplicates,
            overdue=overdue,
            fingerprint=self._fingerprint,
        )

    async def sync(
        self,
        client: AccountClient,
        reader: Reader,
        work: OperationContext,
        on_progress: Callable[[int], None],
        *,
        full: bool = False,
    ) -> SyncReport:
        """Run one sync, after `claim`; ``on_progress`` is called with the number of batches seen so far."""
        sync = Sync(
            self.account,
            client,
            reader,
            work,
            self._settings,
            full=full,
            duplicates=self._duplicates,
            fingerprint=self._fingerprint,
            on_progress=on_progress,
        )
        return await sync.run()

    async def send_queued(self, client: AccountClient, work: OperationContext) -> list[SubmitOutcome]:
        """Send what waits in the queue for the account, under all its names, as far as there is room."""
        sent: list[SubmitOutcome] = []
        for account in self._accounts:
            sent += await send_queued(account, client, work)
        return sent

    async def record_failure(self, error: Exception, store: WriterThread) -> int:
        """Record on the account, under all its names, why it was not asked; return when it is due again."""
        if isinstance(error, ProviderError):
            words = health_error_text(error, self.account)
        else:
            known = isinstance(error, JobdashError)
            words = str(error) if known else f"unexpected: {type(error).__name__}: {error}"
        now = self._clock()
        next_poll_at = now + self._settings.fastest_ms
        await store.write(
            Writer.set_health,
            self.account.name,
            self.account.provider,
            duplicates=self._duplicates,
            asked_at=now,
            next_poll_at=next_poll_at,
            error=words,
            error_kind=type(error).__name__,
            fingerprint=self._fingerprint,
        )
        return next_poll_at
