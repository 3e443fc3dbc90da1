"""The sentences on standard error about which job a run continues, and what is left at its end."""

from __future__ import annotations

from jobdash.store.claims import Claim
from jobdash.store.continuation import AT_ITS_END, SAME_PROCESS, ResumeCandidate
from jobdash.worker.exit_status import so_far

_announced: set[tuple[str, str]] = set()
"""The jobs that were passed over in this process, with the reason: an inner loop would repeat them."""


def begin_line(name: str, keyed: bool, got: Claim) -> str | None:
    """Return what is continued, or why a new job is made where a person might expect the other."""
    if got.resumed is not None:
        if not keyed:
            return f"{name} ({got.public_id}) begins again: without key= nothing tells which items are done"
        failed = got.resumed.failed
        again = "" if not failed else f", {failed:,} failed {'is' if failed == 1 else 'are'} tried again"
        return f"{name} ({got.public_id}) goes on: {so_far(got.resumed.done, got.total)} done{again}"
    choice = got.choice
    if choice.active is not None:
        return f"another run of {name} is active, pid {choice.active.pid}; this one is a new job"
    if choice.passed_over is None or _is_repeated(choice.passed_over, choice.reason):
        return None
    return f"{name} ({got.public_id}) is a new job. {_passed_over(name, choice.passed_over, choice.reason)}"


def _is_repeated(job: ResumeCandidate, reason: str) -> bool:
    """Whether the same was reported in this process; of its own jobs, once for each name."""
    known = (job.name if reason == SAME_PROCESS else job.public_id, reason)
    repeated = known in _announced
    _announced.add(known)
    return repeated


def _passed_over(name: str, job: ResumeCandidate, reason: str) -> str:
    known_as = job.public_id if job.name == name else f"{job.name} ({job.public_id})"
    if job.status != "completed":
        left = f"was left at {so_far(job.succeeded or 0, job.total)}"
    else:
        left = f"ended with {job.failed or 0:,} failed"
    if reason == AT_ITS_END:
        return (
            f"{known_as} {left}, and all is done again;"
            f' only those are with resume="failed" or: jobdash retry {job.public_id}'
        )
    return f'{known_as} {left} and is not continued: {reason}. To go on with it: resume="{job.public_id}"'


def end_line(
    name: str,
    public_id: str | None,
    word: str,
    failed: int,
    total: int | None,
    *,
    keyed: bool,
    startable: bool,
    continues: bool = True,
) -> str | None:
    """Return what is left of a run that has ended, and what does it; None where nothing is.

    ``startable`` says whether the script's command line is known, and can be started again; ``continues``
    whether the next run goes on with the job by itself.
    """
    if public_id is None:
        return None
    run = "the next run of this script" if continues else f'a run with resume="{public_id}"'
    if not failed:
        if word == "completed":
            return None
        rest = "does the rest" if keyed else "begins from the start: without key= nothing tells what is done"
        return f"{name} ({public_id}) is {word}; {run} {rest}"
    some = f"{name} ({public_id}): {failed:,}{'' if total is None else f' of {total:,}'} failed"
    if not keyed:
        return f"{some}; without key= nothing tells which, and the next run does all again"
    if word != "completed":
        return f"{some}; {run} tries {'it' if failed == 1 else 'them'} again and does the rest"
    again = f'run with resume="{"failed" if continues else public_id}"'
    if startable:
        return f"{some}; again: jobdash retry {public_id} --start, or {again}"
    return f"{some}; again: {f'jobdash retry {public_id}, or ' if continues else ''}{again}"
