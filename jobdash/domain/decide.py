"""What each action accepts, job by job, and the sentence for why not."""

from __future__ import annotations

from jobdash.domain import script_rules
from jobdash.domain.job import CANCEL_STUCK_MS, JobRow
from jobdash.domain.plan import Action, Choices, Decision, DecisionContext, DecisionKind
from jobdash.domain.status import LABELS, UNFINISHED, Status, effective
from jobdash.domain.time import short_span


def decide(action: Action, job: JobRow, situation: DecisionContext, choices: Choices) -> Decision:
    """Return whether ``action`` is for this job, and if not, why."""
    if job.removed_at is not None:
        ago = short_span(situation.now - job.removed_at)
        return Decision(job, DecisionKind.ALREADY, f"removed {ago} ago; jobdash undo {job.public_id}")
    deciders = script_rules.DECIDERS if job.local else _DECIDERS
    verdict, reason = deciders[action](job, situation, choices)
    return Decision(job, verdict, reason)


def other_server(job: JobRow, here: str) -> str:
    """Return the sentence for a job whose account is at another server now."""
    return f"account {job.account} is now at {here}, and this job is at {job.origin}"


def _elsewhere(job: JobRow, situation: DecisionContext) -> str | None:
    """Return why a job's account cannot be asked about it; None when it can."""
    here = situation.servers.get(job.account)
    return other_server(job, here) if here and job.origin and here != job.origin else None


def _cancel(job: JobRow, situation: DecisionContext, choices: Choices) -> tuple[DecisionKind, str]:
    del choices
    if job.gone:
        return DecisionKind.REFUSED, "gone at its provider; force-fail or remove it"
    abandoned = job.force_failed and situation.named and job.remote_status in UNFINISHED
    if job.terminal and not abandoned:
        return DecisionKind.ALREADY, f"already {LABELS[job.status]}"
    # Force-failing asks for a cancel as well: under the verdict the same holds as without it.
    shown = effective(job.remote_status, job.cancel_requested_at, None) if abandoned else job.status
    if shown is Status.CANCELLING and not (situation.named and may_ask_again(job, situation.now)):
        asked = job.cancel_requested_at
        ago = f"asked {short_span(situation.now - asked)} ago" if asked is not None else "cancelling"
        return DecisionKind.ALREADY, f"already {ago}"
    if job.account not in situation.accounts:
        return DecisionKind.REFUSED, f"account {job.account} is not configured any more"
    if (elsewhere := _elsewhere(job, situation)) is not None:
        return DecisionKind.REFUSED, elsewhere
    if job.remote_id is None:
        return DecisionKind.REFUSED, "its submit is not confirmed yet"
    return DecisionKind.ACT, ""


def may_ask_again(job: JobRow, now: int) -> bool:
    """Whether a cancelling job may be asked once more: it got no answer, or was long ago."""
    asked = job.cancel_requested_at
    return job.cancel_doubt or (asked is not None and now - asked > CANCEL_STUCK_MS)


def _remove(job: JobRow, situation: DecisionContext, choices: Choices) -> tuple[DecisionKind, str]:
    if not (choices.record or choices.remote or choices.local_files):
        return DecisionKind.REFUSED, "nothing chosen"
    configured = job.account in situation.accounts
    if choices.remote and not configured:
        return (
            DecisionKind.REFUSED,
            f"account {job.account} is not configured any more; remove the record only",
        )
    elsewhere = _elsewhere(job, situation)
    if choices.remote and elsewhere is not None:
        return DecisionKind.REFUSED, f"{elsewhere}; remove the record only"
    if job.terminal or job.gone or choices.force:
        return DecisionKind.ACT, ""
    if not choices.record:
        return DecisionKind.REFUSED, "still unfinished; what the provider keeps is in use"
    if job.removing is not None and job.removing >= situation.now:
        return DecisionKind.ALREADY, "already waiting for the provider to confirm its cancel"
    if not choices.cancel_first:
        return DecisionKind.REFUSED, f"still {LABELS[job.status]}; {situation.instead}"
    if not configured:
        return DecisionKind.REFUSED, f"account {job.account} is not configured any more; force-fail it first"
    if elsewhere is not None:
        return DecisionKind.REFUSED, f"{elsewhere}; force-fail it first"
    if job.remote_id is None:
        return DecisionKind.REFUSED, "its submit is not confirmed yet; force-fail it first"
    return DecisionKind.ACT, ""


def _retry(job: JobRow, situation: DecisionContext, choices: Choices) -> tuple[DecisionKind, str]:
    del job, situation, choices
    return DecisionKind.REFUSED, "only jobs of your own scripts can be retried yet; submit its file again"


_DECIDERS = {
    Action.CANCEL: _cancel,
    Action.FORCE_FAIL: script_rules.force_fail,
    Action.RETRY: _retry,
    Action.REMOVE: _remove,
}
