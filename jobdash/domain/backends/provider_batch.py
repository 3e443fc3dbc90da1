"""Jobs that a provider's batch service runs: it is asked, and what it says counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobdash.domain.backends.base import ASKED_LONG_AGO, REMOVE_MEANING, Remark, Verdict, accept_unfinished
from jobdash.domain.describe.cost_text import expected, so_far
from jobdash.domain.describe.result_text import batches, ended_early, outcome_counts, results_gone, sent_again
from jobdash.domain.items import CUT_OFF, RETRYABLE
from jobdash.domain.job import CANCEL_STUCK_MS, JobDetails, JobRow
from jobdash.domain.plan import Action, Choices, Decision, DecisionContext, DecisionKind, Note, Plan
from jobdash.domain.remainder import Remainder, remainder_of
from jobdash.domain.status import LABELS, LATE_CANCEL, TERMINAL, UNFINISHED, Status, effective, ended_text
from jobdash.domain.text import clean, quantity
from jobdash.domain.time import HOUR, short_span


@dataclass(frozen=True, slots=True)
class ProviderBatch:
    """The rules of batches at a provider."""

    name: str = "provider_batch"
    at_provider: bool = True
    rate_units: Sequence[tuple[str, int]] = (("h", HOUR),)
    no_remote_id: str = "There is no id to copy yet"

    def accepts(self, action: Action, job: JobRow, situation: DecisionContext, choices: Choices) -> Verdict:
        """Decide whether an action is for a job that was not removed."""
        return _DECIDERS[action](job, situation, choices)

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
        del job
        return None

    def reference(self, job: JobRow) -> str:
        """Return the provider's id, or ours of a job that it does not have yet."""
        if job.remote_id is not None:
            return job.remote_id
        doubtful = job.unfinished and not job.queued_here
        return f"{job.public_id} ({'not confirmed' if doubtful else 'not submitted'})"

    def identity(self, job: JobDetails) -> Iterator[tuple[str, str]]:
        """Yield the id, the account and the server."""
        yield "At the provider", job.row.remote_id or "not confirmed yet"
        yield "Account", f"{job.row.account} ({job.row.provider}, {job.row.origin})"

    def story(self, job: JobRow, now: int) -> Remark | None:
        """Return the one sentence worth showing of a job in the dashboard, with its keys; mostly None."""
        return _story(job, now)

    def remarks(self, job: JobRow, now: int) -> list[str]:
        """Return what a command prints behind the status of a job."""
        found: list[str] = []
        if job.force_failed:
            found.append(f"failed here; the provider says {LABELS[job.remote_status]}")
            if job.remote_status in UNFINISHED:
                found.append("it may still be billed")
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
        return _BUILDERS[plan.action](plan)

    def meaning(self, plan: Plan) -> str:
        """Return what the action of a plan means, in one sentence."""
        if plan.action is Action.REMOVE and not plan.choices.record:
            return "Clean up deletes what the provider keeps; the record stays here"
        return _MEANING[plan.action]

    def brought_back(self, jobs: Sequence[JobRow], *, alone: bool) -> Iterator[str]:
        """Yield what the undo of a removal of jobs brings back, and what not."""
        del jobs, alone
        yield "The record comes back; what was deleted at the provider, if anything, does not."


def other_server(job: JobRow, here: str) -> str:
    """Return the sentence for a job whose account is at another server now."""
    return f"account {job.account} is now at {here}, and this job is at {job.origin}"


def _elsewhere(job: JobRow, situation: DecisionContext) -> str | None:
    """Return why a job's account cannot be asked about it; None when it can."""
    here = situation.servers.get(job.account)
    return other_server(job, here) if here and job.origin and here != job.origin else None


def _cancel(job: JobRow, situation: DecisionContext, choices: Choices) -> Verdict:
    del choices
    if job.gone:
        return DecisionKind.REFUSED, "gone at its provider; force-fail or remove it"
    abandoned = job.force_failed and situation.named and job.remote_status in UNFINISHED
    if job.terminal and not abandoned:
        return DecisionKind.ALREADY, f"already {LABELS[job.status]}"
    if _waits_here(job):
        return DecisionKind.ACT, ""
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
    if (title := situation.without_cancel.get(job.origin)) is not None:
        return DecisionKind.REFUSED, f"{title} has no call that cancels a batch"
    if job.remote_id is None:
        return DecisionKind.REFUSED, "its submit is not confirmed yet"
    return DecisionKind.ACT, ""


