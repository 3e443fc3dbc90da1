"""Asking again for error details, job by job."""

from __future__ import annotations

from jobdash.cli.exit_codes import FAILED, INTERRUPTED
from jobdash.cli.face import Face
from jobdash.cli.loop import run_stoppable
from jobdash.cli.out import say
from jobdash.cli.selecting import Wanted, select
from jobdash.cli.summary import Line, print_line, print_summary, tone_of
from jobdash.cli.workbench import open_workbench
from jobdash.domain.plan import ActionResult
from jobdash.operations.rate_limiter import CancelToken
from jobdash.operations.refresh_errors import Refreshed, refresh_errors


def refresh(face: Face, wanted: Wanted) -> int:
    """Refresh the errors of the jobs that were named; return the exit code."""
    selection = select(face, wanted)

    def report(done: Refreshed) -> None:
        if not face.as_json:
            print_line(str(done.result), done.row, done.reason, tone_of(done.result))

    async def work(stop: CancelToken) -> tuple[list[Refreshed], bool]:
        async with open_workbench(face, stop) as bench:
            return await refresh_errors(selection.rows, bench.work, report), stop.is_set()

    refreshed, stopped = run_stoppable(work)
    lines = [Line(done.before, done.result, done.reason, done.row) for done in refreshed]
    if face.as_json:
        print_summary("refresh-errors", lines)
    else:
        counts = {word: sum(line.result is word for line in lines) for word in ActionResult}
        say(" · ".join(f"{word.capitalize()}: {number:,}" for word, number in counts.items()))
    if stopped:
        return INTERRUPTED
    failed = any(line.result is ActionResult.FAILED for line in lines)
    return FAILED if failed or selection.bad_words else 0
