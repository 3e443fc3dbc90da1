"""Jobs that a person's own script runs: the worker is asked to stop, and its lease can be taken from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobdash.domain.backends.base import ASKED_LONG_AGO, REMOVE_MEANING, Remark, Verdict, accept_unfinished
from jobdash.domain.describe.job_text import STARTING, WAITS
from jobdash.domain.items import ENDED, GRACE_S, RETRIED, ScriptProcess, process_ids
from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.plan import Action, Choices, Decision, DecisionContext, DecisionKind, Note, Plan
from jobdash.domain.status import LABELS, Status, ended_text
from jobdash.domain.text import clean, quantity
from jobdash.domain.time import HOUR, MINUTE, SECOND, short_span

_COMMAND_MOST = 32 * 1024
"""Characters of a command line that are shown: all of it, before it is started."""


class Script:
    """The rules of jobs of scripts."""

    name: str = "script"
    at_provider: bool = False
    # Of a script's items one wants to see at once whether they move.
    rate_units: Sequence[tuple[str, int]] = (("s", SECOND), ("min", MINUTE), ("h", HOUR))
    no_remote_id: str = "No provider knows a script's job; Y copies its id here"

    def accepts(self, action: Action, job: JobRow, situation: DecisionContext, choices: Choices) -> Verdict:
        """Decide whether an action is for a job that was not removed."""
        return _DECIDERS[action](job, situation, choices)

    def out_of_reach(self, job: JobRow, situation: DecisionContext) -> str | None:
        """Return None: no provider has to be asked."""
        return None

    def no_cancel(self, job: JobRow, situation: DecisionContext) -> str | None:
        """Return None: no provider has to be asked."""
        return None

    def ended_sentence(self, job: JobRow) -> str:
        """Return what an ended job has left undone; empty when its script came to its end."""
        if job.unfinished or job.done is None or job.status is Status.COMPLETED:
            return ""
        return ended_text(job.status, job.done, job.total)

    def error_refusal(self, job: JobRow) -> str | None:
        """Return where a job's error details are: no server has them."""
        return f"its errors are kept with its items: jobdash show {job.public_id} --items"

    def undo_refusal(self, job: JobRow) -> str | None:
        """Return why a force-fail stays; None of any other job."""
        if not job.force_failed:
            return None
        return f"is a script's job, whose force-fail stays: jobdash retry {job.public_id}"

    def reference(self, job: JobRow) -> str:
        """Return our id: there is no other."""
        return job.public_id

    def identity(self, job: JobDetails) -> Iterator[tuple[str, str]]:
        """Yield the account."""
        yield "Account", job.row.account

    def summary(self, job: JobRow, now: int) -> Remark | None:
        """Return the one sentence worth showing of a job in the dashboard, with its keys; mostly None."""
        if job.force_failed:
            return Remark("failed here; what its script may still write is refused; r retries it", "warning")
        if job.starting(now):
            return Remark(STARTING, "text")
        if job.waits_for_script:
            return Remark("waits for its script: run it again, or r starts it here", "text")
        if job.worker_gone(now):
            return Remark("its worker is gone: closed as cancelled", "muted")
        if job.lease_until is not None and job.stalled(now):
            silent = f"its script has not been heard of for {short_span(now - job.lease_until)}"
            return Remark(f"{silent}; f fails it, r lets it start again, c cancels it", "warning")
        if job.status is Status.CANCELLING:
            return Remark("Cancelling… items under way finish, no new ones start", "warning")
        ended = self.ended_sentence(job)
        return Remark(ended, "warning") if ended else None

    def remarks(self, job: JobRow, now: int) -> list[str]:
        """Return what a command prints after the status of a job."""
        return [ASKED_LONG_AGO] if job.stuck_cancelling(now) else []

    def where(self, plan: Plan) -> str:
        """Return which jobs of a plan are scripts: ``3 scripts here``."""
        return f"{quantity(len(plan.acting), 'script')} here"

    def notes(self, plan: Plan) -> list[Note]:
        """Return what a plan will do to its jobs and their processes, and what stays."""
        return list(_BUILDERS[plan.action](plan))

    def meaning(self, plan: Plan) -> str:
        """Return what the action of a plan means, in one sentence."""
        if plan.action is Action.REMOVE and not plan.choices.record:
            return "Clean up deletes fetched files and logs on this computer; record and items stay"
        if plan.action is Action.RETRY and plan.choices.restart:
            return "Retry starts the script again, as it was started last; it does what is left"
        return _MEANING[plan.action]

    def undo_effects(self, jobs: Sequence[JobRow], *, alone: bool) -> Iterator[str]:
        """Yield what the undo of a removal of jobs brings back, and what not."""
        yield "Items come back with their job; files that were deleted here, if any, do not."
        # Removing an unfinished one has cancelled it, in one transaction.
        cancelled = [
            job for job in jobs if job.status is Status.CANCELLED and job.finished_at == job.removed_at
        ]
        if cancelled:
            some = f"{len(cancelled):,} of them, not finished then, will be cancelled."
            yield "It comes back cancelled." if alone else some


