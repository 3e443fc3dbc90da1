"""The Protocol of a backend: who runs a job, and how it is acted on and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from jobdash.domain.backends.base import BackendRules
from jobdash.domain.items import ScriptProcess
from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionOutcome, Decision, Plan
from jobdash.domain.remainder import Remainder

if TYPE_CHECKING:
    from jobdash.operations.context import OperationContext
    from jobdash.operations.job_lookup import Browser
    from jobdash.operations.results.fetch_request import FetchedResults, FetchRequest


class Backend(Protocol):
    """What runs a job. What its jobs accept and how they are described is in its `rules`.

    A plan needs neither the code that carries it out nor a database toolkit: `act` and `fetch` import both.
    """

    @property
    def rules(self) -> BackendRules:
        """What its jobs accept, and how they are described."""

    async def act(self, decision: Decision, plan: Plan, work: OperationContext) -> ActionOutcome:
        """Carry out a planned action on one job, checked again at this moment; raises `JobdashError`."""

    async def fetch(self, row: JobRow, request: FetchRequest) -> FetchedResults:
        """Write the results of a job into files; failures are part of what is returned."""

    def workers(
        self, browser: Browser, rows: Sequence[JobRow], *, starting: bool
    ) -> Mapping[int, ScriptProcess]:
        """Return, by id, what is known here of the processes that run jobs.

        Whether they can be started again is checked only for ``starting``: a disk may hang.
        """

    def remainders(self, browser: Browser, rows: Sequence[JobRow]) -> Mapping[int, Remainder]:
        """Return, by id, what is left of batches and their retries; fetched results may be read for it."""

    def results_available(self, browser: Browser, rows: Sequence[JobRow]) -> Mapping[int, bool | None]:
        """Return, by id, whether jobs have results to fetch; None where that is not known."""

    def error_counts(
        self, browser: Browser, rows: Sequence[JobRow]
    ) -> Mapping[int, Sequence[tuple[str, int]]]:
        """Return, by id, messages of jobs' errors with how often they occurred, the most frequent first."""
