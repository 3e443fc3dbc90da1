"""The description of a plan: titles, buttons, and what will happen, in whole sentences."""

from __future__ import annotations

from collections import Counter

from jobdash.domain.backends.registry import grouped, parts
from jobdash.domain.describe.job_text import ended_word
from jobdash.domain.items import process_ids
from jobdash.domain.plan import (
    Action,
    ActionOutcome,
    ActionResult,
    ActionSummary,
    Note,
    Plan,
    may_be_cancelled,
)
from jobdash.domain.status import UNFINISHED, Status
from jobdash.domain.text import clean, quantity

_SAFE = {
    Action.CANCEL: "Keep running",
    Action.FORCE_FAIL: "Don't fail",
    Action.RETRY: "Don't retry",
    Action.REMOVE: "Keep",
}
NO_JOB = "No job here"


def jobs(number: int, adjective: str = "") -> str:
    """Return ``1 job``, ``3 unfinished jobs``, ``1,204 jobs``."""
    return quantity(number, f"{adjective} job".lstrip())


def verb(plan: Plan) -> str:
    """Return the action as a verb: ``Cancel``, ``Cancel & delete``."""
    if plan.action is Action.REMOVE:
        if not plan.choices.record:
            return "Clean up"
        return "Cancel & delete" if plan.choices.cancel_first else "Remove"
    return _VERBS[plan.action]


_VERBS = {Action.CANCEL: "Cancel", Action.FORCE_FAIL: "Force-fail", Action.RETRY: "Retry"}
_DOING = {
    "Cancel": ("cancel", "cancels", "cancelling"),
    "Force-fail": ("force-fail", "force-fails", "force-failing"),
    "Retry": ("retry", "retries", "retrying"),
    "Remove": ("removal", "removals", "removing"),
    "Clean up": ("clean-up", "clean-ups", "cleaning up"),
    "Cancel & delete": ("removal", "removals", "removing"),
}


def counted(plan: Plan, number: int) -> str:
    """Return ``1 cancel``, ``4,418 removals``: so many times what a plan does."""
    one, many, _ = _DOING[verb(plan)]
    return f"{number:,} {one if number == 1 else many}"


def doing(plan: Plan) -> str:
    """Return what is going on while a plan is carried out: ``removing``."""
    return _DOING[verb(plan)][2]


def title(plan: Plan) -> str:
    """Return the dialog's question: ``Cancel 9 unfinished jobs in ALL accounts?``"""
    acting = plan.acting
    if not acting:
        return f"Nothing to {verb(plan).lower()}"
    unfinished = sum(1 for decision in acting if decision.job.unfinished)
    ending = plan.action is not Action.RETRY  # which is for what has ended, or lost its script
    adjective = "unfinished" if ending and unfinished == len(acting) else ""
    where = f" {plan.scope}" if plan.scope else ""
    return f"{verb(plan)} {jobs(len(acting), adjective)}{where}?"


def safe_button(plan: Plan) -> str:
    """Return the words on the button that changes nothing."""
    if plan.action is Action.REMOVE:
        return f"{_SAFE[plan.action]} the {'job' if len(plan.acting) == 1 else 'jobs'}"
    if plan.action is Action.CANCEL and not _running(plan):
        return "Don't cancel"
    return _SAFE[plan.action]


def _running(plan: Plan) -> bool:
    """Whether anything a plan is for still does something."""
    silent = plan.lost
    return any(each.job.status is not Status.PENDING and each.job.id not in silent for each in plan.acting)


def danger_button(plan: Plan) -> str:
    """Return the words on the button that acts, without its ✖."""
    return f"{verb(plan)} {jobs(len(plan.acting))}"


def notes(plan: Plan) -> list[Note]:
    """Return what will happen, what stays, what is billed, what is skipped and why."""
    counts = status_counts(plan)
    found = [Note("Jobs", " · ".join(f"{number:,} {word}" for word, number in counts))] if counts else []
    by_backend = parts(plan)
    for place, (rules, part) in enumerate(by_backend):
        topics = {note.topic for note in found}
        for note in rules.notes(part):
            ambiguous = len(by_backend) > 1 and (place == 0 or note.topic in topics)
            where = f"{rules.where(part)}: " if ambiguous and not note.of_some else ""
            found.append(note._replace(text=f"{where}{note.text}"))
    found += _skipped(plan)
    meant = grouped(decision.job for decision in plan.acting or plan.decisions)
    meanings = dict.fromkeys(rules.meaning(plan) for rules, _ in meant)
    found += [Note("Meaning", text) for text in meanings]
    return _by_topic(found)


