"""Undo for a command: what it takes back, the question, the outcome."""

from __future__ import annotations

from jobdash.cli.clock import store_time
from jobdash.cli.confirm import MOST_SHOWN, Print, ask
from jobdash.cli.context import FAILED, CliContext
from jobdash.cli.event_loop import run
from jobdash.cli.job_line import short_name
from jobdash.cli.output import Style, print_error, print_text
from jobdash.cli.selection import named_job
from jobdash.cli.session import open_session
from jobdash.cli.summary import SummaryLine, print_line, print_summary, result_style
from jobdash.domain.backends.registry import rules_of
from jobdash.domain.describe.job_text import shown_status
from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionResult
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.actions.undo import (
    NOTHING_TO_UNDO,
    Undoable,
    find_lasting,
    find_undoable,
    not_taken_back,
    undo,
    undo_refusal,
    undo_words,
    undoable_words,
)
from jobdash.operations.person import current_actor


def undo_last(context: CliContext, word: str | None, *, dry_run: bool, yes: bool) -> int:
    """Take back the newest own action, of one job if it is named; return the exit code."""
    browser = context.opened.browser
    job = None if word is None else named_job(browser, word)
    actor = current_actor("cli").name
    action = find_undoable(browser, actor, None if job is None else job.id)
    if action is None:
        return _nothing(context, job)
    lasting = find_lasting(browser, actor, action) if job is None else []
    if refusal := undo_refusal(action, lasting):
        print_error(refusal)
        _print(context, [])
        return FAILED
    if left := not_taken_back(lasting):
        print_error(left)
    if dry_run:
        return _dry_run(context, action)
    context.writable()
    if not yes:
        _show(action, print_error)
        ask(f"Take back {undoable_words(action)}")
    lines = _take_back(context, action)
    _print(context, lines)
    return 0 if any(line.result is ActionResult.DONE for line in lines) else FAILED


def _show(action: Undoable, out: Print) -> None:
    out(undo_words(action), Style.STRONG)
    if len(action.jobs) == 1:
        return
    for row in action.jobs[:MOST_SHOWN]:
        out(f"  {row.public_id}  {short_name(row)}  {row.account}", Style.PLAIN)
    if (more := len(action.jobs) - MOST_SHOWN) > 0:
        out(f"  … and {more:,} more", Style.QUIET)


def _dry_run(context: CliContext, action: Undoable) -> int:
    if context.as_json:
        print_summary(
            "undo",
            [SummaryLine(row, ActionResult.DONE, "", None, planned=True) for row in action.jobs],
            context.opened.browser,
            dry_run=True,
        )
    else:
        _show(action, print_text)
        print_error("dry run: nothing was changed")
    return 0


def _take_back(context: CliContext, action: Undoable) -> list[SummaryLine]:
    async def work(stop: CancelToken) -> list[SummaryLine]:
        async with open_session(context, stop) as session:
            outcomes = await undo(action, session.work.store)
        seen = {row.id: row for row in action.jobs}
        return [
            SummaryLine(
                seen[outcome.row.id],
                ActionResult.DONE if outcome.reason is None else ActionResult.SKIPPED,
                outcome.reason or f"took back: {action.what}",
                outcome.row,
            )
            for outcome in outcomes
        ]

    return run(work)


def _nothing(context: CliContext, job: JobRow | None) -> int:
    of_it = "" if job is None else f" of {job.public_id} {short_name(job)}"
    refusal = None if job is None else rules_of(job).undo_refusal(job)
    if job is not None and refusal is not None:
        print_error(f"{short_name(job)} {refusal}")
    else:
        print_error(f"nothing{of_it} to take back: {NOTHING_TO_UNDO}")
    _print(context, [])
    return 0 if job is None else FAILED


def _print(context: CliContext, lines: list[SummaryLine]) -> None:
    if context.as_json:
        print_summary("undo", lines, context.opened.browser)
        return
    for line in lines:
        word, reason = str(line.result), line.reason
        if line.after is not None and line.result is ActionResult.DONE:
            word, reason = "taken back", f"{shown_status(line.after, store_time())} again"
        print_line(word, line.before, reason, result_style(line.result))
    if lines:
        print_text(f"Taken back: {sum(line.result is ActionResult.DONE for line in lines):,}")
