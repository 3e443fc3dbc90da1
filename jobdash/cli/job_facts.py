"""Everything known of a job, for people."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from jobdash.cli.job_json import results_available, status_reason
from jobdash.cli.job_words import done_words, status_word
from jobdash.cli.moments import ago, local
from jobdash.cli.out import say
from jobdash.cli.tables import facts
from jobdash.domain.job import Job, JobRow
from jobdash.domain.local import Attempt
from jobdash.domain.marks import expires_in, left
from jobdash.domain.status import LABELS, UNFINISHED

MOST_ERRORS = 20


def print_job(job: Job, now: int, attempts: Sequence[Attempt] = ()) -> None:
    """Print a job, a fact a line; ``attempts`` are the runs of a local job, newest first."""
    facts(_facts(job, now, keyed=not attempts or attempts[0].keyed))
    if attempts:
        say("")
        facts(_script_facts(job, attempts, now))
    if job.errors:
        say("")
        say(f"Errors ({len(job.errors):,})")
        for error in job.errors[:MOST_ERRORS]:
            say(f"  {_error_words(error)}")
        if (rest := len(job.errors) - MOST_ERRORS) > 0:
            say(f"  … and {rest:,} more; --json has them all")


def _facts(job: Job, now: int, *, keyed: bool) -> Iterator[tuple[str, str]]:
    row = job.row
    yield "Name", row.name
    yield "Id", row.public_id
    if row.local:
        yield "Account", row.account
    else:
        yield "At the provider", row.remote_id or "not confirmed yet"
        yield "Account", f"{row.account} ({row.provider}, {job.origin})"
    yield "Status", _status(job, now)
    yield "Provider's word", row.raw_status if row.raw_status != row.status else ""
    yield "Progress", _progress(row, now)
    yield "Model", row.model or ""
    yield "Endpoint", row.endpoint or ""
    yield "Created", _time(row.created_at, now)
    yield "Started", _time(row.started_at, now)
    yield "Finished", _time(row.finished_at, now)
    yield "Deadline", expires_in(row, now)
    yield "Cancel asked", _time(row.cancel_requested_at, now)
    yield "Removed", _time(row.removed_at, now)
    yield "Gone", _time(row.gone_at, now)
    yield "Results", _results(job) if keyed else ""
    yield "Error", row.error or ""
    yield "Left behind", f"⚠ {row.left_behind}" if row.left_behind else ""
    yield "Tags", ", ".join(f"{key}={value}" for key, value in job.tags.items())
    yield "Files", ", ".join(f"{role} {file_id}" for role, file_id in job.files.items())
    yield "Usage", ", ".join(f"{key} {value:,}" for key, value in _numbers(job).items())
    yield "Retry of", job.parent or ""
    yield "Retried by", ", ".join(job.children)


def _status(job: Job, now: int) -> str:
    row = job.row
    words = [status_word(row)]
    if row.force_failed and not row.local:
        words.append(f"failed here; the provider says {LABELS[row.remote_status]}")
        if row.remote_status in UNFINISHED:
            words.append("it may still be billed")
    if row.cancel_doubt:
        words.append("a cancel got no answer: it may or may not be cancelled")
    elif row.stuck_cancelling(now):
        words.append("asked long ago; cancel it again, or force-fail it")
    if reason := status_reason(job):
        words.append(reason)
    return " · ".join(words)


def _results(job: Job) -> str:
    row = job.row
    if row.local:
        return f"jobdash fetch {row.public_id}" if row.done and row.terminal else ""
    kept = row.provider != "openai" or bool(job.files)
    return "at the provider" if results_available(row) and kept else ""


def _script_facts(job: Job, attempts: Sequence[Attempt], now: int) -> Iterator[tuple[str, str]]:
    last = attempts[0]
    begun = "" if last.number == job.attempt else f", not begun; this is of number {last.number}"
    yield "Attempt", f"{job.attempt} ({len(attempts):,} so far{begun})"
    yield "Run by", last.actor + (f", pid {last.pid}" if last.pid is not None else "")
    yield "Begun", _time(last.started_at, now)
    yield "Ended", f"{_time(last.ended_at, now)} {last.ended or ''}".strip()
    yield "Command", shlex.join(last.argv) if last.argv else ""
    yield "Folder", last.cwd or ""
    yield "Output", last.log_file or ""
    if not last.keyed:
        yield "Items", "counts only: they have no keys, so a retry does everything again"


def _progress(row: JobRow, now: int) -> str:
    counts = (("succeeded", row.succeeded), ("failed", row.failed), ("cancelled", row.cancelled))
    told = [f"{number:,} {word}" for word, number in counts if number is not None]
    return " · ".join(filter(None, (done_words(row), *told, left(row, now))))


def _time(ms: int | None, now: int) -> str:
    return "" if ms is None else f"{local(ms)} ({ago(ms, now)})"


def _numbers(job: Job) -> dict[str, int]:
    return {key: value for key, value in (job.usage or {}).items() if isinstance(value, int)}


def _error_words(error: dict[str, object]) -> str:
    place = f"line {error['line']}: " if error.get("line") is not None else ""
    code = f" [{error['code']}]" if error.get("code") else ""
    return f"{place}{error.get('message')}{code}"
