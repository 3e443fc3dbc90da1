"""Planning: which jobs an action is for, decided on the current state of the store, and frozen."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace

from jobdash.domain.backends.registry import decide, rules_of
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, Choices, Decision, DecisionContext, DecisionKind, Plan
from jobdash.domain.status import Tab
from jobdash.domain.text import clean
from jobdash.operations.backends.registry import remainders, results_available, workers
from jobdash.operations.job_lookup import Browser, Scope
from jobdash.operations.providers import providers_of, without_cancel

_CANCELLABLE_TABS = (Tab.PENDING, Tab.RUNNING)
"""The scope of a bulk cancel: everything unfinished, except cancelling and gone."""


def plan_jobs(
    action: Action,
    rows: Iterable[JobRow],
    situation: DecisionContext,
    choices: Choices | None = None,
    *,
    hidden: frozenset[int] = frozenset(),
    scope: str | None = None,
    browser: Browser | None = None,
) -> Plan:
    """Freeze an action over jobs that were named, marked, or found.

    ``browser`` looks up the scripts behind local jobs: which run here, and how they were started; and of a
    retry what is left of batches, for which fetched results may be read; of a removal which results are left.
    """
    meant, found = choices or Choices(), tuple(rows)
    retrying = action is Action.RETRY
    known = {} if browser is None else workers(browser, found, starting=retrying)
    left = remainders(browser, found) if browser is not None and retrying else {}
    there: Mapping[int, bool | None] = {}
    if browser is not None and action is Action.REMOVE:
        there = results_available(browser, [row for row in found if row.remote_id and row.collected is None])
    plan = Plan(
        action,
        tuple(Decision(row, DecisionKind.ACT) for row in found),
        meant,
        scope,
        hidden,
        bulk=secrets.token_hex(6),
        at=situation.now,
        workers=known,
        providers=providers_of(found),
        remainders=left,
        results_left=there,
        limited=situation.limited,
    )
    return plan_again(plan, situation, meant)


def plan_again(plan: Plan, situation: DecisionContext, choices: Choices) -> Plan:
    """Decide the same jobs, as they were seen, for other choices."""
    none = without_cancel(decision.job for decision in plan.decisions)
    here = replace(situation, dead=plan.dead, remainders=plan.remainders, without_cancel=none)
    jobs = [decision.job for decision in plan.decisions]
    return replace(
        plan,
        decisions=tuple(decide(plan.action, job, here, choices) for job in jobs),
        choices=choices,
        out_of_reach={job.id: why for job in jobs if (why := rules_of(job).out_of_reach(job, here))},
        no_cancel={job.id: why for job in jobs if (why := rules_of(job).no_cancel(job, here))},
    )


def plan_cancel_all(
    browser: Browser, scope: Scope, situation: DecisionContext, choices: Choices | None = None
) -> Plan:
    """Freeze a cancel of everything unfinished in a tab and filter, except cancelling and gone jobs."""
    meant = choices or Choices()
    decisions: dict[int, Decision] = {}  # a job that turns from pending to running meanwhile is seen twice
    for tab in _CANCELLABLE_TABS:
        if scope.tab not in {Tab.ALL, tab}:
            continue
        for ids in browser.iter_ids(Scope(tab, scope.conditions)):
            rows = browser.rows(ids)
            here = replace(situation, without_cancel=without_cancel(rows.values()))
            decisions |= {i: decide(Action.CANCEL, rows[i], here, meant) for i in ids if i in rows}
    words = scope_words(scope)
    acting = [decision.job for decision in decisions.values() if decision.acts]
    return Plan(
        Action.CANCEL,
        tuple(decisions.values()),
        meant,
        words,
        bulk=secrets.token_hex(6),
        at=situation.now,
        workers=workers(browser, acting, starting=False),
        providers=providers_of(acting),
    )


def scope_words(scope: Scope) -> str:
    """Return where the jobs of a bulk action come from: ``in ALL accounts``, ``in tab pending``."""
    words: list[str] = []
    if scope.tab is not Tab.ALL:
        words.append(f"tab {scope.tab}")
    if scope.conditions is not None and not scope.conditions.empty:
        words.append(f"filter {clean(scope.conditions.text, 60)}")
    return f"in {', '.join(words)}" if words else "in ALL accounts"
