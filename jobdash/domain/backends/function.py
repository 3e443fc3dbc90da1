"""Jobs of functions that workers run: each holds parts of a job, and any of them may do the rest."""

from __future__ import annotations

from collections.abc import Iterator

from jobdash.domain.backends.base import REMOVE_MEANING, Remark, Verdict
from jobdash.domain.backends.script import Script, kept, left_words
from jobdash.domain.describe.job_text import WAITS_FOR_WORKER, worker_command
from jobdash.domain.job import JobRow
from jobdash.domain.plan import Action, Choices, DecisionContext, DecisionKind, Note, Plan
from jobdash.domain.status import Status
from jobdash.domain.text import quantity
from jobdash.domain.time import short_span


class Function(Script):
    """The rules of jobs of functions; what is the same for those of scripts is `Script`'s."""

    name: str = "function"
    no_remote_id: str = "No provider knows a function's job; Y copies its id here"

    def accepts(self, action: Action, job: JobRow, situation: DecisionContext, choices: Choices) -> Verdict:
        """Decide whether an action is for a job that was not removed."""
        if action is Action.RETRY and job.status is Status.PENDING:
            return DecisionKind.ALREADY, f"already pending: it {WAITS_FOR_WORKER}"
        return super().accepts(action, job, situation, choices)

    def undo_refusal(self, job: JobRow) -> str | None:
        """Return why a force-fail stays; None of any other job."""
        if not job.force_failed:
            return None
        return f"is a function's job, whose force-fail stays: jobdash retry {job.public_id}"

    def summary(self, job: JobRow, now: int) -> Remark | None:
        """Return the one sentence worth showing of a job in the dashboard, with its keys; mostly None."""
        if job.force_failed:
            return Remark("failed here; what its workers may still write is refused; r retries it", "warning")
        if job.waits_for_worker:
            return Remark(f"{WAITS_FOR_WORKER}: {worker_command(job)}", "text")
        if job.worker_gone(now):
            return Remark("its workers are gone: closed as cancelled", "muted")
        if job.lease_until is not None and job.stalled(now):
            silent = f"no worker of it has been heard of for {short_span(now - job.lease_until)}"
            return Remark(f"{silent}; another goes on with it, f fails it, c cancels it", "warning")
        return super().summary(job, now)

    def where(self, plan: Plan) -> str:
        """Return which jobs of a plan are of functions: ``3 function jobs``."""
        return quantity(len(plan.acting), "function job")

    def notes(self, plan: Plan) -> list[Note]:
        """Return what a plan will do to its jobs and their workers, and what stays."""
        build = _BUILDERS.get(plan.action)
        return super().notes(plan) if build is None else list(build(plan))

    def meaning(self, plan: Plan) -> str:
        """Return what the action of a plan means, in one sentence."""
        if plan.action is Action.REMOVE:
            return super().meaning(plan)
        return _MEANING[plan.action]


def _cancel_notes(plan: Plan) -> Iterator[Note]:
    waiting = sum(1 for decision in plan.acting if decision.job.status is Status.PENDING)
    lost = len(plan.lost)
    if asked := len(plan.acting) - waiting - lost:
        yield Note("Workers", f"{asked:,} asked to stop: items under way finish, no new ones start")
    if waiting:
        yield Note("Here", f"{waiting:,} that no worker runs: cancelled at once, never runs")
    if lost:
        yield Note("Here", f"{lost:,} whose workers are not heard of any more: cancelled at once")
    yield kept(plan)


def _force_fail_notes(plan: Plan) -> Iterator[Note]:
    it = "it" if len(plan.acting) == 1 else "them"
    yield Note("Here", f"marked failed at once; a retry does the rest. Nothing takes {it} back")
    if any(decision.job.unfinished for decision in plan.acting):
        yield Note("Workers", "each ends at its next item, whose outcome is refused, and takes other parts")
    yield kept(plan)


def _retry_notes(plan: Plan) -> Iterator[Note]:
    yield Note("Left", left_words(plan))
    if done := sum(decision.job.succeeded or 0 for decision in plan.acting):
        yield Note("Kept", f"{quantity(done, 'item')} done; workers skip what is done")
    yield Note("Then", f"{WAITS_FOR_WORKER}: the next that is free takes it up")


_BUILDERS = {Action.CANCEL: _cancel_notes, Action.FORCE_FAIL: _force_fail_notes, Action.RETRY: _retry_notes}
_MEANING = {
    Action.CANCEL: "Cancel asks the workers to stop after the items they are at; what is done stays",
    Action.FORCE_FAIL: "Force-fail marks it failed here; use it when its workers are stuck or lost",
    Action.RETRY: "Retry makes it pending again; workers take up what is left",
    Action.REMOVE: REMOVE_MEANING,
}
FUNCTION = Function()
