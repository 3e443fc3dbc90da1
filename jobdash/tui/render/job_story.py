"""The two lines about one job: its title, and in one sentence what is worth knowing of it now."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from jobdash.domain.describe import job_text
from jobdash.domain.items import ItemErrors
from jobdash.domain.job import JobRow
from jobdash.domain.status import LABELS, Status
from jobdash.domain.text import clean
from jobdash.domain.time import short_span
from jobdash.operations.job_lookup import Browser
from jobdash.tui.render.symbols import Symbols
from jobdash.tui.render.text import Span, fit, gap


def title_spans(
    row: JobRow, width: int, now: int, symbols: Symbols, *, configured: bool = True
) -> list[Span]:
    """Return the first detail line: the job's name, id, model, endpoint, deadline.

    ``configured`` says whether its account can be asked; where it cannot, nothing here will move.
    """
    parts = [
        ("" if configured else f"account {clean(row.account, 40)} is not configured", "warning"),
        ("" if row.remote_id == row.name else _id(row), "muted"),
        (clean(row.model or "", 40), "muted"),
        (clean(row.endpoint or "", 40), "muted"),
        (job_text.expires_in(row, now), "warning" if _expires_soon(row, now) else "muted"),
    ]
    name = fit(clean(row.name), min(width // 2, 60), symbols.more).rstrip()
    spans = [gap(1), Span(name, "strong")]
    room = width - 1 - cell_len(name)
    for text, tone in parts:
        told = f" {symbols.dot} {text}"
        if text and cell_len(told) < room:
            spans.append(Span(told, tone))
            room -= cell_len(told)
    return spans


def _id(row: JobRow) -> str:
    return clean(row.remote_id or (row.public_id if row.local else f"{row.public_id} (not submitted)"), 60)


def _expires_soon(row: JobRow, now: int) -> bool:
    return row.unfinished and row.expires_at is not None and row.expires_at - now < job_text.EXPIRES_SOON_MS


def story_spans(
    row: JobRow,
    errors: Sequence[tuple[str, int]],
    width: int,
    now: int,
    symbols: Symbols,
    *,
    trouble: str = "",
) -> list[Span]:
    """Return the second detail line: what is worth saying of this job now.

    ``trouble`` is why its account cannot be asked.
    """
    told = [_left_behind(row, symbols), script_story(row, now) if row.local else _story(row, now)]
    if errors and row.failed:
        some = ", ".join(f"{number:,} × {clean(message, 40)}" for message, number in errors[:3])
        told.append([Span(f"{row.failed:,} failed: ", "error"), Span(some, "text")])
    elif errors and row.status is not Status.CANCELLED:
        told.append([Span(clean(errors[0][0], 100), "error")])
    elif row.failed:
        told.append([Span(f"{row.failed:,} failed", "error")])
    if trouble:
        told.append([Span(f"{clean(row.account, 32)}: {clean(trouble, 300)}", "warning")])
    return _line_of(told, width, symbols)


def local_story_spans(row: JobRow, start_failure: str, width: int, now: int, symbols: Symbols) -> list[Span]:
    """Return what is worth saying of a script's job, but for its items."""
    told = [_left_behind(row, symbols), script_story(row, now)]
    if wrong := start_failure or row.error:
        told.append([Span(clean(wrong, 200), "error")])
    return _line_of(told, width, symbols)


def _left_behind(row: JobRow, symbols: Symbols) -> list[Span]:
    if not row.left_behind:
        return []
    return [Span(f"{symbols.warning} {clean(row.left_behind, 80)}", "warning")]


def _line_of(sentences: Sequence[Sequence[Span]], width: int, symbols: Symbols) -> list[Span]:
    """Return sentences with a dot between them, in at most ``width`` cells."""
    spans = [gap(1)]
    for sentence in sentences:
        if sentence and len(spans) > 1:
            spans.append(Span(f" {symbols.dot} ", "muted"))
        spans += sentence
    return _cut(spans, width, symbols.more)


def _cut(spans: list[Span], width: int, more: str) -> list[Span]:
    """Return spans as they are, or with an ellipsis where the line ends."""
    if sum(span.cells for span in spans) <= width:
        return spans
    kept: list[Span] = []
    room = max(0, width - len(more))
    for span in spans:
        if span.cells > room:
            end = set_cell_size(span.text, room).rstrip()
            return [*kept, span._replace(text=f"{end}{more}")]
        kept.append(span)
        room -= span.cells
    return kept


def _story(row: JobRow, now: int) -> list[Span]:
    asked = row.cancel_requested_at
    if row.gone:
        text = "gone: its provider does not know it any more; force-fail or remove it"
        return [Span(text, "warning")]
    if row.force_failed:
        billed = "" if row.remote_status in _ENDED else ", it may still be billed"
        word = clean(row.raw_status or row.remote_status, 30)
        return [Span(f"failed here; the provider says {word}{billed}", "warning")]
    if row.removing is not None:
        return [Span("removed as soon as the provider confirms the cancel", "warning")]
    if row.cancel_doubt:
        return [Span("the cancel got no answer: it may or may not be cancelled; c asks again", "warning")]
    if row.stuck_cancelling(now) and asked is not None:
        return [Span(f"cancelling for {short_span(now - asked)}: c asks again, f fails it here", "warning")]
    if row.status is Status.CANCELLING and asked is not None:
        return [Span(f"cancel asked {short_span(now - asked)} ago, not confirmed yet", "warning")]
    if row.status is Status.COMPLETED and asked is not None:
        return [Span("finished before the cancel took effect", "muted")]
    return []


_ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.EXPIRED, Status.CANCELLED})


def script_story(row: JobRow, now: int) -> list[Span]:
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