def _waits_here(job: JobRow) -> bool:
    """Whether a job was never sent, so that it ends without a request."""
    return job.queued_here and not job.terminal


def may_ask_again(job: JobRow, now: int) -> bool:
    """Whether a cancelling job may be asked once more: it got no answer, or was long ago."""
    asked = job.cancel_requested_at
    return job.cancel_doubt or (asked is not None and now - asked > CANCEL_STUCK_MS)


def _remove(job: JobRow, situation: DecisionContext, choices: Choices) -> Verdict:
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
    if _waits_here(job):
        return DecisionKind.ACT, ""
    if not configured:
        return DecisionKind.REFUSED, f"account {job.account} is not configured any more; force-fail it first"
    if elsewhere is not None:
        return DecisionKind.REFUSED, f"{elsewhere}; force-fail it first"
    if job.remote_id is None:
        return DecisionKind.REFUSED, "its submit is not confirmed yet; force-fail it first"
    return DecisionKind.ACT, ""


def _retry(job: JobRow, situation: DecisionContext, choices: Choices) -> Verdict:
    if (job.remote_id is None and job.unfinished) or job.gone:
        why = "it waits here to be sent" if job.queued_here else "its submit is not confirmed yet"
        return DecisionKind.REFUSED, "gone at its provider; force-fail it first" if job.gone else why
    if job.remote_id is not None and job.remote_status not in TERMINAL and job.gone_at is None:
        there = f"its provider says {LABELS[job.remote_status]}"
        return DecisionKind.REFUSED, f"{there}; cancel it there first, or it is billed twice"
    if job.account not in situation.accounts:
        return DecisionKind.REFUSED, f"account {job.account} is not configured any more"
    if (elsewhere := _elsewhere(job, situation)) is not None:
        return DecisionKind.REFUSED, elsewhere
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


_DECIDERS = {
    Action.CANCEL: _cancel,
    Action.FORCE_FAIL: accept_unfinished,
    Action.RETRY: _retry,
    Action.REMOVE: _remove,
}


def _story(job: JobRow, now: int) -> Remark | None:
    asked = job.cancel_requested_at
    if _waits_here(job):
        return Remark("queued here: sent when there is room at its provider", "text")
    if job.gone:
        return Remark("gone: its provider does not know it any more; force-fail or remove it", "warning")
    if job.force_failed:
        billed = "" if job.remote_status in TERMINAL else ", it may still be billed"
        word = clean(job.raw_status or job.remote_status, 30)
        return Remark(f"failed here; the provider says {word}{billed}", "warning")
    if job.removing is not None:
        return Remark("removed as soon as the provider confirms the cancel", "warning")
    if job.cancel_doubt:
        return Remark("the cancel got no answer: it may or may not be cancelled; c asks again", "warning")
    if job.stuck_cancelling(now) and asked is not None:
        return Remark(f"cancelling for {short_span(now - asked)}: c asks again, f fails it here", "warning")
    if job.status is Status.CANCELLING and asked is not None:
        return Remark(f"cancel asked {short_span(now - asked)} ago, not confirmed yet", "warning")
    if job.status is Status.COMPLETED and asked is not None:
        return Remark(LATE_CANCEL, "muted")
    return _results_story(job, now)


def _results_story(job: JobRow, now: int) -> Remark | None:
    """Return what is worth knowing of the results of a batch that has ended."""
    if job.collected is not None:
        return Remark(f"fetched: {outcome_counts(job.collected)}", "muted")
    rest, gone = ended_early(job), results_gone(job, now)
    if gone:
        return Remark(" · ".join(filter(None, (rest, gone))), "warning")
    return Remark(rest, "text") if rest else None