def status_counts(plan: Plan) -> list[tuple[str, int]]:
    """Return ``[("pending", 3), ("running", 5), ("stalled", 1)]`` in the order of a job's life.

    Those without a worker are stalled, whatever their status.
    """
    order, lost = list(Status), plan.lost
    jobs = [each.job for each in plan.acting if each.job.id not in lost]
    counts = Counter((order.index(job.status), ended_word(job)) for job in jobs)
    found = [(word, number) for (_, word), number in sorted(counts.items())]
    return [*found, ("stalled", len(lost))] if lost else found


def _by_topic(notes: list[Note]) -> list[Note]:
    """Put notes of one topic together, at the place of the first."""
    topics = list(dict.fromkeys(note.topic for note in notes))
    return sorted(notes, key=lambda note: topics.index(note.topic))


def _skipped(plan: Plan) -> list[Note]:
    skipped = plan.skipped
    if not skipped:
        return []
    if len(skipped) <= 3:
        return [Note("Skipped", f"{clean(decision.job.name, 60)}: {decision.reason}") for decision in skipped]
    reasons = Counter(decision.reason for decision in skipped)
    listed = " · ".join(f"{number:,} × {reason}" for reason, number in reasons.most_common(3))
    rest = len(reasons) - 3
    more = f" · {quantity(rest, 'more reason')}" if rest > 0 else ""
    return [Note("Skipped", f"{jobs(len(skipped))}: {listed}{more}")]


def nothing_to_do(plan: Plan) -> str:
    """Return the toast for a plan that acts on nothing."""
    if not plan.decisions:
        return "Nothing to cancel: no unfinished job here" if plan.scope else NO_JOB
    if len(plan.decisions) == 1:
        (only,) = plan.decisions
        return f"{clean(only.job.name, 60)}: {only.reason}"
    return f"Nothing to {verb(plan).lower()}. {_skipped(plan)[0].text}"


def stopped_pids(plan: Plan) -> str:
    """Return the processes that a plan ends for real: ``pid 4711, pid 4712``."""
    return process_ids(plan.stoppable)


_DONE_WORDS = {Action.FORCE_FAIL: "Force-failed", Action.RETRY: "Retried", Action.REMOVE: "Removed"}


def _done_word(plan: Plan) -> str:
    """Return what has been done to a job: ``Removed``, ``Cleaned up``."""
    if plan.action is Action.REMOVE and not plan.choices.record:
        return "Cleaned up"
    return _DONE_WORDS[plan.action]


def result_counts(summary: ActionSummary) -> list[tuple[str, int]]:
    """Return the counts of a summary in the action's own words, in the order they are printed."""
    action = summary.plan.action
    failed, skipped = summary.count(ActionResult.FAILED), summary.count(ActionResult.SKIPPED)
    done = [outcome for outcome in summary.outcomes if outcome.result is ActionResult.DONE]
    if action is Action.CANCEL:
        cancelled = sum(1 for outcome in done if outcome.status_after is Status.CANCELLED)
        counts = [("Cancelled", cancelled), ("Cancelling", len(done) - cancelled)]
        refused = sum(1 for outcome in summary.outcomes if outcome.refused and may_be_cancelled(outcome.job))
        counts += [("Failed to cancel", failed), ("Skipped (not pending)", skipped - refused)]
        if refused:
            counts.append(("Skipped (refused)", refused))
    else:
        waiting = sum(1 for outcome in done if action is Action.REMOVE and waits(summary.plan, outcome))
        counts = [(_done_word(summary.plan), len(done) - waiting)]
        if waiting:
            counts.append(("Removed when cancelled", waiting))
        counts += [("Failed", failed), ("Skipped", skipped)]
    if summary.stopped:
        counts.append(("Not sent (stopped)", summary.stopped))
    return counts


def waits(plan: Plan, outcome: ActionOutcome) -> bool:
    """Whether a removal went no further than the request to cancel."""
    waiting = plan.choices.cancel_first and not plan.choices.force
    return waiting and outcome.status_after in UNFINISHED
