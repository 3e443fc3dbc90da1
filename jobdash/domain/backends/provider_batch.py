"""Jobs that a provider's batch service runs: it is asked, and what it says counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobdash.domain.backends.base import ASKED_LONG_AGO, REMOVE_MEANING, Remark, Verdict, accept_unfinished
from jobdash.domain.backends.provider_batch_plan import BUILDERS, waits_here
from jobdash.domain.describe.job_text import adopt_words
from jobdash.domain.describe.result_text import ended_early, outcome_counts, results_gone
from jobdash.domain.items import RETRYABLE
from jobdash.domain.job import CANCEL_STUCK_MS, JobDetails, JobRow
from jobdash.domain.plan import Action, Choices, DecisionContext, DecisionKind, Note, Plan
from jobdash.domain.remainder import Remainder, remainder_of
from jobdash.domain.status import LABELS, LATE_CANCEL, TERMINAL, UNFINISHED, Status, effective, ended_text
from jobdash.domain.text import clean
from jobdash.domain.time import HOUR, short_span


class ProviderBatch:
    """The rules of batches at a provider."""

    name: str = "provider_batch"
    at_provider: bool = True
    rate_units: Sequence[tuple[str, int]] = (("h", HOUR),)
    no_remote_id: str = "There is no id to copy yet"

    def accepts(self, action: Action, job: JobRow, situation: DecisionContext, choices: Choices) -> Verdict:
        """Decide whether an action is for a job that was not removed."""
        return _DECIDERS[action](job, situation, choices)

    def out_of_reach(self, job: JobRow, situation: DecisionContext) -> str | None:
        """Return why a job's account cannot be asked about it; None when it can."""
        if job.account not in situation.accounts:
            return situation.no_account(job.account)
        here = situation.servers.get(job.account)
        return other_server(job, here) if here and job.origin and here != job.origin else None

    def no_cancel(self, job: JobRow, situation: DecisionContext) -> str | None:
        """Return why a job's account cannot be asked to cancel it; None when it can."""
        if (reason := self.out_of_reach(job, situation)) is not None:
            return reason
        title = situation.without_cancel.get((job.origin, job.profile))
        return None if title is None else f"{title} has no call that cancels a batch"

    def ended_sentence(self, job: JobRow) -> str:
        """Return what an ended batch has left undone; empty when every request has an answer."""
        if job.unfinished or job.done is None or job.total is None or job.done >= job.total:
            return ""
        return ended_text(job.status, job.done, job.total)

    def error_refusal(self, job: JobRow) -> str | None:
        """Return why a job's error details cannot be asked for; None where they can."""
        if job.remote_status not in TERMINAL:
            return f"still {LABELS[job.remote_status]}; its provider tells errors when it has ended"
        if job.remote_status is Status.COMPLETED and job.failed == 0:
            return "no request of it failed"
        return "it never reached its provider" if job.remote_id is None else None

    def undo_refusal(self, job: JobRow) -> str | None:
        """Return None: what can be undone is in the events."""
        return None

    def reference(self, job: JobRow) -> str:
        """Return the provider's id, or ours of a job that it does not have yet."""
        return job.remote_id or f"{job.public_id} ({_without_remote_id(job)})"

    def identity(self, job: JobDetails) -> Iterator[tuple[str, str]]:
        """Yield the id, the account and the server."""
        yield "At the provider", job.row.remote_id or _without_remote_id(job.row)
        yield "Account", f"{job.row.account} ({job.row.provider}, {job.row.origin})"

    def summary(self, job: JobRow, now: int) -> Remark | None:
        """Return the one sentence worth showing of a job in the dashboard, with its keys; mostly None."""
        asked = job.cancel_requested_at
        if waits_here(job):
            return Remark("queued here: sent when there is room at its provider", "text")
        if job.gone:
            return Remark("gone: its provider does not know it any more; force-fail or remove it", "warning")
        if job.force_failed:
            billed = "" if job.remote_status in TERMINAL else ", it may still be billed"
            word = clean(job.raw_status or job.remote_status, 30)
            return Remark(f"failed here; the provider says {word}{billed}", "warning")
        if job.unconfirmed:
            return Remark(f"its submit is not confirmed, it may exist; {adopt_words(job)}", "warning")
        if job.removing is not None:
            return Remark("removed as soon as the provider confirms the cancel", "warning")
        if job.cancel_doubt:
            return Remark("the cancel got no answer: it may or may not be cancelled; c asks again", "warning")
        if job.stuck_cancelling(now) and asked is not None:
            since = short_span(now - asked)
            return Remark(f"cancelling for {since}: c asks again, f fails it here", "warning")
        if job.status is Status.CANCELLING and asked is not None:
            return Remark(f"cancel asked {short_span(now - asked)} ago, not confirmed yet", "warning")
        if job.status is Status.COMPLETED and asked is not None:
            return Remark(LATE_CANCEL, "muted")
        return _results_summary(job, now)

    def remarks(self, job: JobRow, now: int) -> list[str]:
        """Return what a command prints after the status of a job."""
        found: list[str] = []
        if job.force_failed:
            found.append(f"failed here; the provider says {LABELS[job.remote_status]}")
            if job.remote_status in UNFINISHED:
                found.append("it may still be billed")
        if job.unconfirmed:
            found.append(f"its submit is not confirmed, it may exist at its provider; {adopt_words(job)}")
        if job.cancel_doubt:
            found.append("a cancel got no answer: it may or may not be cancelled")
        elif job.stuck_cancelling(now):
            found.append(ASKED_LONG_AGO)
        return found

    def where(self, plan: Plan) -> str:
        """Return which jobs of a plan are at providers: ``3 at work, home``."""
        names = plan.accounts
        shown = ", ".join(clean(name, 32) for name in names) if len(names) <= 2 else f"{len(names)} accounts"
        return f"{len(plan.acting):,} at {shown}"

    def notes(self, plan: Plan) -> list[Note]:
        """Return what a plan will do to its jobs, what stays, and what is billed."""
        return BUILDERS[plan.action](plan)

    def meaning(self, plan: Plan) -> str:
        """Return what the action of a plan means, in one sentence."""
        if plan.action is Action.REMOVE and not plan.choices.record:
            return "Clean up deletes what the provider keeps; the record stays here"
        return _MEANING[plan.action]

    def undo_effects(self, jobs: Sequence[JobRow], *, alone: bool) -> Iterator[str]:
        """Yield what the undo of a removal of jobs brings back, and what not."""
        yield "The record comes back; what was deleted at the provider, if anything, does not."