def _partial(plan: Plan) -> Note:
    finished = sum(decision.job.done or 0 for decision in plan.acting)
    keeping = plan.services(lambda job: bool(job.done))
    losing = [each for each in keeping.values() if each and not each.capabilities.partial_results]
    silent = _without_progress(plan)
    if not finished:
        nothing = "nothing is finished yet; requests under way may still be billed"
        return Note("Kept", f"what is finished is billed and kept: {silent}" if silent else nothing)
    titles = " and ".join(sorted(info.title for info in losing))
    if len(losing) == len(keeping):
        promises = "promises" if len(losing) == 1 else "promise"
        text = (
            f"{finished:,} finished requests are billed; {titles} {promises} no results of a cancelled batch"
        )
        return Note("Billed", text, warning=True)
    text = f"{finished:,} finished requests, billed; their results can be fetched"
    if losing:
        text += f", except {titles}'s"
    return Note("Kept", f"{text}; {silent}" if silent else text)


def _without_progress(plan: Plan) -> str:
    """Return which providers of a plan do not count what is done; empty for none."""
    services = plan.services(lambda job: job.done is None)
    silent = (each for each in services.values() if each and not each.capabilities.reports_progress)
    titles = " and ".join(sorted(each.title for each in silent))
    return f"not counted by {titles} before the end" if titles else ""


def _cancel_notes(plan: Plan) -> list[Note]:
    waiting = _queued_notes([decision.job for decision in plan.acting])
    asked = [decision for decision in plan.acting if not _waits_here(decision.job)]
    if not asked:
        return waiting
    each = "each is asked" if len(asked) > 1 else "it is asked"
    text = f"{each} to stop; this cannot be undone, and may take up to 10 minutes"
    return [*waiting, Note("At the provider", text), _partial(plan), *_cost(asked)]


def _queued_notes(jobs: Sequence[JobRow]) -> list[Note]:
    """Return the note about jobs that wait here, and end at once."""
    number = sum(map(_waits_here, jobs))
    text = f"{quantity(number, 'job')} never sent: cancelled at once"
    return [Note("Queued here", text, of_some=True)] if number else []


def _cost(decisions: Sequence[Decision]) -> list[Note]:
    """Return what a cancel does not save, where that is known."""
    text = so_far(decision.job for decision in decisions)
    return [Note("Cost", f"finished so far: {text}, billed in any case")] if text else []


def _force_fail_notes(plan: Plan) -> list[Note]:
    it = "they" if len(plan.acting) > 1 else "it"
    return [
        Note("Here", f"marked failed at once, whatever the provider says; {it} can be undone for a day"),
        Note(
            "At the provider", "a cancel is tried as well; without an answer it may still run and be billed"
        ),
    ]


def _retry_notes(plan: Plan) -> list[Note]:
    left = [(each.job, plan.remainders.get(each.job.id) or remainder_of(each.job)) for each in plan.acting]
    only = plan.choices.only
    if len(left) == 1:
        ((job, remainder),) = left
        again = f"{sent_again(remainder, only)} · linked to {clean(job.name, 60)}"
    else:
        numbers = [remainder.chosen(only) for _, remainder in left]
        least = sum(number for number in numbers if number is not None)
        again = (
            f"{'at least ' if None in numbers else ''}{quantity(least, 'request')} sent again, each linked"
        )
    found = [Note("Sent again", again)]
    if any(not remainder.counted for _, remainder in left):
        found.append(Note("Counted", "by their provider; the results say what is sent"))
    if number := sum(remainder.to_fetch for _, remainder in left):
        some = "the results" if number == 1 else f"the results of {batches(number)}"
        found.append(Note("First", f"{some} are fetched: what has an answer is not sent again"))
    cut = sum(remainder.cut_off or 0 for _, remainder in left)
    if cut and CUT_OFF not in only:
        found.append(Note("Left out", f"{quantity(cut, 'answer')} cut off"))
    cost = expected((job, remainder.chosen(only)) for job, remainder in left)
    billed = f": {cost}, by what each answer has cost" if cost else ""
    return [*found, Note("Billed", f"what is sent again is billed again{billed}")]