def _cancel(job: JobRow, situation: DecisionContext, choices: Choices) -> Verdict:
    if job.terminal:
        return DecisionKind.ALREADY, f"already {LABELS[job.status]}"
    if job.status is Status.CANCELLING and job.cancel_requested_at is not None:
        ago = short_span(situation.now - job.cancel_requested_at)
        return DecisionKind.ALREADY, f"already asked {ago} ago; force-fail it to wait no longer"
    return DecisionKind.ACT, ""


def _retry(job: JobRow, situation: DecisionContext, choices: Choices) -> Verdict:
    if job.status is Status.PENDING:
        if choices.restart:
            return DecisionKind.ACT, ""
        return DecisionKind.ALREADY, f"already pending: it {WAITS}"
    if job.unfinished and not (job.stalled(situation.now) or job.id in situation.dead):
        return DecisionKind.REFUSED, f"still {LABELS[job.status]}; cancel it first"
    complete = job.status is Status.COMPLETED
    if complete and not job.failed and not job.remaining:
        return DecisionKind.ALREADY, "nothing failed and nothing is missing"
    return _narrowed(job, choices)


def _narrowed(job: JobRow, choices: Choices) -> Verdict:
    """Decide on a retry of a part: the script's own loop visits every item that is not done."""
    if not set(choices.only) & set(RETRIED):
        return DecisionKind.REFUSED, "only answers of a batch are cut off"
    if set(choices.only) >= set(RETRIED):
        return DecisionKind.ACT, ""
    others = job.remaining if "failed" in choices.only else job.failed
    if others == 0 or (others is None and "missing" in choices.only):
        return DecisionKind.ACT, ""
    left_out = "missing" if "failed" in choices.only else "failed"
    does_rest = "its script also does" if job.function is None else "its workers also do"
    number = "what is" if others is None else f"the {others:,} that are" if others > 1 else "the one that is"
    return DecisionKind.REFUSED, f"{does_rest} {number} {left_out}; retry it without --only"


def _remove(job: JobRow, situation: DecisionContext, choices: Choices) -> Verdict:
    if not (choices.record or choices.local_files):
        return DecisionKind.REFUSED, "nothing chosen: no provider keeps anything of it"
    if job.terminal or choices.force:
        return DecisionKind.ACT, ""
    if not choices.record:
        return DecisionKind.REFUSED, "still unfinished; its files are in use"
    if not choices.cancel_first:
        how = "stalled" if job.stalled(situation.now) else f"still {LABELS[job.status]}"
        return DecisionKind.REFUSED, f"{how}; {situation.instead}"
    return DecisionKind.ACT, ""


_DECIDERS = {
    Action.CANCEL: _cancel,
    Action.FORCE_FAIL: accept_unfinished,
    Action.RETRY: _retry,
    Action.REMOVE: _remove,
}