def other_server(job: JobRow, here: str) -> str:
    """Return the sentence for a job whose account is at another server now."""
    return f"account {job.account} is now at {here}, and this job is at {job.origin}"


def _cancel(job: JobRow, situation: DecisionContext, choices: Choices) -> Verdict:
    if job.gone:
        return DecisionKind.REFUSED, "gone at its provider; force-fail or remove it"
    abandoned = job.force_failed and situation.named and job.remote_status in UNFINISHED
    if job.terminal and not abandoned:
        return DecisionKind.ALREADY, f"already {LABELS[job.status]}"
    if waits_here(job):
        return DecisionKind.ACT, ""
    # Force-failing asks for a cancel as well: under the verdict the same holds as without it.
    shown = effective(job.remote_status, job.cancel_requested_at, None) if abandoned else job.status
    if shown is Status.CANCELLING and not (situation.named and may_ask_again(job, situation.now)):
        asked = job.cancel_requested_at
        ago = f"asked {short_span(situation.now - asked)} ago" if asked is not None else "cancelling"
        return DecisionKind.ALREADY, f"already {ago}"
    if (reason := PROVIDER_BATCH.no_cancel(job, situation)) is not None:
        return DecisionKind.REFUSED, reason
    if job.remote_id is None:
        return DecisionKind.REFUSED, not_confirmed(job)
    return DecisionKind.ACT, ""


def not_confirmed(job: JobRow) -> str:
    """Return what is to be said of a job without a provider's id whose submit has not ended."""
    if job.unconfirmed:
        return f"its submit is not confirmed: {adopt_words(job)}"
    return "its submit is not confirmed yet"


def may_ask_again(job: JobRow, now: int) -> bool:
    """Whether a cancelling job may be asked once more: it got no answer, or was long ago."""
    asked = job.cancel_requested_at
    return job.cancel_doubt or (asked is not None and now - asked > CANCEL_STUCK_MS)


