"""Fetching results for a command: one line a job, or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobdash.cli.context import FAILED, INTERRUPTED, CliContext
from jobdash.cli.event_loop import run_stoppable
from jobdash.cli.output import document, print_text
from jobdash.cli.selection import JobSelector, select
from jobdash.cli.session import open_session
from jobdash.cli.summary import print_line, tone_of
from jobdash.domain.plan import ActionResult
from jobdash.operations.backends.base import FetchedResults, FetchRequest
from jobdash.operations.job_lookup import Browser
from jobdash.operations.rate_limiter import CancelToken
from jobdash.operations.results import fetch


def fetch_jobs(context: CliContext, wanted: JobSelector, folder: Path, *, partial: bool) -> int:
    """Fetch the results of the jobs that were named; return the exit code."""
    selection = select(context, wanted)
    context.writable()

    def hint(done: FetchedResults) -> str:
        refused = done.result is ActionResult.FAILED and done.row.unfinished and not partial
        there = refused and context.opened.browser.have_items([done.row.id])
        return "; --partial fetches what there is" if there else ""

    def report(done: FetchedResults) -> None:
        if not context.as_json:
            where = f"{done.reason}: {done.file}" if done.file is not None else f"{done.reason}{hint(done)}"
            word = "fetched" if done.result is ActionResult.DONE else str(done.result)
            print_line(word, done.row, where, tone_of(done.result))

    async def work(stop: CancelToken) -> tuple[list[FetchedResults], bool]:
        async with open_session(context, stop) as session:
            fetched = await fetch(
                selection.rows,
                FetchRequest(
                    folder, lambda: Browser(context.config.database), session.work.store, partial=partial
                ),
                report,
                stop,
            )
            return fetched, stop.is_set()

    fetched, stopped = run_stoppable(work)
    if context.as_json:
        document({"jobs": [_as_json(done) for done in fetched]})
    else:
        counts = {word: sum(done.result is word for done in fetched) for word in ActionResult}
        heads = {ActionResult.DONE: "Fetched", ActionResult.SKIPPED: "Skipped", ActionResult.FAILED: "Failed"}
        print_text(" · ".join(f"{heads[word]}: {number:,}" for word, number in counts.items()))
    if stopped:
        return INTERRUPTED
    failed = any(done.refused or done.result is ActionResult.FAILED for done in fetched)
    return FAILED if failed or selection.bad_words else 0


def _as_json(done: FetchedResults) -> dict[str, Any]:
    row = done.row
    return {
        "id": row.public_id,
        "account": row.account,
        "name": row.name,
        "status": str(row.status),
        "result": str(done.result),
        "reason": done.reason,
        "file": None if done.file is None else str(done.file),
        "items": done.items,
        "partial": done.partial if done.file is not None else None,
        "succeeded": row.succeeded,
        "failed": row.failed,
        "total": row.total,
    }