def left_words(plan: Plan) -> str:
    """Return what is left of the local jobs of a plan: ``62 of 100: 59 not processed, 3 failed``."""
    jobs = [decision.job for decision in plan.acting]
    failed = sum(job.failed or 0 for job in jobs)
    if all(job.total is not None for job in jobs):
        total = sum(job.total or 0 for job in jobs)
        missing = sum(job.remaining or 0 for job in jobs)
        left = f"{missing + failed:,} of {total:,}"
        if not failed:
            return left
        return f"{left}: {missing:,} not processed, {failed:,} failed" if missing else f"{left}, all failed"
    done = sum(job.succeeded or 0 for job in jobs)
    return f"{done:,} done" + (f", {failed:,} failed" if failed else "") + "; how many are left is not known"


def _workers(plan: Plan) -> list[tuple[Decision, ScriptProcess]]:
    return [(decision, plan.workers.get(decision.job.id, ScriptProcess())) for decision in plan.acting]


def kept(plan: Plan) -> Note:
    """Return what stays: items with keys stay readable, counts of others stay counts."""
    done = sum(decision.job.done or 0 for decision in plan.acting)
    if not done:
        return Note("Kept", "nothing is finished yet")
    if any(worker.keyed for _, worker in _workers(plan)):
        return Note(
            "Kept", f"{quantity(done, 'finished item')}; results can be fetched, a retry does the rest"
        )
    return Note("Kept", f"the counts of {quantity(done, 'finished item')}, no more: they have no keys")


def _cancel_notes(plan: Plan) -> Iterator[Note]:
    waiting = sum(1 for decision in plan.acting if decision.job.status is Status.PENDING)
    lost = [plan.workers.get(job_id, ScriptProcess()) for job_id in sorted(plan.lost)]
    asked = len(plan.acting) - waiting - len(lost)
    if asked:
        text = f"{asked:,} asked to stop: items under way finish, no new ones start"
        yield Note("In the script", text)
    if waiting:
        yield Note("Here", f"{waiting:,} that no process runs: cancelled at once, never runs")
    silent = [worker for worker in lost if worker.alive]
    if gone := len(lost) - len(silent):
        yield Note("Here", f"{gone:,} whose script is not heard of any more: cancelled at once")
    if silent:
        it = "it still writes" if len(silent) == 1 else "they still write"
        text = f"{len(silent):,} not heard of, though still there as {process_ids(silent)}: cancelled at once"
        yield Note("Here", f"{text}; what {it} is refused")
    yield kept(plan)


def _force_fail_notes(plan: Plan) -> Iterator[Note]:
    it = "it" if len(plan.acting) == 1 else "them"
    yield Note("Here", f"marked failed at once; a retry does the rest. Nothing takes {it} back")
    yield from _process(plan, plan.acting)
    yield kept(plan)


def _process(plan: Plan, decisions: tuple[Decision, ...]) -> Iterator[Note]:
    """Yield what happens to the processes of unfinished jobs."""
    workers = [plan.workers.get(decision.job.id, ScriptProcess()) for decision in decisions]
    alive = [worker for worker in workers if worker.alive]
    if alive and plan.choices.stop_process:
        yield from _stopping(alive)
        also = [clean(name, 40) for name in dict.fromkeys(name for worker in alive for name in worker.also)]
        if also:
            yield Note("With it", f"what else it runs ends too: {', '.join(also[:5])}", warning=True)
    elif alive:
        some = f"pid {alive[0].pid} goes on" if len(alive) == 1 else f"{len(alive):,} processes go on"
        yield Note("Process", f"{some} until the next item, whose outcome is refused; then the script ends")
    others = [worker for worker in workers if not worker.alive and worker.pid is not None]
    if others:
        reasons = dict.fromkeys(worker.fenced_only for worker in others)
        yield Note("Process", ENDED if [*reasons] == [ENDED] else f"fenced only: {'; '.join(reasons)}")


