"""How a run ends, by what left its loop: a word for the job and a sentence for the attempt."""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import NamedTuple

from jobdash.worker.exceptions import JobCancelled
from jobdash.worker.item_text import sentence_of


def so_far(done: int, total: int | None) -> str:
    """Return ``25 of 100``."""
    return f"{done:,}" + (f" of {total:,}" if total is not None else "")


def cancelled_sentence(done: int, total: int | None) -> str:
    """Return what a person is told of a cancel."""
    if total is None:
        return f"Job was cancelled: {done:,} done"
    return f"Job was cancelled: {done:,} of {total:,} done, {max(0, total - done):,} not processed"


def exit_outcome(error: BaseException | None, exhausted: bool, how_far: str) -> tuple[str, str]:
    """Return how a job ends that ``error`` has left, None if nothing has, and the sentence for it."""
    if error is None:
        return ("completed", f"{how_far} done") if exhausted else ("cancelled", f"loop left at {how_far}")
    if isinstance(error, JobCancelled):
        return "cancelled", f"cancelled at {how_far}"
    if not _is_a_stop(error):
        return "failed", sentence_of(error)
    by = "interrupted" if isinstance(error, KeyboardInterrupt) else type(error).__name__
    return "cancelled", f"loop left at {how_far}: {by}"


class LoopInstruction(NamedTuple):
    """Where code was: what tells the exception that left a loop from another of the same function."""

    code: CodeType
    offset: int


def instruction(frame: FrameType | None) -> LoopInstruction | None:
    """Return where a frame is."""
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


def _is_a_stop(error: BaseException) -> bool:
    """Whether an exception only asks for an end, as Ctrl-C and a cancelled task do, and is no failure."""
    if isinstance(error, SystemExit):
        return error.code in {None, 0}
    # Those of asyncio, trio and others; to import them to know them would cost every script.
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, KeyboardInterrupt | GeneratorExit) or bool(
        names & {"CancelledError", "Cancelled"}
    )
