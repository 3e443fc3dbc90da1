"""What each action accepts of a local job: one that a person's own script runs."""

from __future__ import annotations

from jobdash.domain.duration import short_span
from jobdash.domain.job import JobRow
from jobdash.domain.local import RETRIED
from jobdash.domain.marks import WAITS, stalled
from jobdash.domain.plan import Action, Choices, Situation, Verdict
from jobdash.domain.status import LABELS, Status


def _cancel(job: JobRow, situation: Situation, choices: Choices) -> tuple[Verdict, str]:
    del choices
    if job.terminal:
        return Verdict.ALREADY, f"already {LABELS[job.status]}"
    if job.status is Status.CANCELLING and job.cancel_requested_at is not None:
        ago = short_span(situation.now - job.cancel_requested_at)
        return Verdict.ALREADY, f"already asked {ago} ago; force-fail it to wait no longer"
    return Verdict.ACT, ""


def _force_fail(job: JobRow, situation: Situation, choices: Choices) -> tuple[Verdict, str]:
    del situation, choices
    if job.terminal:
        return Verdict.ALREADY, f"already {LABELS[job.status]}"
    return Verdict.ACT, ""


def _retry(job: JobRow, situation: Situation, choices: Choices) -> tuple[Verdict, str]:
    if job.status is Status.PENDING:
        return (Verdict.ACT, "") if choices.restart else (Verdict.ALREADY, f"already pending: it {WAITS}")
    if job.unfinished and not (stalled(job, situation.now) or job.id in situation.dead):
        return Verdict.REFUSED, f"still {LABELS[job.status]}; cancel it first"
    complete = job.status is Status.COMPLETED
    if complete and not job.failed and not job.remaining:
        return Verdict.ALREADY, "nothing failed and nothing is missing"
    return _narrowed(job, choices)


def _narrowed(job: JobRow, choices: Choices) -> tuple[Verdict, str]:
    """Decide on a retry of a part: the script's own loop visits every item that is not done."""
    if set(choices.only) >= set(RETRIED):
        return Verdict.ACT, ""
    others = job.remaining if "failed" in choices.only else job.failed
    if others == 0 or (others is None and "missing" in choices.only):
        return Verdict.ACT, ""
    left_out = "missing" if "failed" in choices.only else "failed"
    number = "what is" if others is None else f"the {others:,} that are" if others > 1 else "the one that is"
    return Verdict.REFUSED, f"its script also does {number} {left_out}; retry it without --only"


def _remove(job: JobRow, situation: Situation, choices: Choices) -> tuple[Verdict, str]:
    if not (choices.record or choices.local_files):
        return Verdict.REFUSED, "nothing chosen: no provider keeps anything of it"
    if job.terminal or choices.force:
        return Verdict.ACT, ""
    if not choices.record:
        return Verdict.REFUSED, "still unfinished; its files are in use"
    if not choices.cancel_first:
        how = "stalled" if stalled(job, situation.now) else f"still {LABELS[job.status]}"
        return Verdict.REFUSED, f"{how}; {situation.instead}"
    return Verdict.ACT, ""


DECIDERS = {
    Action.CANCEL: _cancel,
    Action.FORCE_FAIL: _force_fail,
    Action.RETRY: _retry,
    Action.REMOVE: _remove,
}
