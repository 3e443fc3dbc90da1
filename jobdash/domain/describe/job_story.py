"""Sentences about a job: what is worth knowing of it now, and what it has left undone."""

from __future__ import annotations

from typing import Literal, NamedTuple

from jobdash.domain.describe.job_text import STARTING, stalled, starting, waits_for_script, worker_gone
from jobdash.domain.describe.result_text import outcome_counts, results_gone, to_fetch
from jobdash.domain.job import JobRow
from jobdash.domain.status import LABELS, LATE_CANCEL, TERMINAL, UNFINISHED, Status, ended_text
from jobdash.domain.text import clean
from jobdash.domain.time import short_span


class Remark(NamedTuple):
    """A sentence, and how much it matters."""

    text: str
    tone: Literal["text", "muted", "warning"]


def story(row: JobRow, now: int) -> Remark | None:
    """Return the one sentence that is worth showing of a job in the dashboard, with its keys; mostly None."""
    return _script_story(row, now) if row.local else _batch_story(row, now)


def _batch_story(row: JobRow, now: int) -> Remark | None:
    asked = row.cancel_requested_at
    if row.gone:
        return Remark("gone: its provider does not know it any more; force-fail or remove it", "warning")
    if row.force_failed:
        billed = "" if row.remote_status in TERMINAL else ", it may still be billed"
        word = clean(row.raw_status or row.remote_status, 30)
        return Remark(f"failed here; the provider says {word}{billed}", "warning")
    if row.removing is not None:
        return Remark("removed as soon as the provider confirms the cancel", "warning")
    if row.cancel_doubt:
        return Remark("the cancel got no answer: it may or may not be cancelled; c asks again", "warning")
    if row.stuck_cancelling(now) and asked is not None:
        return Remark(f"cancelling for {short_span(now - asked)}: c asks again, f fails it here", "warning")
    if row.status is Status.CANCELLING and asked is not None:
        return Remark(f"cancel asked {short_span(now - asked)} ago, not confirmed yet", "warning")
    if row.status is Status.COMPLETED and asked is not None:
        return Remark(LATE_CANCEL, "muted")
    return _results_story(row, now)


def _results_story(row: JobRow, now: int) -> Remark | None:
    """Return what is worth knowing of the results of a batch that has ended."""
    if row.collected is not None:
        return Remark(f"fetched: {outcome_counts(row.collected)}", "muted")
    if gone := results_gone(row, now):
        return Remark(" · ".join(filter(None, (to_fetch(row), gone))), "warning")
    rest = to_fetch(row)
    return Remark(rest, "text") if rest else None


def _script_story(row: JobRow, now: int) -> Remark | None:
    if row.force_failed:
        return Remark("failed here; what its script may still write is refused; r retries it", "warning")
    if starting(row, now):
        return Remark(STARTING, "text")
    if waits_for_script(row):
        return Remark("waits for its script: run it again, or r starts it here", "text")
    if worker_gone(row, now):
        return Remark("its worker is gone: closed as cancelled", "muted")
    if row.lease_until is not None and stalled(row, now):
        silent = f"its script has not been heard of for {short_span(now - row.lease_until)}"
        return Remark(f"{silent}; f fails it, r lets it start again, c cancels it", "warning")
    if row.status is Status.CANCELLING:
        return Remark("Cancelling… items under way finish, no new ones start", "warning")
    ended = ended_sentence(row)
    return Remark(ended, "warning") if ended else None


def status_remarks(row: JobRow, now: int) -> list[str]:
    """Return what a command prints behind the status of a job."""
    found: list[str] = []
    if row.force_failed and not row.local:
        found.append(f"failed here; the provider says {LABELS[row.remote_status]}")
        if row.remote_status in UNFINISHED:
            found.append("it may still be billed")
    if row.cancel_doubt:
        found.append("a cancel got no answer: it may or may not be cancelled")
    elif row.stuck_cancelling(now):
        found.append("asked long ago; cancel it again, or force-fail it")
    return found


def ended_sentence(row: JobRow) -> str:
    """Return what a job that ended early has left undone; empty for any other.

    A script's job that is completed is whole; a batch is so when every request has an answer.
    """
    if row.unfinished or row.done is None:
        return ""
    whole = row.status is Status.COMPLETED if row.local else row.total is None or row.done >= row.total
    return "" if whole else ended_text(row.status, row.done, row.total)
