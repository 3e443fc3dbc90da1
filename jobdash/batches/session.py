"""The session of one call: settings, accounts and store, and the operation that works with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from jobdash.batches.models import Batch, BatchFailed, NotCurrent, WaitTimeout, batch_of
from jobdash.batches.wording import arguments_named
from jobdash.config.settings import Config, load
from jobdash.domain.backends.registry import rules_of
from jobdash.domain.describe.submit_text import same_file
from jobdash.domain.job import JobRow
from jobdash.domain.text import clean
from jobdash.errors import ConfigError, JobNotFound, StoreError, StoreReadOnly, Unavailable
from jobdash.operations.accounts.clients import AccountClients
from jobdash.operations.accounts.keys import in_store, register_keys
from jobdash.operations.context import OperationContext
from jobdash.operations.job_lookup import Browser, known_job, open_browser, refuse_missing
from jobdash.operations.polling.outage import PASSING
from jobdash.operations.polling.remote_lookup import candidates, find_remote
from jobdash.operations.polling.sync_accounts import AccountSyncs
from jobdash.operations.polling.wait import WaitProgress
from jobdash.operations.results.family import families_of, family_of
from jobdash.operations.results.input_copies import input_copy
from jobdash.operations.submission.check import sent_before
from jobdash.operations.submission.request import SubmitRequest
from jobdash.operations.writer_thread import WriterThread

FACE = "python"
"""Where the log says that something was done."""
PATIENCE_S = 10.0
"""Seconds for which a request under way is awaited when its call is cancelled."""
T = TypeVar("T")


@dataclass(frozen=True)
class Session:
    """What one call works with."""

    config: Config
    accounts: AccountClients
    browser: Browser
    work: OperationContext

    @property
    def syncs(self) -> AccountSyncs:
        """The syncs of the accounts."""
        return AccountSyncs(self.config, self.accounts, self.browser, self.work)

    async def finish(self, operation: Coroutine[Any, Any, T]) -> T:
        """Await an operation; where this task is cancelled, stop it as Ctrl-C stops that of a command.

        Nothing more is sent, and what is under way is awaited for `PATIENCE_S`. What then still runs, or on a
        second cancel, is cancelled itself. The cancel is raised again.
        """
        running = asyncio.ensure_future(operation)
        try:
            await asyncio.wait((running,))
        except asyncio.CancelledError:
            self.work.stop.set()
            try:
                await asyncio.wait((running,), timeout=PATIENCE_S)
            finally:
                if running.cancel():
                    await asyncio.wait((running,), timeout=PATIENCE_S)
                elif not running.cancelled():
                    running.exception()  # the cancel is raised, and not this one
            raise
        return running.result()

    def batch(self, row: JobRow) -> Batch:
        """Return a job as it is in the store now."""
        job = self.browser.job(row.id)
        assert job is not None, "jobs are never deleted"
        return batch_of(job, self.work.clock())

    def refuse_identical(self, wanted: SubmitRequest) -> None:
        """Raise BatchFailed, with the earlier batch, for requests that were sent before."""
        for row in sent_before(wanted, self.browser)[:1]:
            words = same_file(row, self.work.clock())
            raise BatchFailed(f"{wanted.name}: {words}; again=True sends it once more", self.batch(row))

    def family(self, row: JobRow) -> set[str]:
        """Return the ids of a batch and of those by which it, or what is left of it, was sent again."""
        return {member.row.public_id for member in family_of(self.browser, row).members}

    def inputs(self, row: JobRow, *, merged: bool) -> tuple[Path, ...]:
        """Return the copies of a batch's input file that are here, of its whole family if ``merged``."""
        if merged:
            copies = [family.copy for family in families_of(self.browser, row)]
            return tuple(copy for copy in copies if copy is not None)
        key = self.browser.jobs([row.id])[row.id].submit_key
        copy = None if key is None else input_copy(self.config.store_path, key)
        return (copy,) if copy is not None and copy.is_file() else ()

    async def row(self, word: str | Batch, *, sync: bool = False) -> JobRow:
        """Return the job that a word names, looked up at the accounts where it is not known here.

        ``sync``: where it has not ended, as its account has it now; NotCurrent where that cannot be asked.
        """
        text = word.id if isinstance(word, Batch) else word
        row = known_job(self.browser, text)
        if row is None and (asked := candidates(text, self.config)):
            match = await find_remote(text, asked, self.accounts, self.browser, self.work)
            if match.row is None:
                raise match.error(clean(text, 80))
            row = match.row
        if row is None or row.removed_at is not None:
            raise JobNotFound(f"no job {clean(text, 80)!r}")
        if not rules_of(row).at_provider:
            raise JobNotFound(f"{clean(text, 80)!r} is a script's job, and no batch")
        return await self._refreshed(row) if sync and row.unfinished else row

    async def _refreshed(self, row: JobRow) -> JobRow:
        """Return a job as its account has it now; raises NotCurrent where that cannot be asked."""
        if any(other.name == row.account and other.is_alive for other in self.config.others):
            return row  # who has its key asks for it
        try:
            self.work.caller(row)
        except ConfigError as error:
            raise self._not_current(row, error) from error
        started = self.work.clock()
        (report,) = await self.syncs.run([row.account])
        job = self.browser.job(row.id)
        assert job is not None, "jobs are never deleted"
        failed: Exception | None = report.error
        failed = next((each for asked, each in report.not_asked if asked.id == row.id), failed)
        if failed is not None and (job.seen_at is None or job.seen_at < started):
            raise self._not_current(job.row, failed) from failed
        return job.row

    def _not_current(self, row: JobRow, error: Exception) -> NotCurrent:
        return NotCurrent((self.batch(row),), {row.account: error})

    def timed_out(
        self, waiting: WaitProgress, timeout_s: float, polled: Mapping[str, Exception | None]
    ) -> WaitTimeout:
        """Return the error of a wait; ``polled`` is how the last poll of each account failed, if it did."""
        left = [row for row in waiting.last.values() if not waiting.ended(row)]
        number = len(waiting.ids)
        words = f"{len(left):,} of {number:,} batches have not ended in {timeout_s:g} s"
        try:
            asked = {row.account: self._failure(row.account, waiting, polled) for row in left}
            batches = [self.batch(waiting.last[each]) for each in waiting.ids]
        except (*PASSING, KeyError) as error:
            reason = error if isinstance(error, StoreError) else StoreError("the store has not answered")
            return WaitTimeout(words, (), {"the store": reason})
        errors = {account: error for account, error in asked.items() if error is not None}
        failed = WaitTimeout(words, batches, errors)
        failed.__cause__ = next(iter(errors.values()), None)
        return failed

    def _failure(
        self, account: str, waiting: WaitProgress, polled: Mapping[str, Exception | None]
    ) -> Exception | None:
        """Return why an account does not say how its batches are; None where it does."""
        if waiting.asking == account:
            return Unavailable("no answer yet")
        if account in polled:
            return polled[account]
        health = self.browser.health(account)
        return None if health is None or health.error is None else Unavailable(health.error)

    async def sync_all(self) -> dict[str, Exception]:
        """Sync all accounts; return why one, or a job of it, could not be asked, by account."""
        if not self.config.accounts:
            raise ConfigError("no account is configured that could be asked")
        errors: dict[str, Exception] = {}
        for report in await self.syncs.run():
            first = report.not_asked[0][1] if report.not_asked else None
            if (error := report.error or first) is not None:
                errors[report.account] = error
        return errors


@asynccontextmanager
async def open_session(
    database: str | Path | None, config: str | Path | None, *, make: bool = False
) -> AsyncIterator[Session]:
    """Open the store that is named, or that of the settings; raises ConfigError and StoreError.

    One that is named has to be there, unless it may be made (``make``).
    """
    with arguments_named():
        settings = await asyncio.to_thread(
            load, None if config is None else Path(config), None if database is None else str(database)
        )
        if database is not None:
            refuse_missing(settings.database, make=make)
        opened = await asyncio.to_thread(
            lambda: open_browser(settings.database, read_only=settings.read_only)
        )
        settings = in_store(settings, opened.browser)
        if opened.read_only is not None:
            opened.browser.close()
            raise StoreReadOnly(f"the store cannot be written: {opened.read_only}")
        with (
            closing(opened.browser) as browser,
            WriterThread(settings.database, FACE, same_as=browser.identity) as store,
        ):
            await register_keys(settings, store)
            async with AccountClients(settings.accounts) as accounts:
                work = OperationContext.of(settings, accounts, store)
                yield Session(settings, accounts, browser, work)
