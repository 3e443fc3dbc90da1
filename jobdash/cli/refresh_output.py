"""Refreshing error details for a command, job by job."""

from __future__ import annotations

from jobdash.cli.context import FAILED, INTERRUPTED, CliContext
from jobdash.cli.event_loop import run_stoppable
from jobdash.cli.output import print_text
from jobdash.cli.selection import JobSelector, select
from jobdash.cli.session import open_session
from jobdash.cli.summary import SummaryLine, print_line, print_summary, result_style
from jobdash.domain.plan import ActionResult
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.actions.refresh_errors import Refreshed, refresh_errors


def refresh(context: CliContext, wanted: JobSelector) -> int:
    """Refresh the errors of the jobs that were named; return the exit code."""
    selection = select(context, wanted)

    def report(done: Refreshed) -> None:
        if not context.as_json:
            print_line(str(done.result), done.row, done.reason, result_style(done.result))

    async def work(stop: CancelToken) -> tuple[list[Refreshed], bool]:
        async with open_session(context, stop) as session:
            return await refresh_errors(selection.rows, session.work, report), stop.is_set()

    refreshed, stopped = run_stoppable(work)
    lines = [SummaryLine(done.before, done.result, done.reason, done.row) for done in refreshed]
    if context.as_json:
        print_summary("refresh-errors", lines, context.opened.browser)
    else:
        counts = {word: sum(line.result is word for line in lines) for word in ActionResult}
        print_text(" · ".join(f"{word.capitalize()}: {number:,}" for word, number in counts.items()))
    if stopped:
        return INTERRUPTED
    failed = any(line.result is ActionResult.FAILED for line in lines)
    return FAILED if failed or selection.bad_words else 0
