"""The description of a plan: titles, buttons, and what will happen, in whole sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from jobdash.domain.describe.script_text import local_notes, only_local, stalled_in
from jobdash.domain.plan import (
    Action,
    ActionOutcome,
    ActionResult,
    ActionSummary,
    Decision,
    Note,
    Plan,
    status_counts,
)
from jobdash.domain.status import UNFINISHED, Status
from jobdash.domain.text import clean, quantity

_SAFE = {
    Action.CANCEL: "Keep running",
    Action.FORCE_FAIL: "Don't fail",
    Action.RETRY: "Don't retry",
    Action.REMOVE: "Keep",
}
_MEANING = {
    Action.CANCEL: "Cancel asks the provider to stop; a job shows cancelled only when the provider says so",
    Action.FORCE_FAIL: "Force-fail marks it failed here; use it when the provider is stuck",
    Action.RETRY: "Retry makes it pending again; its script's next run takes it up",
    Action.REMOVE: "Remove hides the record; it can be taken back for a day with u, or jobdash undo",
}
_LOCAL_MEANING = _MEANING | {
    Action.CANCEL: "Cancel asks the script to stop after the items it is at; what is done stays",
    Action.FORCE_FAIL: "Force-fail marks it failed here; use it when the script is stuck or lost",
}

NO_JOB = "No job here"
_START = "Retry starts the script again, as it was started last; it does what is left"
_CLEAN_UP = "Clean up deletes what the provider keeps; the record stays here"
_LOCAL_CLEAN_UP = "Clean up deletes fetched files and logs on this computer; record and items stay"


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
    silent = stalled_in(plan)
    return any(each.job.status is not Status.PENDING and each.job.id not in silent for each in plan.acting)


def danger_button(plan: Plan) -> str:
    """Return the words on the button that acts, without its ✖."""
    return f"{verb(plan)} {jobs(len(plan.acting))}"


def notes(plan: Plan) -> list[Note]:
    """Return what will happen, what stays, what is billed, what is skipped and why."""
    builders = {Action.CANCEL: _cancel, Action.FORCE_FAIL: _force_fail, Action.REMOVE: _remove}
    counts = status_counts(plan.acting, stalled_in(plan))
    found = [Note("Jobs", " · ".join(f"{number:,} {word}" for word, number in counts))] if counts else []
    elsewhere, local = _at_providers(plan), len(plan.local)
    both = local and len(elsewhere.acting)
    if elsewhere.acting and plan.action in builders:
        where = f"{len(elsewhere.acting):,} at {_accounts(elsewhere)}: " if both else ""
        found += [replace(note, text=f"{where}{note.text}") for note in builders[plan.action](elsewhere)]
    shared = {note.topic for note in found}
    for note in local_notes(plan):
        here = f"{quantity(local, 'script')} here: " if note.topic in shared else ""
        found.append(replace(note, text=f"{here}{note.text}"))
    found += _skipped(plan)
    found += [Note("Meaning", text) for text in _meanings(plan)]
    return _by_topic(found)


def _by_topic(notes: list[Note]) -> list[Note]:
    """Put notes of one topic together, at the place of the first."""
    topics = list(dict.fromkeys(note.topic for note in notes))
    return sorted(notes, key=lambda note: topics.index(note.topic))


def _accounts(plan: Plan) -> str:
    names = plan.accounts
    return ", ".join(clean(name, 32) for name in names) if len(names) <= 2 else f"{len(names)} accounts"


def _meanings(plan: Plan) -> list[str]:
    """Return what the action means, for either kind of job that it is for; mostly one sentence."""
    own, others = bool(plan.local), not only_local(plan)
    kinds = [_meaning(plan, local=local) for local, there in ((False, others), (True, own)) if there]
    return list(dict.fromkeys(kinds))


def _meaning(plan: Plan, *, local: bool) -> str:
    if plan.action is Action.REMOVE and not plan.choices.record:
        return _LOCAL_CLEAN_UP if local else _CLEAN_UP
    if plan.action is Action.RETRY and plan.choices.restart:
        return _START
    return (_LOCAL_MEANING if local else _MEANING)[plan.action]


def _at_providers(plan: Plan) -> Plan:
    """Return the part of a plan that is for providers."""
    if not plan.local:
        return plan
    return replace(plan, decisions=tuple(each for each in plan.decisions if not each.job.local))


def _partial(plan: Plan) -> Note:
    finished = sum(decision.job.done or 0 for decision in plan.acting)
    keeping = {decision.job.provider for decision in plan.acting if decision.job.done}
    losing = [plan.providers[name] for name in keeping if _loses_results(plan, name)]
    if not finished:
        return Note("Kept", "nothing is finished yet; requests under way may still be billed")
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
    return Note("Kept", text)


def _loses_results(plan: Plan, provider: str) -> bool:
    """Whether results of a cancelled batch are lost; not known of a provider that is not installed."""
    info = plan.providers.get(provider)
    return info is not None and not info.capabilities.partial_results


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
        when = "removed at once, whatever is answered" if choices.force else "removed when that is confirmed"
        text = f"{_asked_to_stop(unfinished)}; {when}"
        found += [Note("At the provider", text, warning=True), _partial(plan)]
    elif unfinished and choices.record:
        text = f"{jobs(len(unfinished))} not finished: left running at the provider, and billed"
        found.append(Note("Not cancelled", text, warning=True))
    if choices.remote:
        found.append(
            Note("Deleted", f"{_what_goes(plan)} are deleted there; this cannot be undone", warning=True)
        )
        if unfinished and choices.force:
            found.append(Note("Stays", "what unfinished batches use at the provider"))
    else:
        found.append(Note("Stays", "files and batches at the provider"))
    if choices.local_files:
        found.append(Note("Deleted", "fetched files on this computer; this cannot be undone", warning=True))
    if not choices.record:
        found.append(Note("Stays", "the record here"))
    return found


def _what_goes(plan: Plan) -> str:
    """Return what a clean-up deletes at the providers of a plan."""
    providers = {decision.job.provider for decision in plan.acting}
    infos = [plan.providers[name] for name in providers if name in plan.providers]
    titles = " and ".join(sorted(info.title for info in infos if info.capabilities.deletes_records))
    if titles and all(info.capabilities.deletes_records for info in infos):
        return "the batches and their files"
    files = "input, output and error files"
    return f"{files} and {titles} batches" if titles else files


def _asked_to_stop(unfinished: Sequence[Decision]) -> str:
    """Return how many are asked now, and how many have been asked before."""
    again = sum(1 for decision in unfinished if decision.job.status is Status.CANCELLING)
    now = len(unfinished) - again
    asked = [f"{jobs(now)} asked to stop"] if now else []
    return ", ".join([*asked, *([f"{jobs(again)} asked before"] if again else [])])


def _skipped(plan: Plan) -> list[Note]:
    skipped = plan.skipped
    if not skipped:
        return []
    if len(skipped) <= 3:
        return [Note("Skipped", f"{clean(decision.job.name, 60)}: {decision.reason}") for decision in skipped]
    reasons = Counter(decision.reason for decision in skipped)
    listed = " · ".join(f"{number:,} × {reason}" for reason, number in reasons.most_common(3))
    rest = len(reasons) - 3
    return [Note("Skipped", f"{jobs(len(skipped))}: {listed}{_more(rest)}")]


def _more(rest: int) -> str:
    """Return how many reasons are left out."""
    return f" · {quantity(rest, 'more reason')}" if rest > 0 else ""


def nothing_to_do(plan: Plan) -> str:
    """Return the toast for a plan that acts on nothing."""
    if not plan.decisions:
        return "Nothing to cancel: no unfinished job here" if plan.scope else NO_JOB
    if len(plan.decisions) == 1:
        (only,) = plan.decisions
        return f"{clean(only.job.name, 60)}: {only.reason}"
    return f"Nothing to {verb(plan).lower()}. {_skipped(plan)[0].text}"


_DONE_WORDS = {
    Action.FORCE_FAIL: "Force-failed",
    Action.RETRY: "Retried",
    Action.REMOVE: "Removed",
}


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


def waits(plan: Plan, outcome: ActionOutcome) -> bool:
    """Whether a removal went no further than the request to cancel."""
    waiting = plan.choices.cancel_first and not plan.choices.force
    return waiting and not outcome.job.local and outcome.status_after in UNFINISHED
