"""What a plan says to a person: titles, buttons, and what will happen, in whole sentences."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from jobdash.domain.plan import Action, JobOutcome, Plan, Result, Summary, status_counts
from jobdash.domain.status import UNFINISHED, Status
from jobdash.domain.text import clean


@dataclass(frozen=True, slots=True)
class Note:
    """One line of a plan: what it is about, and what will happen."""

    topic: str
    text: str
    warning: bool = False


_SAFE = {Action.CANCEL: "Keep running", Action.FORCE_FAIL: "Don't fail", Action.REMOVE: "Keep"}
_MEANING = {
    Action.CANCEL: "Cancel asks the provider to stop; a job shows cancelled only when the provider says so",
    Action.FORCE_FAIL: "Force-fail marks it failed here; use it when the provider is stuck",
    Action.REMOVE: "Remove hides the record; it can be taken back for a day with u, or jobdash undo",
}


_CLEAN_UP = "Clean up deletes what the provider keeps; the record stays here"


def jobs(number: int, adjective: str = "") -> str:
    """Return ``1 job``, ``3 unfinished jobs``, ``1,204 jobs``."""
    return " ".join(filter(None, (f"{number:,}", adjective, "job" if number == 1 else "jobs")))


def verb(plan: Plan) -> str:
    """Return the action as a verb: ``Cancel``, ``Cancel & delete``."""
    if plan.action is Action.REMOVE:
        if not plan.choices.record:
            return "Clean up"
        return "Cancel & delete" if plan.choices.cancel_first else "Remove"
    return "Force-fail" if plan.action is Action.FORCE_FAIL else "Cancel"


_DOING = {
    "Cancel": ("cancel", "cancelling"),
    "Force-fail": ("force-fail", "force-failing"),
    "Remove": ("removal", "removing"),
    "Clean up": ("clean-up", "cleaning up"),
    "Cancel & delete": ("removal", "removing"),
}


def counted(plan: Plan, number: int) -> str:
    """Return ``1 cancel``, ``4,418 removals``: so many times what a plan does."""
    noun = _DOING[verb(plan)][0]
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def doing(plan: Plan) -> str:
    """Return what is going on while a plan is carried out: ``removing``."""
    return _DOING[verb(plan)][1]


def title(plan: Plan) -> str:
    """Return the dialog's question: ``Cancel 9 unfinished jobs in ALL accounts?``"""
    acting = plan.acting
    unfinished = sum(1 for decision in acting if decision.job.unfinished)
    adjective = "unfinished" if acting and unfinished == len(acting) else ""
    where = f" {plan.scope}" if plan.scope else ""
    return f"{verb(plan)} {jobs(len(acting), adjective)}{where}?"


def safe_button(plan: Plan) -> str:
    """Return the words on the button that changes nothing."""
    if plan.action is Action.REMOVE:
        return f"{_SAFE[plan.action]} the {'job' if len(plan.acting) == 1 else 'jobs'}"
    return _SAFE[plan.action]


def danger_button(plan: Plan) -> str:
    """Return the words on the button that acts, without its ✖."""
    return f"{verb(plan)} {jobs(len(plan.acting))}"


def notes(plan: Plan) -> list[Note]:
    """Return what will happen, what stays, what is billed, what is skipped and why."""
    builders = {Action.CANCEL: _cancel, Action.FORCE_FAIL: _force_fail, Action.REMOVE: _remove}
    found = [Note("Jobs", " · ".join(f"{number:,} {word}" for word, number in status_counts(plan.acting)))]
    found += builders[plan.action](plan)
    found += _skipped(plan)
    cleans_up = plan.action is Action.REMOVE and not plan.choices.record
    found.append(Note("Meaning", _CLEAN_UP if cleans_up else _MEANING[plan.action]))
    return found


def _finished_requests(plan: Plan) -> int:
    return sum(decision.job.done or 0 for decision in plan.acting)


def _partial(plan: Plan) -> Note:
    finished = _finished_requests(plan)
    keepers = {decision.job.provider for decision in plan.acting if decision.job.done}
    if not finished:
        return Note("Kept", "nothing is finished yet; requests under way may still be billed")
    if keepers == {"gemini"}:
        text = f"{finished:,} finished requests are billed; Gemini promises no results of a cancelled batch"
        return Note("Billed", text, warning=True)
    text = f"{finished:,} finished requests, billed; their results can be fetched"
    if "gemini" in keepers:
        text += ", except Gemini's"
    return Note("Kept", text)


