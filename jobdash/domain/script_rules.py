"""What each action accepts of a local job: one that a person's own script runs."""

from __future__ import annotations

from jobdash.domain.describe.job_text import WAITS, stalled
from jobdash.domain.items import RETRIED
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, Choices, DecisionContext, DecisionKind
from jobdash.domain.status import LABELS, Status
from jobdash.domain.time import short_span


def _cancel(job: JobRow, situation: DecisionContext, choices: Choices) -> tuple[DecisionKind, str]:
    del choices
    if job.terminal:
        return DecisionKind.ALREADY, f"already {LABELS[job.status]}"
    if job.status is Status.CANCELLING and job.cancel_requested_at is not None:
        ago = short_span(situation.now - job.cancel_requested_at)
        return DecisionKind.ALREADY, f"already asked {ago} ago; force-fail it to wait no longer"
    return DecisionKind.ACT, ""


def force_fail(job: JobRow, situation: DecisionContext, choices: Choices) -> tuple[DecisionKind, str]:
    """Accept any job that has not ended."""
    del situation, choices
    if job.terminal:
        return DecisionKind.ALREADY, f"already {LABELS[job.status]}"
    return DecisionKind.ACT, ""


def _retry(job: JobRow, situation: DecisionContext, choices: Choices) -> tuple[DecisionKind, str]:
    if job.status is Status.PENDING:
        return (
            (DecisionKind.ACT, "")
            if choices.restart
            else (DecisionKind.ALREADY, f"already pending: it {WAITS}")
        )
    if job.unfinished and not (stalled(job, situation.now) or job.id in situation.dead):
        return DecisionKind.REFUSED, f"still {LABELS[job.status]}; cancel it first"
    complete = job.status is Status.COMPLETED
    if complete and not job.failed and not job.remaining:
        return DecisionKind.ALREADY, "nothing failed and nothing is missing"
    return _narrowed(job, choices)


def _narrowed(job: JobRow, choices: Choices) -> tuple[DecisionKind, str]:
    """Decide on a retry of a part: the script's own loop visits every item that is not done."""
    if set(choices.only) >= set(RETRIED):
        return DecisionKind.ACT, ""
    others = job.remaining if "failed" in choices.only else job.failed
    if others == 0 or (others is None and "missing" in choices.only):
        return DecisionKind.ACT, ""
    left_out = "missing" if "failed" in choices.only else "failed"
    number = "what is" if others is None else f"the {others:,} that are" if others > 1 else "the one that is"
    return DecisionKind.REFUSED, f"its script also does {number} {left_out}; retry it without --only"


def _remove(job: JobRow, situation: DecisionContext, choices: Choices) -> tuple[DecisionKind, str]:
    if not (choices.record or choices.local_files):
        return DecisionKind.REFUSED, "nothing chosen: no provider keeps anything of it"
    if job.terminal or choices.force:
        return DecisionKind.ACT, ""
    if not choices.record:
        return DecisionKind.REFUSED, "still unfinished; its files are in use"
    if not choices.cancel_first:
        how = "stalled" if stalled(job, situation.now) else f"still {LABELS[job.status]}"
        return DecisionKind.REFUSED, f"{how}; {situation.instead}"
    return DecisionKind.ACT, ""


DECIDERS = {
    Action.CANCEL: _cancel,
    Action.FORCE_FAIL: force_fail,
    Action.RETRY: _retry,
    Action.REMOVE: _remove,
}
