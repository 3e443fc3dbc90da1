"""Job functions: acted on through the store, which their workers poll."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from jobdash.domain.backends.base import BackendRules
from jobdash.domain.backends.function import FUNCTION
from jobdash.domain.items import ScriptProcess
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, ActionOutcome, Decision, Plan
from jobdash.operations.backends.script import ScriptBackend

if TYPE_CHECKING:
    from jobdash.operations.backends.base import Backend
    from jobdash.operations.context import OperationContext
    from jobdash.operations.job_lookup import Browser

_WORKERS = ScriptProcess(fenced_only="its workers are fenced, not stopped", cannot_start="workers run it")


class FunctionBackend(ScriptBackend):
    """The workers of job functions; what is the same for scripts is `ScriptBackend`'s."""

    rules: BackendRules = FUNCTION

    async def act(self, decision: Decision, plan: Plan, work: OperationContext) -> ActionOutcome:
        """Carry out a planned action on one job; raises `JobdashError`."""
        if plan.action is Action.RETRY and plan.choices.restart:
            plan = replace(plan, choices=replace(plan.choices, restart=False))
        return await super().act(decision, plan, work)

    def workers(
        self, browser: Browser, rows: Sequence[JobRow], *, starting: bool
    ) -> Mapping[int, ScriptProcess]:
        """Return that no process of this computer can be stopped or started for them."""
        return dict.fromkeys((row.id for row in rows), _WORKERS)


BACKEND: Backend = FunctionBackend()
