"""The description of a plan for jobs of scripts: what happens to the script, and to what is done."""

from __future__ import annotations

from collections.abc import Iterator

from jobdash.domain.describe.job_text import stalled, worker_gone
from jobdash.domain.items import ENDED, GRACE_S, WorkerProcess
from jobdash.domain.plan import Action, Decision, Note, Plan
from jobdash.domain.status import Status
from jobdash.domain.text import clean, quantity

_COMMAND_MOST = 32 * 1024
"""Characters of a command line that are shown: all of it, before it is started."""
_PIDS_SHOWN = 5


def local_notes(plan: Plan) -> list[Note]:
    """Return what will happen to the local jobs of a plan."""
    return list(_BUILDERS[plan.action](plan)) if plan.local else []


def left_words(plan: Plan) -> str:
    """Return what is left of the local jobs of a plan: ``62 of 100: 59 not processed, 3 failed``."""
    jobs = [decision.job for decision in plan.local]
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


def _workers(plan: Plan) -> list[tuple[Decision, WorkerProcess]]:
    return [(decision, plan.workers.get(decision.job.id, WorkerProcess())) for decision in plan.local]


def _kept(plan: Plan) -> Note:
    """Return what stays: items with keys stay readable, counts of others stay counts."""
    done = sum(decision.job.done or 0 for decision in plan.local)
    if not done:
        return Note("Kept", "nothing is finished yet")
    if any(worker.keyed for _, worker in _workers(plan)):
        return Note(
            "Kept", f"{quantity(done, 'finished item')}; results can be fetched, a retry does the rest"
        )
    return Note("Kept", f"the counts of {quantity(done, 'finished item')}, no more: they have no keys")


def _cancel(plan: Plan) -> Iterator[Note]:
    waiting = sum(1 for decision in plan.local if decision.job.status is Status.PENDING)
    lost = [plan.workers.get(job_id, WorkerProcess()) for job_id in sorted(stalled_in(plan))]
    asked = len(plan.local) - waiting - len(lost)
    if asked:
        text = f"{asked:,} told to stop: items under way finish, no new ones start"
        yield Note("In the script", text)
    if waiting:
        yield Note("Here", f"{waiting:,} with nobody running: cancelled at once, never runs")
    silent = [worker for worker in lost if worker.alive]
    if gone := len(lost) - len(silent):
        yield Note("Here", f"{gone:,} whose script is not heard of any more: cancelled at once")
    if silent:
        it = "it still writes" if len(silent) == 1 else "they still write"
        text = f"{len(silent):,} not heard of, though still there as {_pids(silent)}: cancelled at once"
        yield Note("Here", f"{text}; what {it} is refused")
    yield _kept(plan)


def stalled_in(plan: Plan) -> frozenset[int]:
    """Return the ids of the jobs of a plan that count as running, and have no worker any more."""
    dead = plan.dead
    return frozenset(
        each.job.id
        for each in plan.local
        if each.job.unfinished
        and each.job.status is not Status.PENDING
        and (stalled(each.job, plan.at) or worker_gone(each.job, plan.at) or each.job.id in dead)
    )


def _force_fail(plan: Plan) -> Iterator[Note]:
    it = "it" if len(plan.local) == 1 else "them"
    yield Note("Here", f"marked failed at once; a retry does the rest. Nothing takes {it} back")
    yield from _process(plan, plan.local)
    yield _kept(plan)


def _process(plan: Plan, decisions: tuple[Decision, ...]) -> Iterator[Note]:
    """Yield what happens to the processes of unfinished jobs."""
    workers = [plan.workers.get(decision.job.id, WorkerProcess()) for decision in decisions]
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


def _stopping(alive: list[WorkerProcess]) -> Iterator[Note]:
    suspended = [worker for worker in alive if worker.suspended]
    others = [worker for worker in alive if not worker.suspended]
    if others:
        patience = f"SIGTERM if still there in {GRACE_S:g} s, SIGKILL after {GRACE_S:g} more"
        yield Note("Process", f"stopping {_pids(others)}: {patience}", warning=True)
    if suspended:
        text = f"killing {_pids(suspended)} at once: a suspended process hears no SIGTERM"
        yield Note("Process", text, warning=True)


def _pids(workers: list[WorkerProcess]) -> str:
    shown = (f"pid {each.pid}{' (suspended)' if each.suspended else ''}" for each in workers[:_PIDS_SHOWN])
    return f"{', '.join(shown)}{_more(workers)}"


def _more(workers: list[WorkerProcess]) -> str:
    more = len(workers) - _PIDS_SHOWN
    return f" and {more:,} more" if more > 0 else ""


def stopped_pids(plan: Plan) -> str:
    """Return the processes that a plan ends for real: ``pid 4711, pid 4712``."""
    workers = (plan.workers.get(each.job.id) for each in plan.local if each.job.unfinished)
    return _pids([worker for worker in workers if worker is not None and worker.alive])


def _retry(plan: Plan) -> Iterator[Note]:
    yield Note("Left", left_words(plan))
    workers = _workers(plan)
    unkeyed = sum(1 for _, worker in workers if not worker.keyed)
    if unkeyed:
        which = "its items have no keys" if len(workers) == 1 else f"{unkeyed:,} have items without keys"
        yield Note("From the start", f"{which}: everything is done again", warning=True)
    if unkeyed < len(workers) and (done := sum(decision.job.succeeded or 0 for decision in plan.local)):
        yield Note("Kept", f"{quantity(done, 'item')} done; the next run skips what is done")
    yield from _start(plan, [worker for _, worker in workers])


def _start(plan: Plan, workers: list[WorkerProcess]) -> Iterator[Note]:
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


def _remove(plan: Plan) -> Iterator[Note]:
    unfinished = tuple(decision for decision in plan.local if decision.job.unfinished)
    if unfinished and plan.choices.record:
        text = f"{len(unfinished):,} not finished: cancelled at once; what its script still writes is refused"
        yield Note("Cancelled", text, warning=True)
        yield from _process(plan, unfinished)
    if plan.choices.record:
        shown = ", cancelled" if unfinished else ""
        items = "its items" if len(plan.local) == 1 else "their items"
        yield Note("Stays", f"{items}, hidden with the record; an undo brings both back{shown}")
    if plan.choices.local_files:
        text = "fetched files and log files on this computer; this cannot be undone"
        yield Note("Deleted", text, warning=True)


_BUILDERS = {
    Action.CANCEL: _cancel,
    Action.FORCE_FAIL: _force_fail,
    Action.RETRY: _retry,
    Action.REMOVE: _remove,
}


def only_local(plan: Plan) -> bool:
    """Whether every job a plan acts on is run by a script here."""
    return bool(plan.acting) and all(decision.job.local for decision in plan.acting)
