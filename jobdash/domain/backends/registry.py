"""The backends, by the jobs that they run; what they decide about an action."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from jobdash.domain.backends.base import BackendRules
from jobdash.domain.backends.function import FUNCTION
from jobdash.domain.backends.provider_batch import PROVIDER_BATCH
from jobdash.domain.backends.script import SCRIPT
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, Choices, Decision, DecisionContext, DecisionKind, Plan
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.time import short_span

RULES: tuple[BackendRules, ...] = (PROVIDER_BATCH, SCRIPT, FUNCTION)


def rules_of(job: JobRow) -> BackendRules:
    """Return the rules of the backend that runs a job."""
    if job.provider != LOCAL:
        return PROVIDER_BATCH
    return SCRIPT if job.function is None else FUNCTION


def decide(action: Action, job: JobRow, situation: DecisionContext, choices: Choices) -> Decision:
    """Return whether ``action`` is for this job, and if not, why."""
    if job.removed_at is not None:
        ago = short_span(situation.now - job.removed_at)
        return Decision(job, DecisionKind.ALREADY, f"removed {ago} ago; jobdash undo {job.public_id}")
    verdict, reason = rules_of(job).accepts(action, job, situation, choices)
    return Decision(job, verdict, reason)


def grouped(jobs: Iterable[JobRow]) -> list[tuple[BackendRules, list[JobRow]]]:
    """Return jobs by backend, in the order of `RULES`; backends without a job are left out."""
    by_name: dict[str, list[JobRow]] = {}
    for job in jobs:
        by_name.setdefault(rules_of(job).name, []).append(job)
    return [(rules, by_name[rules.name]) for rules in RULES if rules.name in by_name]


def parts(plan: Plan) -> list[tuple[BackendRules, Plan]]:
    """Return what a plan acts on by backend, each as a plan of its own, without what it leaves alone."""
    found = grouped(decision.job for decision in plan.acting)
    if len(found) == 1:
        return [(found[0][0], replace(plan, decisions=plan.acting))]
    split: list[tuple[BackendRules, Plan]] = []
    for rules, _ in found:
        own = tuple(decision for decision in plan.acting if rules_of(decision.job) is rules)
        split.append((rules, replace(plan, decisions=own)))
    return split
