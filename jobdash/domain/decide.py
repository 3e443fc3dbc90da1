"""What each action accepts, job by job, and the sentence for why not."""

from __future__ import annotations

from jobdash.domain.backends.registry import rules_of
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, Choices, Decision, DecisionContext, DecisionKind
from jobdash.domain.time import short_span


def decide(action: Action, job: JobRow, situation: DecisionContext, choices: Choices) -> Decision:
    """Return whether ``action`` is for this job, and if not, why."""
    if job.removed_at is not None:
        ago = short_span(situation.now - job.removed_at)
        return Decision(job, DecisionKind.ALREADY, f"removed {ago} ago; jobdash undo {job.public_id}")
    verdict, reason = rules_of(job).accepts(action, job, situation, choices)
    return Decision(job, verdict, reason)
