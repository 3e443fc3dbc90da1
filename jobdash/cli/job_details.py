"""Everything known of a job, for people."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter

from jobdash.cli.job_line import known_done, status_word
from jobdash.cli.output import print_text
from jobdash.cli.tables import facts
from jobdash.cli.time_format import ago, local
from jobdash.domain.backends.registry import rules_of
from jobdash.domain.describe.cost_text import cost_of, token_text
from jobdash.domain.describe.job_text import expires_in, left, parts_text, window_words
from jobdash.domain.describe.result_text import outcome_counts, results_gone
from jobdash.domain.failures import (
    KEYS_OF_A_GROUP,
    FailedRequests,
    error_count,
    failure_groups,
    truncated,
    worth_asking,
)
from jobdash.domain.field_values import plain_text
from jobdash.domain.fields import Face, JobField, Kind, fields_of
from jobdash.domain.items import Attempt
from jobdash.domain.job import JobDetails
from jobdash.domain.status import Status
from jobdash.domain.text import clean, quantity
from jobdash.operations.person import is_elsewhere
from jobdash.operations.providers import has_results
from jobdash.operations.scripts.processes import log_place

_NO_FAULT = frozenset({Status.COMPLETED, Status.CANCELLED})

MOST_ERRORS = 20
"""Groups of errors that are printed."""


def print_job(
    job: JobDetails, now: int, attempts: Sequence[Attempt] = (), failed: FailedRequests | None = None
) -> None:
    """Print a job, a fact a line.

    ``attempts`` are the runs of a local job, newest first; ``failed`` the failed requests of a batch.
    """
    facts(_facts(job, now, keyed=not attempts or attempts[0].keyed))
    if attempts:
        print_text("")
        facts(_script_facts(job, attempts, now))
    _print_errors(job, failed or FailedRequests())


def _print_errors(job: JobDetails, failed: FailedRequests) -> None:
    """Print a batch's errors by code and message, and which requests they are of."""
    groups = failure_groups(job, failed)
    if groups:
        print_text("")
        print_text(f"Errors ({error_count(job):,})")
    for group in groups[:MOST_ERRORS]:
        code = f" [{group.code}]" if group.code else ""
        alone = group.count == len(group.lines) == 1
        head = f"line {group.lines[0]:,}: " if alone else f"{group.count:,} × "
        print_text(f"  {head}{clean(group.message, 1000)}{code}")
        if group.lines and not alone:
            print_text(f"      line {_some(map(str, group.lines), len(group.lines))}")
        if group.keys:
            print_text(f"      {_some((clean(key, 80) for key in group.keys), group.count)}")
    if (rest := len(groups) - MOST_ERRORS) > 0:
        print_text(f"  … and {rest:,} more kinds of error; --json has them all")
    public = job.row.public_id
    if failed.kept and groups:
        print_text(f"  each of them: jobdash show {public} --items --limit 0")
    elif number := failed.kept or job.row.results_error:
        which = quantity(number, "failed request" if rules_of(job.row).at_provider else "failed item")
        print_text("")
        print_text(f"{which}: jobdash show {public} --items --outcome error --limit 0")
    if worth_asking(job):
        print_text("")
        print_text(f"{_unknown(job, failed)}; jobdash refresh-errors {public} asks for them")
    elif failed.kept and truncated(job, failed):
        print_text(f"  not all of them: the first {failed.kept:,} are kept here")


def _unknown(job: JobDetails, failed: FailedRequests) -> str:
    number = job.row.failed
    if not number:
        return "The reasons of its failure are not known here"
    if failed.kept:
        return f"Only {failed.kept:,} of {number:,} failed requests are known here"
    return f"Which {quantity(number, 'request')} failed, and why, is not known here"


def _some(words: Iterable[str], number: int) -> str:
    """Return the first of some words, and how many more there are."""
    first = list(islice(words, KEYS_OF_A_GROUP))
    more = number - len(first)
    return ", ".join(first) + (f" and {more:,} more" if more > 0 else "")


def _facts(job: JobDetails, now: int, *, keyed: bool) -> Iterator[tuple[str, str]]:
    for field in _FIELDS:
        if field.name == "account":
            yield from rules_of(job.row).identity(job)
        elif keyed or field.name != "results":
            heading = _HEADINGS.get(field.name) or f"{field.label[0].upper()}{field.label[1:]}"
            special = _SPECIAL.get(field.name)
            yield heading, special(job, now) if special else _plain(field, job, now)


def _plain(field: JobField, job: JobDetails, now: int) -> str:
    """Return a field by its kind; empty where it is not known."""
    value = attrgetter(field.path)(job)
    return _time(value, now) if field.kind is Kind.TIME else plain_text(value)


