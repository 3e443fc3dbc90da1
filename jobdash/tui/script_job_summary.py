"""What is worth saying, in one sentence, of a job that a person's own script runs."""

from __future__ import annotations

from jobdash.domain.describe import job_text
from jobdash.domain.items import ItemErrors
from jobdash.domain.job import JobRow
from jobdash.domain.status import LABELS, Status
from jobdash.domain.time import short_span
from jobdash.operations.job_lookup import Browser
from jobdash.tui.widgets.line import Span


def story(row: JobRow, now: int) -> list[Span]:
    """Return in one sentence what a person ought to know of a local job now; mostly nothing."""
    if row.force_failed:
        return [Span("failed here; what its script may still write is refused; r retries it", "warning")]
    if job_text.starting(row, now):
        return [Span(job_text.STARTING, "text")]
    if job_text.waits_for_script(row):
        return [Span("waits for its script: run it again, or r starts it here", "text")]
    if job_text.worker_gone(row, now):
        return [Span("its worker is gone: closed as cancelled", "muted")]
    if row.lease_until is not None and job_text.stalled(row, now):
        told = f"its script has not been heard of for {short_span(now - row.lease_until)}"
        return [Span(f"{told}; f fails it, r lets it start again, c cancels it", "warning")]
    if row.status is Status.CANCELLING:
        return [Span("Cancelling… items under way finish, no new ones start", "warning")]
    if ended := ending(row):
        return [Span(ended, "warning")]
    return []


def ending(row: JobRow) -> str:
    """Return what a job that ended early leaves: ``Job was cancelled: 25 of 100 done, 75 not processed``."""
    if row.unfinished or row.done is None or row.status is Status.COMPLETED:
        return ""
    verb = "was cancelled" if row.status is Status.CANCELLED else LABELS[row.status]
    if row.total is None:
        return f"Job {verb}: {row.done:,} done"
    return f"Job {verb}: {row.done:,} of {row.total:,} done, {row.remaining or 0:,} not processed"


def error_groups(errors: ItemErrors) -> list[tuple[str, int]]:
    """Return errors as the table's detail line tells them: message and number, where all are known."""
    if not errors.complete:
        return []
    return [(group.error or group.error_type or "error", group.count) for group in errors.groups]


def start_failure(browser: Browser, row: JobRow) -> str:
    """Return why the script that a job waits for did not come up when it was started last; mostly nothing."""
    newest = browser.events(row.id, limit=1) if job_text.waits_for_script(row) else []
    return newest[0].detail if newest and (newest[0].action, newest[0].result) == ("start", "failed") else ""
