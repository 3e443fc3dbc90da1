"""Waiting for jobs: what is printed meanwhile, and the exit code."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from jobdash.cli.clock import store_time
from jobdash.cli.context import FAILED, TIMED_OUT, CliContext
from jobdash.cli.event_loop import run
from jobdash.cli.fetch_output import print_fetched
from jobdash.cli.job_json import job_json
from jobdash.cli.job_line import NONE_PASSES, known_done, short_name, status_style, status_word
from jobdash.cli.notifications import notifications
from jobdash.cli.output import Style, document, print_error, print_outage, print_text
from jobdash.cli.selection import JobSelector, select
from jobdash.cli.session import open_session
from jobdash.cli.sync_output import failure_words
from jobdash.domain.describe.job_text import nobody_runs
from jobdash.domain.job import JobRow
from jobdash.domain.status import Completeness, Status
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.auto_fetch import EndedBatches
from jobdash.operations.job_lookup import Browser
from jobdash.operations.polling.outage import PASSING, StoreOutage
from jobdash.operations.polling.sync import SyncReport
from jobdash.operations.polling.wait import WaitProgress, WaitResult, poll_until, wait_until


def wait_for(context: CliContext, wanted: JobSelector, timeout_ms: int | None) -> int:
    """Wait until the jobs have ended; return the exit code."""
    selection = select(context, wanted)
    if not selection.rows and not context.as_json:
        print_error(NONE_PASSES)
    deadline = None if timeout_ms is None else store_time() + timeout_ms
    printed: set[str] = set()
    ended: set[int] = set()

    def on_change(row: JobRow) -> None:
        if _over(row) and not context.as_json:
            if row.id not in ended:
                ended.add(row.id)
                print_text(_words(row), status_style(row))
        elif (words := _words(row)) not in printed:
            printed.add(words)
            print_error(words)

    def on_sync(report: SyncReport) -> None:
        if report.error is not None and (words := failure_words(context, report)) not in printed:
            printed.add(words)
            print_error(f"{report.account}: {words}", Style.WARN)

    waiting = WaitProgress(
        ids=tuple(row.id for row in selection.rows),
        ended=_over,
        deadline=deadline,
        on_change=on_change,
        on_sync=on_sync,
        outage=StoreOutage(print_outage),
    )

    waited = run(lambda stop: _wait(context, waiting, stop))
    _print(context, waited)
    if waited.timed_out:
        return TIMED_OUT
    if waited.nobody_runs:
        _print_left(waited)
        return FAILED
    well = not selection.bad_words and all(map(ended_well, waited.rows.values()))
    return 0 if well else FAILED


async def _wait(context: CliContext, waiting: WaitProgress, stop: CancelToken) -> WaitResult:
    """Ask, notify and fetch meanwhile, where the store can be written; else read what others write."""
    if context.opened.read_only is not None:
        return await poll_until(waiting, context.opened.browser, stop)
    async with open_session(context, stop) as session:
        async with notifications(context, session.work.store):
            waited = await wait_until(waiting, session.syncs)
        ended = EndedBatches(
            context.config, session.work, lambda: Browser(context.config.database), print_fetched
        )
        await ended.fetch_results(waited.rows.values())
        return waited


def _over(row: JobRow) -> bool:
    return row.terminal or row.gone or row.removed_at is not None


def ended_well(row: JobRow) -> bool:
    """Whether a job completed, and not with failures alone."""
    return row.status is Status.COMPLETED and row.outcome is not Completeness.ALL_FAILED


def _print(context: CliContext, waited: WaitResult) -> None:
    rows = list(waited.rows.values())
    if context.as_json:
        browser, now = context.opened.browser, store_time()
        jobs: list[dict[str, Any]] = []
        with suppress(*PASSING):  # the time may be up during an outage, which was reported
            jobs += [job_json(job, now) for row in rows if (job := browser.job(row.id)) is not None]
        document({"jobs": jobs, "timed_out": waited.timed_out})
        return
    for row in rows:
        if not _over(row):
            print_text(_words(row), status_style(row))
    if waited.timed_out:
        unfinished = sum(row.unfinished for row in rows)
        print_error(f"the time is up; {unfinished:,} of {len(rows):,} not finished", Style.WARN)


def _print_left(waited: WaitResult) -> None:
    """Print how jobs that nothing runs would go on."""
    for row in waited.rows.values():
        if not _over(row):
            print_error(f"{row.public_id} {short_name(row)}: {nobody_runs(row)}", Style.WARN)


def _words(row: JobRow) -> str:
    words = (row.public_id, f"{short_name(row)} ({row.account})", status_word(row), _counts(row))
    return "  ".join(filter(None, words))


def _counts(row: JobRow) -> str:
    """Return how many are done, and how many of them failed: ``40 of 40 done, 2 failed``."""
    failed = f"{row.failed:,} failed" if row.failed else ""
    return ", ".join(filter(None, (known_done(row), failed)))
