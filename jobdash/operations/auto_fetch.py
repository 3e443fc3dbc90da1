"""Fetch the results of batches that have ended, or ask their provider when they expire.

Which have ended is read from the log: whichever process noticed it, and also when that process was killed
before it could fetch them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass

from jobdash.config.settings import Config
from jobdash.domain.backends.registry import rules_of
from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionResult
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import TERMINAL
from jobdash.domain.time import DAY, MINUTE, SECOND
from jobdash.errors import JobdashError, StoreError
from jobdash.operations.accounts.downloads import ResultsExpireAt
from jobdash.operations.context import OperationContext
from jobdash.operations.fetch import fetch
from jobdash.operations.job_lookup import Browser
from jobdash.operations.results.download import DELETED
from jobdash.operations.results.fetch_request import FetchedResults, FetchRequest
from jobdash.store.writer import Writer

LOOKS_BACK_MS = 7 * DAY
"""What ended longer ago is not fetched: an account may have its ``auto_fetch`` since today."""
FIRST_PAUSE_MS = 15 * SECOND
"""After a fetch that failed; twice as long after each further one."""
LONGEST_PAUSE_MS = 30 * MINUTE
_AT_ONCE = 50
"""The most batches asked for the expiry of their results at a time."""
_OVERLAP = 1_000
"""Events that are read again: in a database on a server a newer one can be seen before an older one."""


@dataclass
class _Unfetched:
    """A batch whose results are not here yet."""

    failures: int = 0
    next_at: int = 0
    """When it is fetched next, milliseconds UTC."""
    reason: str = ""
    """Why it failed last."""
    under_way: bool = False


class EndedBatches:
    """Fetches the results of ended batches, or records when they expire, in the caller's event loop."""

    def __init__(
        self,
        config: Config,
        work: OperationContext,
        open_browser: Callable[[], Browser],
        report: Callable[[FetchedResults], None] = lambda _one: None,
        accounts: Collection[str] | None = None,
    ) -> None:
        """``accounts`` are those that `look` looks for, by default all.

        ``report`` is called with each batch that was fetched, or could not be for a reason that is new.
        """
        self._config = config
        self._work = work
        self._open_browser = open_browser
        self._report = report
        names = [each.name for each in config.accounts if accounts is None or each.name in accounts]
        self._accounts = [name for name in names if self._fetches(name)]
        self._others = [name for name in names if name not in self._accounts]
        self._newest: int | None = None
        """The last event that was looked at."""
        self._unfetched: dict[int, _Unfetched] = {}
        self._without_expiry: set[int] = set()

    def _fetches(self, name: str) -> bool:
        account = self._config.account(name)
        return account is not None and account.auto_fetch

    def look(self, browser: Browser) -> None:
        """Find the batches that have ended since the last call; the first finds those of the last days."""
        newest = browser.newest_event()
        if self._newest is None:
            since = self._work.clock() - LOOKS_BACK_MS
            found = browser.ended_unfetched(self._accounts, since=since) if self._accounts else []
        elif newest == self._newest:
            return
        else:
            behind = max(0, self._newest - _OVERLAP)
            found = browser.ended_unfetched(self._accounts, after_id=behind) if self._accounts else []
            if self._others:
                self._without_expiry.update(browser.ended_unfetched(self._others, after_id=self._newest))
        self._newest = newest
        for job_id in found:
            self._unfetched.setdefault(job_id, _Unfetched())

    def due(self, browser: Browser) -> list[JobRow]:
        """Return what is to be fetched now, as it is now, for `fetch_results`."""
        now = self._work.clock()
        ids = [id_ for id_, each in self._unfetched.items() if not each.under_way and each.next_at <= now]
        rows = browser.rows(ids) if ids else {}
        for job_id in ids:
            if job_id not in rows or not self._wants(rows[job_id]):
                del self._unfetched[job_id]
            else:
                self._unfetched[job_id].under_way = True
        return [row for row in rows.values() if row.id in self._unfetched]

    async def fetch_results(self, rows: Iterable[JobRow]) -> None:
        """Fetch the results of batches whose account has ``auto_fetch`` into the results folder.

        An error of one batch ends nothing: it is logged, and the batch is `due` again after a pause.
        """
        wanted = [row for row in rows if self._wants(row)]
        if not wanted:
            return
        request = FetchRequest(
            self._config.results_folder, self._open_browser, self._work, unless_fetched=True
        )
        try:
            for done in await fetch(wanted, request, self._report_news, self._work.stop):
                await self._record(done)
        finally:
            for row in wanted:
                self._pause(row)

    def to_ask(self, browser: Browser) -> list[JobRow]:
        """Return the other batches that have ended, for `ask_expiry`."""
        ids, self._without_expiry = self._without_expiry, set()
        rows = browser.rows(sorted(ids)[-_AT_ONCE:]) if ids else {}
        return [row for row in rows.values() if row.results_expire_at is None]

    async def ask_expiry(self, rows: Iterable[JobRow]) -> None:
        """Ask when the results of batches expire, and store it; it may stay unknown."""
        for row in rows:
            with suppress(JobdashError):
                await self._ask_expiry(row)

    def _wants(self, row: JobRow) -> bool:
        ended = rules_of(row).at_provider and row.remote_status in TERMINAL
        return ended and row.fetched_at is None and row.removed_at is None and self._fetches(row.account)

    def _report_news(self, done: FetchedResults) -> None:
        # Nothing to fetch, here already, or on its way in another process: not worth a message.
        known = self._unfetched.get(done.row.id)
        if done.result is ActionResult.SKIPPED or done.in_use:
            return
        if known is None or known.reason != done.reason:
            self._report(done)

    async def _record(self, done: FetchedResults) -> None:
        """Write what could not be fetched, and why; what was is written already."""
        job_id = done.row.id
        if done.in_use or (done.counts is None and self._work.stop.is_set()):
            return
        with suppress(StoreError):  # the next attempt writes it
            passes = done.result is ActionResult.FAILED and done.reason != DELETED
            if done.counts is None and (passes or done.refused):
                if known := self._unfetched.get(job_id):
                    known.reason = done.reason
                await self._work.store.write(Writer.set_not_fetched, job_id, done.reason)
                return
            if done.counts is None:
                await self._work.store.write(Writer.set_nothing_to_fetch, job_id, done.reason)
            self._unfetched.pop(job_id, None)

    def _pause(self, row: JobRow) -> None:
        """Let a batch that is still not here be due again, later each time."""
        if (left := self._unfetched.get(row.id)) is not None:
            pause = min(FIRST_PAUSE_MS * 2**left.failures, LONGEST_PAUSE_MS)
            left.failures = min(left.failures + 1, 20)
            left.next_at, left.under_way = self._work.clock() + pause, False

    async def _ask_expiry(self, row: JobRow) -> None:
        """Write when the provider deletes a batch's results, where its files say so."""
        with closing(self._open_browser()) as browser:
            details = browser.job(row.id)
        if details is None or "output" not in details.files or row.remote_id is None:
            return
        job = RemoteJob(
            row.remote_id, row.remote_status, row.raw_status, row.name, row.created_at, files=details.files
        )
        expires_at = await self._work.caller(row).call(ResultsExpireAt(job), stop=self._work.stop)
        if expires_at is not None:
            await self._work.store.write(Writer.set_results_expire_at, row.id, expires_at)