def _cancel(plan: Plan) -> list[Note]:
    each = "each is asked" if len(plan.acting) > 1 else "it is asked"
    text = f"{each} to stop; this cannot be undone, and may take up to 10 minutes"
    return [Note("At the provider", text), _partial(plan)]


def _force_fail(plan: Plan) -> list[Note]:
    it = "they" if len(plan.acting) > 1 else "it"
    return [
        Note("Here", f"marked failed at once, whatever the provider says; {it} can be undone for a day"),
        Note(
            "At the provider", "a cancel is tried as well; without an answer it may still run and be billed"
        ),
    ]


def _remove(plan: Plan) -> list[Note]:
    choices = plan.choices
    unfinished = tuple(decision for decision in plan.acting if decision.job.unfinished)
    found: list[Note] = []
    if unfinished and choices.cancel_first:
        text = f"{jobs(len(unfinished))} asked to stop; removed when that is confirmed"
        found += [Note("At the provider", text, warning=True), _partial(plan)]
    elif unfinished and choices.record:
        text = f"{jobs(len(unfinished))} not finished: left running at the provider, and billed"
        found.append(Note("Not cancelled", text, warning=True))
    if choices.remote:
        text = "input, output and error files and Gemini batches are deleted there; this cannot be undone"
        found.append(Note("Deleted", text, warning=True))
    else:
        found.append(Note("Stays", "files and batches at the provider"))
    if choices.local_files:
        found.append(Note("Deleted", "fetched files on this computer; this cannot be undone", warning=True))
    if not choices.record:
        found.append(Note("Stays", "the record here"))
    return found


def _skipped(plan: Plan) -> list[Note]:
    skipped = plan.skipped
    if not skipped:
        return []
    if len(skipped) <= 3:
        return [Note("Skipped", f"{clean(decision.job.name, 60)}: {decision.reason}") for decision in skipped]
    reasons = Counter(decision.reason for decision in skipped)
    told = " · ".join(f"{number:,} × {reason}" for reason, number in reasons.most_common(3))
    rest = len(reasons) - 3
    return [Note("Skipped", f"{jobs(len(skipped))}: {told}{_more(rest)}")]


def _more(rest: int) -> str:
    """Return how many reasons are not told."""
    return f" · {rest} more {'reason' if rest == 1 else 'reasons'}" if rest > 0 else ""


def nothing_to_do(plan: Plan) -> str:
    """Return the toast for a plan that acts on nothing."""
    if not plan.decisions:
        return "Nothing to cancel: no unfinished job here" if plan.scope else "No job here"
    if len(plan.decisions) == 1:
        (only,) = plan.decisions
        return f"{clean(only.job.name, 60)}: {only.reason}"
    return f"Nothing to {verb(plan).lower()}. {_skipped(plan)[0].text}"


_DONE_WORDS = {Action.FORCE_FAIL: "Force-failed", Action.REMOVE: "Removed"}


def _done_word(plan: Plan) -> str:
    """Return what has been done to a job: ``Removed``, ``Cleaned up``."""
    if plan.action is Action.REMOVE and not plan.choices.record:
        return "Cleaned up"
    return _DONE_WORDS[plan.action]


def result_counts(summary: Summary) -> list[tuple[str, int]]:
    """Return the counts of a summary in the action's own words, in the order they are printed."""
    action = summary.plan.action
    failed, skipped = summary.count(Result.FAILED), summary.count(Result.SKIPPED)
    done = [outcome for outcome in summary.outcomes if outcome.result is Result.DONE]
    if action is Action.CANCEL:
        cancelled = sum(1 for outcome in done if outcome.status_after is Status.CANCELLED)
        counts = [("Cancelled", cancelled), ("Cancelling", len(done) - cancelled)]
        counts += [("Failed to cancel", failed), ("Skipped (not pending)", skipped)]
    else:
        waiting = sum(1 for outcome in done if action is Action.REMOVE and waits(summary.plan, outcome))
        counts = [(_done_word(summary.plan), len(done) - waiting)]
        if waiting:
            counts.append(("Removed when cancelled", waiting))
        counts += [("Failed", failed), ("Skipped", skipped)]
    if summary.stopped:
        counts.append(("Not sent (stopped)", summary.stopped))
    return counts


def waits(plan: Plan, outcome: JobOutcome) -> bool:
    """Whether a removal went no further than the request to cancel."""
    return plan.choices.cancel_first and outcome.status_after in UNFINISHED