def _remove_notes(plan: Plan) -> list[Note]:
    choices = plan.choices
    unfinished = tuple(each for each in plan.acting if each.job.unfinished and not _waits_here(each.job))
    found = _queued_notes([decision.job for decision in plan.acting])
    lost = _lost(plan)
    if unfinished and choices.cancel_first:
        when = "removed at once, whatever is answered" if choices.force else "removed when that is confirmed"
        text = f"{_asked_to_stop(unfinished)}; {when}"
        kept = [] if any(job.unfinished for job in lost) else [_partial(plan)]
        found += [Note("At the provider", text, warning=True), *kept, *_cost(unfinished)]
    elif unfinished and choices.record:
        text = f"{quantity(len(unfinished), 'job')} not finished: left running at the provider, and billed"
        found.append(Note("Not cancelled", text, warning=True))
    if choices.remote:
        found.append(
            Note("Deleted", f"{_what_goes(plan)} are deleted there; this cannot be undone", warning=True)
        )
        found += _lost_notes(lost)
        if unfinished and choices.force:
            found.append(Note("Stays", "what unfinished batches use at the provider"))
    else:
        found.append(Note("Stays", "files and batches at the provider"))
    if choices.local_files:
        found.append(Note("Deleted", "fetched files on this computer; this cannot be undone", warning=True))
    if not choices.record:
        found.append(Note("Stays", "the record here"))
    return found


def _lost(plan: Plan) -> list[JobRow]:
    """Return the jobs whose results are at their provider alone, and are deleted there."""
    jobs = [each.job for each in plan.acting if each.job.collected is None] if plan.choices.remote else []
    return [job for job in jobs if _has_results_there(plan, job)]


def _has_results_there(plan: Plan, job: JobRow) -> bool:
    if job.unfinished:  # the files of one that is not cancelled before are kept
        cancelled = plan.choices.cancel_first and not plan.choices.force
        return cancelled and bool(job.succeeded) and not _loses_results(plan, job)
    if job.results_expire_at is not None and job.results_expire_at <= plan.at:
        return False
    there = plan.results_left.get(job.id)
    if there is None and job.status is Status.COMPLETED:
        return job.succeeded != 0
    return bool(job.succeeded) and not _loses_results(plan, job) if there is None else there


def _loses_results(plan: Plan, job: JobRow) -> bool:
    """Whether results of a cancelled batch are lost; not known of a provider that is not installed."""
    info = plan.providers.get(job.provider)
    return info is not None and not info.at(job.origin).capabilities.partial_results


def _lost_notes(jobs: Sequence[JobRow]) -> list[Note]:
    if not jobs:
        return []
    number = sum(job.done or 0 for job in jobs)
    some = quantity(number, "result")
    if any(job.done is None for job in jobs):
        some = f"the results of {batches(len(jobs))}"
    verb = "was" if some == "1 result" else "were"
    return [Note("Lost", f"{some} {verb} never fetched, and will be lost", warning=True)]


def _what_goes(plan: Plan) -> str:
    """Return what a clean-up deletes at the providers of a plan."""
    infos = [info for info in plan.services().values() if info]
    titles = " and ".join(sorted(info.title for info in infos if info.capabilities.deletes_records))
    if titles and all(info.capabilities.deletes_records for info in infos):
        return "the batches and their files"
    files = "input, output and error files"
    return f"{files} and {titles} batches" if titles else files


def _asked_to_stop(unfinished: Sequence[Decision]) -> str:
    """Return how many are asked now, and how many have been asked before."""
    again = sum(1 for decision in unfinished if decision.job.status is Status.CANCELLING)
    now = len(unfinished) - again
    asked = [f"{quantity(now, 'job')} asked to stop"] if now else []
    return ", ".join([*asked, *([f"{quantity(again, 'job')} asked before"] if again else [])])


_BUILDERS = {
    Action.CANCEL: _cancel_notes,
    Action.FORCE_FAIL: _force_fail_notes,
    Action.RETRY: _retry_notes,
    Action.REMOVE: _remove_notes,
}
_MEANING = {
    Action.CANCEL: "Cancel asks the provider to stop; a job shows cancelled only when the provider says so",
    Action.FORCE_FAIL: "Force-fail marks it failed here; use it when the provider is stuck",
    Action.RETRY: "Retry sends what has no whole answer as a new batch, linked with this one",
    Action.REMOVE: REMOVE_MEANING,
}
PROVIDER_BATCH = ProviderBatch()