def _error(job: JobDetails, _now: int) -> str:
    """Of failed requests, and of what a cancel ended, nothing went wrong with the batch itself."""
    fault = job.row.status not in _NO_FAULT or not rules_of(job.row).at_provider
    return job.row.error or "" if fault else ""


def _left_behind(job: JobDetails, _now: int) -> str:
    return f"⚠ {job.row.left_behind}" if job.row.left_behind else ""


def _tags(job: JobDetails, _now: int) -> str:
    return ", ".join(f"{key}={value}" for key, value in job.tags.items())


def _usage(job: JobDetails, _now: int) -> str:
    numbers = ((key, value) for key, value in (job.usage or {}).items() if isinstance(value, int))
    return ", ".join(f"{key} {value:,}" for key, value in numbers)


def _status(job: JobDetails, now: int) -> str:
    row = job.row
    words = [status_word(row), *rules_of(row).remarks(row, now), job.status_reason]
    return " · ".join(filter(None, words))


def _results(job: JobDetails, now: int) -> str:
    row = job.row
    fetch = f"jobdash fetch {row.public_id}"
    if not rules_of(row).at_provider:
        return fetch if row.done and row.terminal else ""
    if row.collected is not None:
        return outcome_counts(row.collected)
    there = f"at the provider: {fetch}" if has_results(job) else ""
    return " · ".join(filter(None, (there, results_gone(row, now))))


def _fetched(job: JobDetails, now: int) -> str:
    folder = f", in {job.results_folder}" if job.results_folder else ""
    if is_elsewhere(job.fetched_on):
        folder = f", on {job.fetched_on}"
    return f"{_time(job.row.fetched_at, now)}{folder}" if job.row.fetched_at is not None else ""


def _script_facts(job: JobDetails, attempts: Sequence[Attempt], now: int) -> Iterator[tuple[str, str]]:
    last = attempts[0]
    begun = "" if last.number == job.attempt else f", not begun; this is of number {last.number}"
    yield "Attempt", f"{job.attempt} ({len(attempts):,} so far{begun})"
    if job.row.function is not None:  # by the first of its workers
        yield "Begun by", last.actor
    else:
        yield "Run by", last.actor + (f", pid {last.pid}" if last.pid is not None else "")
    yield "Begun", _time(last.started_at, now)
    yield "Ended", f"{_time(last.ended_at, now)} {last.ended or ''}".strip()
    yield "Command", shlex.join(last.argv) if last.argv else ""
    yield "Folder", last.cwd or ""
    yield "Output", log_place(last)
    if not last.keyed:
        yield "Items", "counts only: they have no keys, so a retry does everything again"


def _progress(job: JobDetails, now: int) -> str:
    row = job.row
    counts = (("succeeded", row.succeeded), ("failed", row.failed), ("cancelled", row.cancelled))
    texts = [f"{number:,} {word}" for word, number in counts if number is not None]
    return " · ".join(filter(None, (known_done(row), *texts, left(row, now), window_words(row, now))))


def _time(ms: int | None, now: int) -> str:
    return "" if ms is None else f"{local(ms)} ({ago(ms, now)})"


_FIELDS = fields_of(
    Face.SHOW,
    (
        "name", "id", "account", "status", "raw_status", "progress", "model", "endpoint",
        "created_at", "started_at", "finished_at", "expires_at", "cancel_requested_at", "removed_at",
        "gone_at", "results", "fetched_at", "error", "left_behind", "tags", "files", "deleted_at_provider",
        "usage", "tokens", "cost",
    ),
)  # fmt: skip
_HEADINGS = {
    "raw_status": "Provider's word",
    "progress": "Progress",
    "expires_at": "Deadline",
    "child_ids": "Retried by",
}
"""Where a heading is not the field's label."""
_SPECIAL: dict[str, Callable[[JobDetails, int], str]] = {
    "status": _status,
    "raw_status": lambda job, _now: job.row.raw_status if job.row.raw_status != job.row.status else "",
    "progress": _progress,
    "expires_at": lambda job, now: expires_in(job.row, now),
    "results": _results,
    "fetched_at": _fetched,
    "error": _error,
    "left_behind": _left_behind,
    "tags": _tags,
    "usage": _usage,
    "tokens": lambda job, _now: token_text(job.row),
    "cost": lambda job, _now: cost_of(job.row),
    "parts": lambda job, _now: parts_text(job),
    "attention": lambda job, _now: ", ".join(job.attention).replace("_", " "),
}
"""What is more than the field's value."""
