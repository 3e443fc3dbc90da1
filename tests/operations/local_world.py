"""A store, and work that can be done with it where no account is configured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, ActionOutcome, ActionSummary, Choices, Plan
from jobdash.domain.time import system_clock
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.context import OperationContext
from jobdash.operations.execution import execute
from jobdash.operations.job_lookup import Browser
from jobdash.operations.planning import plan_jobs
from jobdash.operations.writer_thread import WriterThread


@dataclass
class LocalWorld:
    """What a command has, once it is open."""

    path: Path
    store: WriterThread
    browser: Browser
    stop: CancelToken = field(default_factory=CancelToken)
    grace_s: float = 5.0

    @property
    def work(self) -> OperationContext:
        return OperationContext({}, self.store, frozenset(), system_clock, self.stop, self.grace_s)

    def row(self, job_id: int) -> JobRow:
        return self.browser.rows([job_id])[job_id]

    def plan(self, action: Action, rows: Iterable[JobRow], **choices: object) -> Plan:
        meant = Choices(**choices)  # type: ignore[arg-type]
        return plan_jobs(action, rows, self.work.situation(), meant, browser=self.browser)

    async def do(self, action: Action, *job_ids: int, **choices: object) -> ActionSummary:
        """Plan an action over jobs as they are now, and carry it out."""
        plan = self.plan(action, [self.row(job_id) for job_id in job_ids], **choices)
        return await execute(plan, self.work, lambda _outcome: None)

    async def one(self, action: Action, job_id: int, **choices: object) -> ActionOutcome:
        """Do an action to one job; return its outcome."""
        (outcome,) = (await self.do(action, job_id, **choices)).outcomes
        return outcome
