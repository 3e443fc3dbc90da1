"""Single requests of a sync: for jobs the list does not show, or shows unchanged for too long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from jobdash.config.settings import SyncSettings
from jobdash.domain.job import JobRow
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.time import MINUTE
from jobdash.errors import BadResponse, InvalidRequest, NotFound, SeesNone, Unavailable
from jobdash.operations.accounts.session import GetBatch
from jobdash.operations.context import AccountClient, OperationContext
from jobdash.operations.polling.poll_interval import poll_interval
from jobdash.operations.polling.sync_report import SyncReport
from jobdash.store.reader import Reader
from jobdash.store.records import UpsertResult
from jobdash.store.writer import Writer

UNCHANGED_POLLS = 3
"""A list that showed the same of an unfinished job so often in a row is doubted: some servers move a batch on
only when it is asked for alone."""
_SINGLES_MOST = 200
"""Single requests in one sync; the rest has its turn in the next."""
_UNCHANGED_MOST = 20
"""Of them, jobs that the list has shown: there may be thousands, and mostly it is right."""
_FAILURES_MOST = 3
"""Single requests in a row that may fail where the list failed, too: then it is the server, not the jobs."""
_UNANSWERED_MOST = 10
"""Single requests in a row that may get no answer at all, whether or not the list did."""
_LAG_MS = 5 * MINUTE
"""So long after a submit a 404 means nothing: a new batch may not be found yet."""


@dataclass
class SingleRequests:
    """The requests for single jobs of one sync."""

    names: Sequence[str]
    """All names of the account's key."""
    caller: AccountClient
    reader: Reader
    work: OperationContext
    settings: SyncSettings
    before: Callable[[], Awaitable[None]]
    """Awaited before each request."""
    upsert: Callable[[tuple[RemoteJob, ...], int], Awaitable[UpsertResult]]
    knows: bool = field(default=False, init=False)
    """Whether the account's key has seen any known job."""

    async def ask(self, report: SyncReport, started: int, *, full: bool) -> None:
        """Ask for the unfinished jobs the list did not show, each at its own pace.

        Raises SeesNone when the key sees none of what is known.
        """
        # A list that could not be read does not show whose key it is.
        unread = report.error is not None and not report.seen
        missing: list[tuple[JobRow, int]] = []
        failures = 0
        for row in self._due(report, started, everything=full or not (self.knows or unread)):
            await self.before()
            asked_at = self.work.clock()
            assert row.remote_id is not None
            try:
                remote = await self.caller.call(GetBatch(row.remote_id))
            except NotFound:
                missing.append((row, asked_at))
                continue
            except (Unavailable, InvalidRequest, BadResponse) as error:
                report.not_asked.append((row, error))  # the others, and what waits, have their turn
                failures += 1
                if isinstance(report.error, Unavailable | BadResponse) and failures >= _FAILURES_MOST:
                    break
                if isinstance(error, Unavailable) and failures >= _UNANSWERED_MOST:
                    report.error = report.error or error  # that is no matter of single jobs any more
                    break
                continue
            failures = 0
            self.knows = True
            report.add(await self.upsert((remote,), asked_at))
        if missing and not self.knows and not self._lags(missing, started):
            if unread:
                return
            raise SeesNone("this key sees none of the known jobs; is it another account's?")
        for row, asked_at in missing:
            if await self._mark_not_found(row, asked_at):
                report.gone.append(row)

    async def ask_unchanged(self, report: SyncReport) -> None:
        """Ask for jobs that the list has shown unchanged for several polls; an error of one is ignored.

        Not where an answer carries the batch's results: a gigabyte, and the list is right.
        """
        if not self.caller.capabilities.results_in_files:
            return
        found = [
            row
            for name in self.names
            for row in self.reader.unchanged_in_list(
                name, self.caller.origin, UNCHANGED_POLLS, _UNCHANGED_MOST
            )
        ]
        for row in found[:_UNCHANGED_MOST]:
            await self.before()
            asked_at = self.work.clock()
            assert row.remote_id is not None
            try:
                remote = await self.caller.call(GetBatch(row.remote_id))
            except Unavailable:
                return
            except (NotFound, InvalidRequest, BadResponse):
                pass  # the list has just shown it
            else:
                report.add(await self.upsert((remote,), asked_at))
            await self._counted(row)

    async def _counted(self, row: JobRow) -> None:
        await self.work.store.write(Writer.reset_unchanged_polls, row.id)

    async def _mark_not_found(self, row: JobRow, asked_at: int) -> bool:
        return await self.work.store.write(Writer.mark_not_found, row.id, asked_at)

    def _lags(self, missing: Sequence[tuple[JobRow, int]], started: int) -> bool:
        """Whether all of these were submitted here so recently that a 404 is expected."""
        answered = self.reader.last_answers([row.id for row, _ in missing])
        return all(started - answered.get(row.id, 0) < _LAG_MS for row, _ in missing)

    async def still_strange(self, report: SyncReport, started: int, *, full: bool) -> SeesNone | None:
        """Return the error of a key that saw no known job last time, if it still sees none."""
        try:
            await self.ask(report, started, full=full)
        except SeesNone as error:
            return error
        return None

    def _due(self, report: SyncReport, started: int, *, everything: bool) -> list[JobRow]:
        """Return the jobs to ask singly: those that are due, or all; the most overdue first.

        A job at another server than the account's is not asked for here: a 404 from there means nothing.
        """
        overdue: list[tuple[float, JobRow]] = []
        report.elsewhere.clear()
        for row, seen_at in self._unfinished(started):
            if row.origin != self.caller.origin:
                report.elsewhere.append(row)
                continue
            wait, unseen = poll_interval(row, started), started - seen_at
            if everything or unseen > wait - self.settings.fastest_ms:
                overdue.append((unseen / wait, row))
        overdue.sort(key=lambda each: each[0], reverse=True)
        return [row for _, row in overdue[:_SINGLES_MOST]]

    def _unfinished(self, seen_before: int) -> list[tuple[JobRow, int]]:
        """Return the jobs of all the key's names that may be asked singly, and when each was seen."""
        return [found for name in self.names for found in self.reader.unfinished_remotely(name, seen_before)]