def _remove(job: JobRow, situation: DecisionContext, choices: Choices) -> Verdict:
    if not (choices.record or choices.remote or choices.local_files):
        return DecisionKind.REFUSED, "nothing chosen"
    out_of_reach = PROVIDER_BATCH.out_of_reach(job, situation)
    no_cancel = PROVIDER_BATCH.no_cancel(job, situation)
    if choices.remote and out_of_reach is not None:
        return DecisionKind.REFUSED, f"{out_of_reach}; remove the record only"
    if job.terminal or job.gone or choices.force:
        return DecisionKind.ACT, ""
    if not choices.record:
        return DecisionKind.REFUSED, "still unfinished; what the provider keeps is in use"
    if job.removing is not None and job.removing >= situation.now:
        return DecisionKind.ALREADY, "already waiting for the provider to confirm its cancel"
    if waits_here(job) and choices.cancel_first:
        return DecisionKind.ACT, ""
    if no_cancel is not None and not waits_here(job):
        still = "" if choices.cancel_first else f"still {LABELS[job.status]}; "
        return DecisionKind.REFUSED, f"{still}{no_cancel}; force-fail it first"
    if not choices.cancel_first:
        return DecisionKind.REFUSED, f"still {LABELS[job.status]}; {situation.instead}"
    if job.remote_id is None:
        return DecisionKind.REFUSED, f"{not_confirmed(job)}; force-fail it first"
    return DecisionKind.ACT, ""


def _retry(job: JobRow, situation: DecisionContext, choices: Choices) -> Verdict:
    if (job.remote_id is None and job.unfinished) or job.gone:
        why = "it waits here to be sent" if job.queued_here else not_confirmed(job)
        return DecisionKind.REFUSED, "gone at its provider; force-fail it first" if job.gone else why
    if job.remote_id is not None and job.remote_status not in TERMINAL and job.gone_at is None:
        there = f"its provider says {LABELS[job.remote_status]}"
        return DecisionKind.REFUSED, f"{there}; cancel it there first, or it is billed twice"
    if (reason := PROVIDER_BATCH.out_of_reach(job, situation)) is not None:
        return DecisionKind.REFUSED, reason
    left = situation.remainders.get(job.id) or remainder_of(job)
    if left.blocked:
        return DecisionKind.REFUSED, left.blocked
    if left.same_as:
        return DecisionKind.ALREADY, f"its requests are those of {left.same_as}"
    if left.chosen(choices.only) == 0:
        return DecisionKind.ALREADY, _nothing_left(left, choices)
    if left.no_input and choices.input is None:
        return DecisionKind.REFUSED, f"{left.no_input}: jobdash retry {job.public_id} --input FILE"
    return DecisionKind.ACT, ""


def _nothing_left(left: Remainder, choices: Choices) -> str:
    """Return why a retry has nothing to send, and what another one would."""
    others = Remainder(None, left.failed, left.missing, left.cut_off)
    rest = [part for part in RETRYABLE if part not in choices.only]
    numbers = [(part, number) for part, number in others.parts(rest).items() if number]
    if not numbers:
        return "every request has its answer"
    some = ", ".join(f"{number:,} {part.replace('-', ' ')}" for part, number in numbers)
    return f"nothing of that is left; there are {some}: --only {','.join(part for part, _ in numbers)}"


def _without_remote_id(job: JobRow) -> str:
    """Return what is known of a job's batch without its provider's id."""
    if job.queued_here:
        return "not submitted yet"
    return "not confirmed" if job.unconfirmed or job.unfinished else "not submitted"


_DECIDERS = {
    Action.CANCEL: _cancel,
    Action.FORCE_FAIL: accept_unfinished,
    Action.RETRY: _retry,
    Action.REMOVE: _remove,
}


def _results_summary(job: JobRow, now: int) -> Remark | None:
    """Return what is worth knowing of the results of a batch that has ended."""
    if job.collected is not None:
        return Remark(f"fetched: {outcome_counts(job.collected)}", "muted")
    rest, gone = ended_early(job), results_gone(job, now)
    if gone:
        return Remark(" · ".join(filter(None, (rest, gone))), "warning")
    return Remark(rest, "text") if rest else None


_MEANING = {
    Action.CANCEL: "Cancel asks the provider to stop; a job shows cancelled only when the provider says so",
    Action.FORCE_FAIL: "Force-fail marks it failed here; use it when the provider is stuck",
    Action.RETRY: "Retry sends what has no whole answer as a new batch, linked with this one",
    Action.REMOVE: REMOVE_MEANING,
}
PROVIDER_BATCH = ProviderBatch()
