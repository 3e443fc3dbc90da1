"""Batches at a provider: acted on by requests to their account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jobdash.domain.backends.base import BackendRules
from jobdash.domain.backends.provider_batch import PROVIDER_BATCH
from jobdash.domain.items import ScriptProcess
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, ActionOutcome, Decision, Plan
from jobdash.domain.remainder import Remainder
from jobdash.operations.providers import has_results

if TYPE_CHECKING:
    from jobdash.operations.backends.base import Backend
    from jobdash.operations.context import OperationContext
    from jobdash.operations.job_lookup import Browser
    from jobdash.operations.results.fetch_request import FetchedResults, FetchRequest


class ProviderBatchBackend:
    """The batch services of providers."""

    rules: BackendRules = PROVIDER_BATCH

    async def act(self, decision: Decision, plan: Plan, work: OperationContext) -> ActionOutcome:
        """Carry out a planned action on one job; raises `JobdashError`."""
        from jobdash.operations.actions.cancel import cancel_job
        from jobdash.operations.actions.force_fail import force_fail_job
        from jobdash.operations.actions.remove import remove_job
        from jobdash.operations.submission.retry_batch import retry_batch

        steps = {
            Action.CANCEL: cancel_job,
            Action.FORCE_FAIL: force_fail_job,
            Action.RETRY: retry_batch,
            Action.REMOVE: remove_job,
        }
        return await steps[plan.action](decision, plan, work)

    async def fetch(self, row: JobRow, request: FetchRequest) -> FetchedResults:
        """Collect the results of a batch into a folder of its own."""
        from jobdash.operations.results.collect import collect

        if request.merged:
            from jobdash.operations.results.merged import collect_merged

            return await collect_merged(row, request)
        return await collect(row, request)

    def workers(
        self, browser: Browser, rows: Sequence[JobRow], *, starting: bool
    ) -> Mapping[int, ScriptProcess]:
        """Return nothing: no process here runs a batch."""
        return {}

    def remainders(self, browser: Browser, rows: Sequence[JobRow]) -> Mapping[int, Remainder]:
        """Return, by id, what is left of batches and their retries; reads fetched results."""
        from jobdash.operations.results.family import remainders

        return remainders(browser, rows)

    def results_available(self, browser: Browser, rows: Sequence[JobRow]) -> Mapping[int, bool | None]:
        """Return, by id, whether batches left results to fetch; None where their provider counts nothing."""
        jobs = browser.jobs([row.id for row in rows])
        return {job_id: has_results(job) for job_id, job in jobs.items()}

    def error_counts(
        self, browser: Browser, rows: Sequence[JobRow]
    ) -> Mapping[int, Sequence[tuple[str, int]]]:
        """Return, by id, messages of batches' errors with how often they occurred."""
        return browser.errors_summaries([row.id for row in rows])


BACKEND: Backend = ProviderBatchBackend()
