"""What a plan does to batches at a provider, as the notes of its dialog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from jobdash.domain.describe.cost_text import expected, so_far
from jobdash.domain.describe.result_text import batches, sent_again
from jobdash.domain.items import CUT_OFF
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, Decision, Note, Plan
from jobdash.domain.remainder import remainder_of
from jobdash.domain.status import LABELS, TERMINAL, Status
from jobdash.domain.text import clean, quantity
from jobdash.domain.time import short_span


def waits_here(job: JobRow) -> bool:
    """Whether a job was never sent, so that it ends without a request."""
    return job.queued_here and not job.terminal


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
    asked = [decision for decision in plan.acting if not waits_here(decision.job)]
    if not asked:
        return waiting
    each = "each is asked" if len(asked) > 1 else "it is asked"
    text = f"{each} to stop; this cannot be undone, and may take up to 10 minutes"
    return [*waiting, Note("At the provider", text), _partial(plan), *_cost(asked)]


def _queued_notes(jobs: Sequence[JobRow]) -> list[Note]:
    """Return the note about jobs that wait here, and end at once."""
    number = sum(map(waits_here, jobs))
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
        *_tried_cancels(plan, [decision.job for decision in plan.acting]),
    ]


_MAY_RUN = "it may still run and be billed"
_REASONS = 3
"""The most reasons that are listed."""


def _tried_cancels(plan: Plan, jobs: Sequence[JobRow]) -> list[Note]:
    """Return for which jobs a cancel is tried by the way, and why for others none is."""
    reasons = Counter(reason for job in jobs if (reason := _not_tried(plan, job)) is not None)
    tried = len(jobs) - reasons.total()
    some = f" for {tried:,} of {len(jobs):,}" if reasons else ""
    texts = [f"a cancel is tried as well{some}; without an answer {_MAY_RUN}"] if tried else []
    for reason, number in reasons.most_common(_REASONS):
        of_all = f" for {number:,} of {len(jobs):,}" if len(jobs) > number else ""
        texts.append(f"no cancel is tried{of_all}: {reason}")
    if (rest := len(reasons) - _REASONS) > 0:
        texts.append(quantity(rest, "more reason"))
    return [Note("At the provider", text) for text in texts]


def _not_tried(plan: Plan, job: JobRow) -> str | None:
    """Return why no cancel is tried where a job is failed or removed; as `operations.actions.force_fail`."""
    if waits_here(job):
        return "never sent"
    if job.remote_id is None:
        return f"the submit is not confirmed; {_MAY_RUN}"
    if job.gone_at is not None:
        return "the provider does not know it any more"
    if job.remote_status in TERMINAL:
        return f"already {LABELS[job.remote_status]}"
    if job.cancel_requested_at is not None and not job.cancel_doubt:
        return f"it was asked before; {_MAY_RUN}"
    reason = plan.no_cancel.get(job.id)
    return None if reason is None else f"{reason}; {_MAY_RUN}"


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
        whose = "its provider" if len(left) == 1 else "their providers"
        found.append(Note("Counted", f"by {whose}; the results say what is sent"))
    if number := sum(remainder.to_fetch for _, remainder in left):
        some = "the results" if number == 1 else f"the results of {batches(number)}"
        found.append(Note("First", f"{some} are fetched: what has an answer is not sent again"))
    cut = sum(remainder.cut_off or 0 for _, remainder in left)
    if cut and CUT_OFF not in only:
        found.append(Note("Left out", f"{quantity(cut, 'answer')} cut off"))
    if limited := sorted({job.account for job, _ in left} & plan.limited):
        whose = " and ".join(limited)
        found.append(Note("Room", f"what {whose} has no room for now waits here, and is sent when it has"))
    found += _refused_whole([job for job, _ in left], own_input=plan.choices.input is not None)
    cost = expected((job, remainder.chosen(only)) for job, remainder in left)
    billed = f": {cost}, by what each answer has cost" if cost else ""
    return [*found, Note("Billed", f"what is sent again is billed again{billed}")]


def _refused_whole(jobs: Sequence[JobRow], *, own_input: bool) -> list[Note]:
    """Return the warning about batches that failed before any request was done: a file may be at fault."""
    refused = [
        job
        for job in jobs
        if job.remote_status is Status.FAILED and not job.done and job.superseded_by is None
    ]
    if not refused or own_input:
        return []
    if len(jobs) > 1:
        which = f"{batches(len(refused))} failed as a whole"
    else:
        why = f": {clean(refused[0].error, 120)}" if refused[0].error else ""
        which = f"it failed as a whole{why}"
    again = "the same requests may fail in the same way; --input FILE of jobdash retry takes a mended file"
    return [Note("Warning", f"{which} · {again}", warning=True)]


def _remove_notes(plan: Plan) -> list[Note]:
    choices = plan.choices
    unfinished = tuple(each for each in plan.acting if each.job.unfinished and not waits_here(each.job))
    found = _queued_notes([decision.job for decision in plan.acting])
    lost = _lost(plan)
    if unfinished and choices.cancel_first:
        found += _cancelled_first(plan, unfinished, ends_all=not any(job.unfinished for job in lost))
    elif unfinished and choices.record:
        text = f"{quantity(len(unfinished), 'job')} not finished: left running at the provider, and billed"
        found.append(Note("Not cancelled", text, warning=True))
    if choices.remote:
        found.append(
            Note("Deleted", f"{_what_goes(plan)} are deleted there; this cannot be undone", warning=True)
        )
        if titles := _keeps_result_files(plan):
            found.append(Note("Stays", f"result files at {titles}: they expire by themselves"))
        found += _lost_notes(lost)
        if unfinished and choices.force:
            found.append(Note("Stays", "what unfinished batches use at the provider"))
    else:
        found.append(Note("Stays", "files and batches at the provider"))
        found += _unfetched_notes(plan) if choices.record else []
    if choices.local_files:
        found.append(Note("Deleted", "fetched files on this computer; this cannot be undone", warning=True))
    if not choices.record:
        found.append(Note("Stays", "the record here"))
    return found


def _cancelled_first(plan: Plan, unfinished: Sequence[Decision], *, ends_all: bool) -> list[Note]:
    """Return what becomes of unfinished jobs that are cancelled, and then removed."""
    refused = [each for each in unfinished if each.job.id in plan.no_cancel]
    asked = [each for each in unfinished if each.job.id not in plan.no_cancel]
    found: list[Note] = []
    if asked:
        force = plan.choices.force
        when = "removed at once, whatever is answered" if force else "removed when that is confirmed"
        found.append(Note("At the provider", f"{_asked_to_stop(asked)}; {when}", warning=True))
    if refused:  # only where it is forced
        notes = _tried_cancels(plan, [each.job for each in refused])
        found += [note._replace(warning=True) for note in notes]
    kept = [_partial(plan)] if ends_all and asked else []
    return [*found, *kept, *_cost(asked)]


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
    return info is not None and not info.at(job.origin, job.profile).capabilities.partial_results


def _lost_notes(jobs: Sequence[JobRow]) -> list[Note]:
    if not jobs:
        return []
    return [Note("Lost", f"{_never_fetched(jobs)}, and will be lost", warning=True)]


def _unfetched_notes(plan: Plan) -> list[Note]:
    """Return the warning about results that stay at their provider, of which nothing here reminds then."""
    acting = (each.job for each in plan.acting)
    jobs = [job for job in acting if job.collected is None and job.terminal and _has_results_there(plan, job)]
    if not jobs:
        return []
    deleted = [job.results_expire_at for job in jobs if job.results_expire_at is not None]
    when = f"; deleted there in {short_span(min(deleted) - plan.at)}" if deleted else ""
    text = f"{_never_fetched(jobs)}, and nothing here will name them{when}"
    return [Note("Not fetched", text, warning=True)]


def _never_fetched(jobs: Sequence[JobRow]) -> str:
    """Return ``900 results were never fetched``."""
    some = quantity(sum(job.done or 0 for job in jobs), "result")
    if any(job.done is None for job in jobs):
        some = f"the results of {batches(len(jobs))}"
    return f"{some} {'was' if some == '1 result' else 'were'} never fetched"


def _what_goes(plan: Plan) -> str:
    """Return what a clean-up deletes at the providers of a plan."""
    infos = [info for info in plan.services().values() if info]
    titles = " and ".join(sorted(info.title for info in infos if info.capabilities.deletes_records))
    if titles and all(info.capabilities.deletes_records for info in infos):
        results = any(info.capabilities.deletes_results for info in infos)
        return "the batches and their files" if results else "the batches and their input files"
    files = "input, output and error files"
    return f"{files} and {titles} batches" if titles else files


def _keeps_result_files(plan: Plan) -> str:
    """Return the providers of a plan whose result files cannot be deleted; empty when there is none."""
    infos = (info for info in plan.services().values() if info)
    return " and ".join(sorted(info.title for info in infos if not info.capabilities.deletes_results))


def _asked_to_stop(unfinished: Sequence[Decision]) -> str:
    """Return how many are asked now, and how many have been asked before."""
    again = sum(1 for decision in unfinished if decision.job.status is Status.CANCELLING)
    now = len(unfinished) - again
    asked = [f"{quantity(now, 'job')} asked to stop"] if now else []
    return ", ".join([*asked, *([f"{quantity(again, 'job')} asked before"] if again else [])])


BUILDERS = {
    Action.CANCEL: _cancel_notes,
    Action.FORCE_FAIL: _force_fail_notes,
    Action.RETRY: _retry_notes,
    Action.REMOVE: _remove_notes,
}
"""By action, what makes the notes of its plan: what it does to batches, what stays, and what is billed."""
