"""The outcome of an action, as lines and as JSON."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobdash.cli.job_line import known_done, short_name
from jobdash.cli.output import Style, document, print_text
from jobdash.domain.describe.plan_text import waits
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, ActionOutcome, ActionResult, Plan
from jobdash.domain.status import LABELS
from jobdash.operations.backends.registry import results_available
from jobdash.operations.job_lookup import Browser

MOST_SKIPPED = 20
"""Skipped jobs of a filter that are printed one by one; more are counted by their reasons."""
_TONES = {ActionResult.DONE: Style.GOOD, ActionResult.SKIPPED: Style.QUIET, ActionResult.FAILED: Style.BAD}


@dataclass(frozen=True, slots=True)
class SummaryLine:
    """One job of a summary."""

    before: JobRow
    result: ActionResult
    reason: str
    after: JobRow | None
    not_sent: bool = False
    planned: bool | None = None
    """Dry run: whether the action would be for this job."""


def lines_of(outcomes: Iterable[ActionOutcome], after: Mapping[int, JobRow]) -> list[SummaryLine]:
    """Return outcomes with the jobs as they are now."""
    return [
        SummaryLine(outcome.job, outcome.result, outcome.reason, after.get(outcome.job.id), outcome.stopped)
        for outcome in outcomes
    ]


def plan_lines(plan: Plan) -> list[SummaryLine]:
    """Return what a plan would do, as if it were done."""
    acting = [
        SummaryLine(decision.job, ActionResult.DONE, "", None, planned=True) for decision in plan.acting
    ]
    return acting + [
        SummaryLine(decision.job, ActionResult.SKIPPED, decision.reason, decision.job, planned=False)
        for decision in plan.skipped
    ]


def print_summary(
    action: str, lines: Sequence[SummaryLine], browser: Browser, *, dry_run: bool = False
) -> None:
    """Print a summary as JSON; ``browser`` looks up which jobs have results to fetch."""
    available = results_available(browser, (line.after or line.before for line in lines))
    results = Counter(line.result for line in lines)
    counts = {str(result): results[result] for result in ActionResult}
    counts["not_sent"] = sum(line.not_sent for line in lines)
    document(
        {
            "action": action,
            "dry_run": dry_run,
            "counts": counts,
            "jobs": [_as_json(line, available, dry_run=dry_run) for line in lines],
        }
    )


def _as_json(line: SummaryLine, available: Mapping[int, bool | None], *, dry_run: bool) -> dict[str, Any]:
    before, now = line.before, line.after or line.before
    planned = {"planned": line.planned} if dry_run else {}
    return {
        "id": before.public_id,
        "remote_id": now.remote_id,
        "account": now.account,
        "name": before.name,
        "status_before": str(before.status),
        "status_after": line.after and str(line.after.status),
        "result": str(line.result),
        "reason": line.reason or None,
        "succeeded": now.succeeded,
        "results_available": available[now.id],
    } | planned


def result_style(result: ActionResult) -> Style:
    """Return how a line with this result looks."""
    return _TONES[result]


def print_outcome(plan: Plan, outcome: ActionOutcome) -> None:
    """Print one job's end, as it happens."""
    word = _done_word(plan, outcome) if outcome.result is ActionResult.DONE else str(outcome.result)
    print_line(word, outcome.job, outcome.reason, result_style(outcome.result))


def _done_word(plan: Plan, outcome: ActionOutcome) -> str:
    if plan.action is Action.REMOVE and not waits(plan, outcome):
        return "removed" if plan.choices.record else "cleaned up"
    return LABELS[outcome.status_after] if outcome.status_after is not None else str(outcome.result)


def print_line(word: str, job: JobRow, reason: str, tone: Style) -> None:
    """Print one job of an action; a reader who has left does not end the action."""
    words = (f"{word:<10}", job.public_id, f"{short_name(job)} ({job.account})", reason or known_done(job))
    with contextlib.suppress(BrokenPipeError):
        print_text("  ".join(filter(None, words)), tone)


def print_skipped(plan: Plan) -> None:
    """Print what a plan leaves alone: job by job when they were named or are few, else by reasons."""
    if plan.scope is None or len(plan.skipped) <= MOST_SKIPPED:
        for decision in plan.skipped:
            print_line("skipped", decision.job, decision.reason, Style.QUIET)
        return
    for reason, number in Counter(decision.reason for decision in plan.skipped).most_common():
        print_text(f"{'skipped':<10}  {number:,} × {reason}", Style.QUIET)
