"""Executing a plan: each job is checked again at the moment of acting, and has one outcome."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator

from jobdash.domain.plan import ActionOutcome, ActionResult, ActionSummary, Decision, DecisionKind, Plan
from jobdash.errors import JobdashError
from jobdash.operations.backends.registry import backend_of
from jobdash.operations.context import OperationContext
from jobdash.operations.recheck import stopped

AT_ONCE = 64
"""Jobs of one account under way at once; the account's own limiter admits fewer requests than that."""

Report = Callable[[ActionOutcome], None]


async def execute(plan: Plan, work: OperationContext, report: Report) -> ActionSummary:
    """Execute a plan; ``report`` is called with every outcome as it happens.

    One failure never stops the rest. After ``work.stop`` is set nothing more is sent, what is under way is
    awaited, and what waits is reported as skipped.
    """
    outcomes: list[ActionOutcome] = []

    def record(outcome: ActionOutcome) -> None:
        outcomes.append(outcome)
        report(outcome)

    for decision in plan.skipped:
        refused = decision.verdict is DecisionKind.REFUSED
        record(
            ActionOutcome(
                decision.job, ActionResult.SKIPPED, decision.reason, decision.job.status, refused=refused
            )
        )
    by_account: dict[str, list[Decision]] = defaultdict(list)
    for decision in plan.acting:
        by_account[decision.job.account].append(decision)
    async with asyncio.TaskGroup() as group:
        for decisions in by_account.values():
            waiting = iter(decisions)
            for _ in range(min(AT_ONCE, len(decisions))):
                group.create_task(_work_off(waiting, plan, work, record))
    return ActionSummary(plan, tuple(outcomes), interrupted=work.stop.is_set())


async def _work_off(waiting: Iterator[Decision], plan: Plan, work: OperationContext, report: Report) -> None:
    for decision in waiting:
        if work.stop.is_set():
            report(stopped(decision.job))
            continue
        try:
            outcome = await backend_of(decision.job).act(decision, plan, work)
        except JobdashError as error:
            outcome = ActionOutcome(decision.job, ActionResult.FAILED, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other jobs have their turn
            outcome = ActionOutcome(decision.job, ActionResult.FAILED, f"{type(error).__name__}: {error}")
        report(outcome)