def _stopping(alive: list[ScriptProcess]) -> Iterator[Note]:
    suspended = [worker for worker in alive if worker.suspended]
    others = [worker for worker in alive if not worker.suspended]
    if others:
        patience = f"SIGTERM if still there in {GRACE_S:g} s, SIGKILL after {GRACE_S:g} more"
        yield Note("Process", f"stopping {process_ids(others)}: {patience}", warning=True)
    if suspended:
        text = f"killing {process_ids(suspended)} at once: a suspended process hears no SIGTERM"
        yield Note("Process", text, warning=True)


def _retry_notes(plan: Plan) -> Iterator[Note]:
    yield Note("Left", left_words(plan))
    workers = _workers(plan)
    unkeyed = sum(1 for _, worker in workers if not worker.keyed)
    if unkeyed:
        which = "its items have no keys" if len(workers) == 1 else f"{unkeyed:,} have items without keys"
        yield Note("From the start", f"{which}: everything is done again", warning=True)
    if unkeyed < len(workers) and (done := sum(decision.job.succeeded or 0 for decision in plan.acting)):
        yield Note("Kept", f"{quantity(done, 'item')} done; the next run skips what is done")
    yield from _start(plan, [worker for _, worker in workers])


def _start(plan: Plan, workers: list[ScriptProcess]) -> Iterator[Note]:
    startable = [worker for worker in workers if worker.cannot_start is None]
    if plan.choices.restart and startable:
        if len(startable) == 1:
            (one,) = startable
            where = f" in {clean(one.cwd, _COMMAND_MOST)}" if one.cwd else ""
            yield Note("Started", f"{clean(one.command, _COMMAND_MOST)}{where}; output in a log file")
        else:
            yield Note("Started", f"{len(startable):,} scripts, detached; their output goes to log files")
    waiting = len(workers) - (len(startable) if plan.choices.restart else 0)
    if not waiting:
        return
    alone = len(workers) == 1
    text = "waits for its script: run it again" if alone else f"{waiting:,} wait for their scripts"
    reasons = dict.fromkeys(worker.cannot_start for worker in workers if worker.cannot_start is not None)
    if plan.choices.restart and reasons:
        text += f" (not started: {'; '.join(map(str, reasons))})"
    elif startable and alone:
        text += f"; last started as {clean(startable[0].command, _COMMAND_MOST)}"
    yield Note("Then", text)


def _remove_notes(plan: Plan) -> Iterator[Note]:
    unfinished = tuple(decision for decision in plan.acting if decision.job.unfinished)
    if unfinished and plan.choices.record:
        written = _written_words(unfinished)
        text = f"{len(unfinished):,} not finished: cancelled at once; what {written} is refused"
        yield Note("Cancelled", text, warning=True)
        if unfinished[0].job.function is None:  # workers go on, with other parts
            yield from _process(plan, unfinished)
    if plan.choices.record:
        shown = ", cancelled" if unfinished else ""
        items = "its items" if len(plan.acting) == 1 else "their items"
        yield Note("Stays", f"{items}, hidden with the record; an undo brings both back{shown}")
    if plan.choices.local_files:
        text = "fetched files and log files on this computer; this cannot be undone"
        yield Note("Deleted", text, warning=True)


def _written_words(decisions: Sequence[Decision]) -> str:
    """Return who may still write to unfinished jobs, all of them of one backend."""
    alone = len(decisions) == 1
    if decisions[0].job.function is not None:
        return f"{'its' if alone else 'their'} workers still write"
    return "its script still writes" if alone else "their scripts still write"


_BUILDERS = {
    Action.CANCEL: _cancel_notes,
    Action.FORCE_FAIL: _force_fail_notes,
    Action.RETRY: _retry_notes,
    Action.REMOVE: _remove_notes,
}
_MEANING = {
    Action.CANCEL: "Cancel asks the script to stop after the items it is at; what is done stays",
    Action.FORCE_FAIL: "Force-fail marks it failed here; use it when the script is stuck or lost",
    Action.RETRY: "Retry makes it pending again; its script's next run takes it up",
    Action.REMOVE: REMOVE_MEANING,
}
SCRIPT = Script()
