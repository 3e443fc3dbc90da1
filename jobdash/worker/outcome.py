"""How a run ends: its status, and the sentences about its end and about what it continues."""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import NamedTuple

from jobdash.store.leases.claims import Claim
from jobdash.store.leases.continuation import AT_ITS_END, SAME_PROCESS
from jobdash.store.leases.resume_candidates import ResumeCandidate
from jobdash.worker.exceptions import JobCancelled
from jobdash.worker.item_encoding import sentence_of


def so_far(done: int, total: int | None) -> str:
    """Return ``25 of 100``."""
    return f"{done:,}" + (f" of {total:,}" if total is not None else "")


def exit_outcome(error: BaseException | None, exhausted: bool, how_far: str) -> tuple[str, str]:
    """Return the word and the sentence for the end of a job; ``error`` left its loop, None if nothing did."""
    if error is None:
        return ("completed", f"{how_far} done") if exhausted else ("cancelled", f"loop left at {how_far}")
    if isinstance(error, JobCancelled):
        return "cancelled", f"cancelled at {how_far}"
    if not _is_stop(error):
        return "failed", sentence_of(error)
    by = "interrupted" if isinstance(error, KeyboardInterrupt) else type(error).__name__
    return "cancelled", f"loop left at {how_far}: {by}"


class LoopInstruction(NamedTuple):
    """The place of a frame in its code: it distinguishes exceptions that left one function."""

    code: CodeType
    offset: int


def instruction(frame: FrameType | None) -> LoopInstruction | None:
    """Return the place of a frame."""
    return None if frame is None else LoopInstruction(frame.f_code, frame.f_lasti)


def uncaught(at: LoopInstruction | None) -> BaseException | None:
    """Return the exception that ended the script, if it came from there; None if there is none."""
    error: BaseException | None = getattr(sys, "last_value", None)
    trace = None if error is None else error.__traceback__
    while trace is not None:
        if at == (trace.tb_frame.f_code, trace.tb_lasti):
            return error
        trace = trace.tb_next
    return None


def handled(before: BaseException | None) -> BaseException | None:
    """Return the exception that is being handled, unless it was handled ``before`` the loop as well."""
    error = sys.exc_info()[1]
    while isinstance(error, GeneratorExit):
        error = error.__context__
    return None if error is before else error


def _is_stop(error: BaseException) -> bool:
    """Whether an exception is no failure but a request to end, as Ctrl-C and a cancelled task are."""
    if isinstance(error, SystemExit):
        return error.code in {None, 0}
    # Those of asyncio, trio and others, by name: importing them would cost every script.
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, KeyboardInterrupt | GeneratorExit) or bool(
        names & {"CancelledError", "Cancelled"}
    )


_announced: set[tuple[str, str]] = set()
"""The jobs that were passed over in this process, with the reason: an inner loop would repeat them."""


def begin_line(name: str, keyed: bool, got: Claim) -> str | None:
    """Return the sentence about the job that is continued, or about why a new one is made instead."""
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
            f"{known_as} {left}, and this run does everything again. To do only those:"
            f' resume="failed", or jobdash retry {job.public_id} --start'
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
    """Return the sentence about what a run has left undone, and what does it; None when nothing is left.

    ``startable``: whether the script's command line is known, and can be started again; ``continues``
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
