"""Adoption for a command: which batches a job may be, the question, the outcome."""

from __future__ import annotations

from jobdash.cli.confirm import ask
from jobdash.cli.context import FAILED, CliContext
from jobdash.cli.event_loop import run
from jobdash.cli.job_line import short_name
from jobdash.cli.output import print_error
from jobdash.cli.selection import named_job
from jobdash.cli.session import open_session
from jobdash.cli.summary import SummaryLine, print_line, print_summary, result_style
from jobdash.domain.backends.provider_batch import not_confirmed
from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionResult
from jobdash.domain.text import clean
from jobdash.errors import UsageError
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.actions.adopt import Adoption, adopt, disown


def adopt_job(
    context: CliContext, word: str, remote_id: str | None, *, none: bool, dry_run: bool, yes: bool
) -> int:
    """Say which batch a job is, or with ``none`` that it is none; return the exit code."""
    row = named_job(context.opened.browser, word)
    if not row.unconfirmed:
        return _print(context, SummaryLine(row, ActionResult.SKIPPED, _known(row), row), dry_run=dry_run)
    if remote_id is None and not none:
        raise UsageError(f"{row.public_id} {_may_be(context, row)}")
    what = "No batch is" if remote_id is None else f"{clean(remote_id, 80)} is the batch of"
    what = f"{what} {row.public_id} {short_name(row)}"
    if dry_run:
        return _print(context, SummaryLine(row, ActionResult.DONE, what, None, planned=True), dry_run=True)
    context.writable()
    if not yes:
        print_error(f"It {_may_be(context, row)}.")
        ask(what)

    async def work(stop: CancelToken) -> Adoption:
        async with open_session(context, stop) as session:
            if remote_id is None:
                return await disown(row, session.work)
            return await adopt(row, remote_id, session.work)

    done = run(work)
    if done.refusal:
        return _print(context, SummaryLine(row, ActionResult.FAILED, done.refusal, done.row))
    if remote_id is None:
        reason = f"jobdash retry {row.public_id} sends it again"
        return _print(context, SummaryLine(row, ActionResult.DONE, reason, done.row), "none")
    return _print(context, SummaryLine(row, ActionResult.DONE, f"it is {remote_id}", done.row), "adopted")


def _known(row: JobRow) -> str:
    """Return why there is nothing to say of a job's submit."""
    if row.remote_id:
        return f"it is {row.remote_id}"
    if row.unfinished:
        return "it waits here to be sent" if row.queued_here else not_confirmed(row)
    return "its submit is not in doubt"


def _may_be(context: CliContext, row: JobRow) -> str:
    """Return which batches a job may be, and how one says which."""
    job = context.opened.browser.job(row.id)
    found = () if job is None else job.candidates
    names = ", ".join(clean(each, 80) for each in found)
    return f"may be {names}: --id says which, --none that it is none" if found else _UNKNOWN


_UNKNOWN = "may be a batch that no list has shown: --id says which, --none that it is none"


def _print(context: CliContext, line: SummaryLine, word: str = "", *, dry_run: bool = False) -> int:
    if context.as_json:
        print_summary("adopt", [line], context.opened.browser, dry_run=dry_run)
    else:
        print_line(word or str(line.result), line.before, line.reason, result_style(line.result))
        if dry_run:
            print_error("dry run: nothing was changed")
    return 0 if line.result is ActionResult.DONE else FAILED
