"""Fetch the results of batches that have ended, or ask their provider when they expire."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass

from jobdash.config.settings import Config
from jobdash.domain.backends.registry import rules_of
from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionResult
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import TERMINAL
from jobdash.errors import JobdashError
from jobdash.operations.accounts.downloads import ResultsExpireAt
from jobdash.operations.context import OperationContext
from jobdash.operations.fetch import fetch
from jobdash.operations.job_lookup import Browser
from jobdash.operations.results.fetch_request import FetchedResults, FetchRequest
from jobdash.store.writer import Writer

_AT_ONCE = 50
"""The most batches asked for the expiry of their results after one sync; the first sync finds thousands."""


@dataclass(frozen=True)
class EndedBatches:
    """Fetches the results of ended batches, or records when they expire, in the caller's event loop."""

    config: Config
    work: OperationContext
    open_browser: Callable[[], Browser]
    report: Callable[[FetchedResults], None] = lambda _one: None
    """Called with each batch that was fetched, or could not be."""

    async def fetch_results(self, rows: Iterable[JobRow]) -> None:
        """Fetch the results of batches whose account has ``auto_fetch`` into the results folder.

        An error of one batch ends nothing.
        """
        wanted = [row for row in _ended(rows) if self._wants(row)]
        if wanted:
            request = FetchRequest(self.config.results_folder, self.open_browser, self.work)
            await fetch(wanted, request, self._report_news, self.work.stop)

    async def ask_expiry(self, rows: Iterable[JobRow]) -> None:
        """Ask when the results of the other batches expire, and store it; it may stay unknown."""
        others = [row for row in _ended(rows) if not self._wants(row) and row.fetched_at is None]
        for row in others[:_AT_ONCE]:
            with suppress(JobdashError):
                await self._ask_expiry(row)

    def _wants(self, row: JobRow) -> bool:
        account = self.config.account(row.account)
        return account is not None and account.auto_fetch and row.fetched_at is None

    def _report_news(self, done: FetchedResults) -> None:
        # Nothing to fetch, or here already: not worth a message.
        if done.result is not ActionResult.SKIPPED:
            self.report(done)

    async def _ask_expiry(self, row: JobRow) -> None:
        """Write when the provider deletes a batch's results, where its files say so."""
        with closing(self.open_browser()) as browser:
            details = browser.job(row.id)
        if details is None or "output" not in details.files or row.remote_id is None:
            return
        job = RemoteJob(
            row.remote_id, row.remote_status, row.raw_status, row.name, row.created_at, files=details.files
        )
        expires_at = await self.work.caller(row).call(ResultsExpireAt(job), stop=self.work.stop)
        if expires_at is not None:
            await self.work.store.write(Writer.set_results_expire_at, row.id, expires_at)


def _ended(rows: Iterable[JobRow]) -> list[JobRow]:
    return [row for row in rows if rules_of(row).at_provider and row.remote_status in TERMINAL]
