"""Scripts on this computer: acted on through the store, which their workers poll, and as processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from jobdash.domain.backends.base import BackendRules
from jobdash.domain.backends.script import SCRIPT
from jobdash.domain.items import ScriptProcess
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, ActionOutcome, Decision, Plan
from jobdash.domain.remainder import Remainder
from jobdash.operations.scripts.processes import MOST_CHECKED, start_failure, workers

if TYPE_CHECKING:
    from jobdash.operations.backends.base import Backend
    from jobdash.operations.context import OperationContext
    from jobdash.operations.job_lookup import Browser
    from jobdash.operations.results.fetch_request import FetchedResults, FetchRequest

_ITEM_ERRORS = 300
"""Errors of a job that are read for a line of text."""


class ScriptBackend:
    """The scripts of a person."""

    rules: BackendRules = SCRIPT

    async def act(self, decision: Decision, plan: Plan, work: OperationContext) -> ActionOutcome:
        """Carry out a planned action on one job; raises `JobdashError`."""
        from jobdash.operations.scripts.jobs import cancel_local, force_fail_local, remove_local, retry_local

        steps = {
            Action.CANCEL: cancel_local,
            Action.FORCE_FAIL: force_fail_local,
            Action.RETRY: retry_local,
            Action.REMOVE: remove_local,
        }
        return await steps[plan.action](decision, plan, work)

    async def fetch(self, row: JobRow, request: FetchRequest) -> FetchedResults:
        """Write the outcomes of a job's items into a file."""
        from jobdash.operations.scripts.results import fetch_items

        return await fetch_items(row, request)

    def workers(
        self, browser: Browser, rows: Sequence[JobRow], *, starting: bool
    ) -> Mapping[int, ScriptProcess]:
        """Return, by id, what is known here of the scripts of the first of some jobs."""
        return workers(browser, [row.id for row in islice(rows, MOST_CHECKED)], starting=starting)

    def remainders(self, browser: Browser, rows: Sequence[JobRow]) -> Mapping[int, Remainder]:
        """Return nothing: a script finds what is left by itself."""
        return {}

    def results_available(self, browser: Browser, rows: Sequence[JobRow]) -> Mapping[int, bool | None]:
        """Return, by id, whether jobs have items that can be fetched."""
        there = browser.have_items([row.id for row in rows])
        return {row.id: row.id in there for row in rows}

    def error_counts(
        self, browser: Browser, rows: Sequence[JobRow]
    ) -> Mapping[int, Sequence[tuple[str, int]]]:
        """Return, by id, messages of jobs' errors with how often they occurred; or why one did not start."""
        return {row.id: _error_counts(browser, row) for row in rows}


def _error_counts(browser: Browser, row: JobRow) -> list[tuple[str, int]]:
    if failure := start_failure(browser, row):
        return [(failure, 1)]
    errors = browser.item_errors(row.id, _ITEM_ERRORS)
    if errors.complete and errors.groups:
        return [(group.error or group.error_type or "error", group.count) for group in errors.groups]
    return [(row.error, 1)] if row.error else []


BACKEND: Backend = ScriptBackend()
