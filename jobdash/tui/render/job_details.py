"""The lines of the screen of a job: header, progress, errors, details, log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Protocol

from jobdash.domain.backends.registry import rules_of
from jobdash.domain.describe import job_text
from jobdash.domain.describe.cost_text import cost_of, token_text
from jobdash.domain.describe.result_text import outcome_counts, relatives_words
from jobdash.domain.failures import (
    KEYS_OF_A_GROUP,
    FailedRequests,
    FailureGroup,
    failure_groups,
    truncated,
    worth_asking,
)
from jobdash.domain.field_values import plain_text
from jobdash.domain.fields import Face, JobField, Kind, fields_of
from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.status import TERMINAL, Status
from jobdash.domain.text import clean
from jobdash.domain.time import HOUR, local_date, short_span
from jobdash.operations.job_lookup import Browser
from jobdash.operations.person import is_elsewhere
from jobdash.tui.render import job_cells, job_summary
from jobdash.tui.render.symbols import Symbols
from jobdash.tui.render.text import Span, TextLine, gap, pairs, wrapped

_MEMBERS_MOST = 50
"""Members of a family that are named."""


class JobView(Protocol):
    """What the screen of a job shows, for one kind of job: a provider's batch, or a script's."""

    unit: str
    """What its items are called; empty for requests."""
    keyed: bool
    """Whether its items have keys, and are kept."""
    log_file: str | None
    """Where its own output goes."""

    def read(self, job: JobDetails) -> None:
        """Read what is known besides the job itself, after the job has changed."""

    def refresh(self, job: JobDetails) -> None:
        """Read what changes without the job."""

    def pages(self) -> tuple[str, ...]:
        """Return the names of the pages there are."""

    def first_page(self, job: JobDetails) -> str:
        """Return the page to begin with."""

    def follows_clock(self, row: JobRow) -> bool:
        """Whether its lines change with the time: a rate, a lease."""

    def summary(self, row: JobRow, width: int, now: int, symbols: Symbols) -> list[Span]:
        """Return what is worth knowing of it now, in one line."""

    def detail_lines(self, job: JobDetails, width: int, now: int) -> list[TextLine]:
        """Return every field."""

    def error_lines(
        self, job: JobDetails, width: int, fetched: Sequence[FailureGroup] = ()
    ) -> list[TextLine]:
        """Return its errors, the most frequent first; ``fetched`` are those of a batch's fetched results."""

    def no_items(self, job: JobDetails) -> tuple[str, list[str]] | None:
        """Return why there are no items, and what to do, where that is worth more than a word."""


class BatchView:
    """A provider's batch on its screen."""

    unit = ""
    keyed = True
    log_file: str | None = None

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._failed = FailedRequests()

    def read(self, job: JobDetails) -> None:
        """Read the failed requests that are known."""
        self._failed = self._browser.failed_requests(job.row.id)

    def refresh(self, job: JobDetails) -> None:
        """Nothing changes without the job."""

    def pages(self) -> tuple[str, ...]:
        """Return the pages."""
        return ("errors", "details", "log", "items")

    def first_page(self, job: JobDetails) -> str:
        """Return the items, where results are here; else the errors, where there are any."""
        if job.results_folder is not None and not is_elsewhere(job.fetched_on):
            return "items"
        return "errors" if job.errors or job.row.failed or job.row.error else "details"

    def follows_clock(self, row: JobRow) -> bool:
        """Its lines change with the job only."""
        return False

    def summary(self, row: JobRow, width: int, now: int, symbols: Symbols) -> list[Span]:
        """Return what is worth knowing of it now, in one line."""
        relatives = relatives_words(*self._browser.relatives([row.id]).get(row.id, (None, None)))
        return job_summary.summary_spans(
            row, self._browser.errors_summary(row.id), width, now, symbols, relatives=relatives
        )

    def detail_lines(self, job: JobDetails, width: int, now: int) -> list[TextLine]:
        """Return every field, and the members of its family."""
        return pairs([*topics(_FIELDS, _SPECIAL, job, now), *self._members(job, now)], width)

    def _members(self, job: JobDetails, now: int) -> Topics:
        """Return the family of a job: each member with its status, what is done of it, and its id."""
        family_id = job.row.family_id
        family = None if family_id is None else self._browser.families([family_id]).get(family_id)
        if family is None or family.size < 2:
            return []
        which = f" · family:{clean(job.row.family, 40)}" if job.row.family else ""
        found = [("family", f"{family.size:,} jobs{which}")]
        for row in family.members[:_MEMBERS_MOST]:
            this = "  (this job)" if row.id == job.row.id else ""
            done = job_cells.counts(row, "—")
            words = f"{job_text.shown_status(row, now)}  {done}  {row.public_id}  {clean(row.name, 60)}{this}"
            found.append(("", words))
        if (more := family.size - _MEMBERS_MOST) > 0:
            found.append(("", f"and {more:,} more"))
        return found

    def error_lines(
        self, job: JobDetails, width: int, fetched: Sequence[FailureGroup] = ()
    ) -> list[TextLine]:
        """Return its errors, the most frequent first: those of its fetched results where these are here."""
        return error_lines(job, width, self._failed, fetched)

    def no_items(self, job: JobDetails) -> tuple[str, list[str]] | None:
        """Return what its provider counts, and the key that fetches its results."""
        row = job.row
        parts = [("ok", row.succeeded), ("failed", row.failed), ("expired", row.expired)]
        counts = [f"{number:,} {word}" for word, number in parts if number]
        total = "" if row.total is None else f" of {row.total:,} requests"
        counted = [f"{', '.join(counts)}{total}, as its provider counts"] if counts else []
        if row.remote_id is None or row.remote_status not in TERMINAL:
            return "No results yet", [*counted, "they can be fetched when it has ended"]
        asks = ["e asks which requests failed"] if worth_asking(job) else []
        return "Its results are not here", [*counted, "d fetches them", *asks]


def head_spans(row: JobRow, now: int, symbols: Symbols) -> tuple[list[Span], list[Span]]:
    """Return the header: name on the left, status on the right."""
    glyph, word = job_cells.status_words(row, now, symbols)
    left = [Span(" job ", "chip"), gap(1), Span(clean(row.name, 80), "strong"), gap(2)]
    left.append(Span(clean(row.account), "muted"))
    suffix = job_text.status_suffix(row, now, symbols.dot)
    return left, [Span(f"{glyph} {word}{suffix} ", job_cells.status_style(row, now))]


def progress_spans(row: JobRow, width: int, now: int, symbols: Symbols, unit: str = "") -> list[Span]:
    """Return the bar with ``6,214 / 10,000 files  62%``, the rate, and the time left."""
    counts = job_cells.counts(row, symbols.none).replace("/", " / ")
    if unit:
        counts += f" {clean(unit, 20)}"
    if row.total and row.done is not None:
        counts += f"  {row.done * 100 // row.total}%"
    words = [(f"  {counts}", "text")]
    if gone := job_text.window_words(row, now):
        words.append((f"  {gone}", "muted"))
    if row.failed:
        words.append((f"  {row.failed:,} failed", "error"))
    if rate := _rate(row, now):
        words.append((f"  {rate}", "muted"))
    if left := job_text.left(row, now):
        words.append((f"  {left} left", "muted"))
    room = max(10, min(60, width - sum(len(text) for text, _ in words) - 3))
    pieces = [*job_cells.bar(row, room, symbols, now), *words]
    return [gap(1), *(Span(text, tone) for text, tone in pieces)]


def _rate(row: JobRow, now: int) -> str:
    if not row.unfinished or not row.done or row.stalled(now) or row.waits_for_script:
        return ""
    elapsed, done = now - (row.started_at or row.created_at), row.done - (row.done_before or 0)
    if elapsed <= 0 or done <= 0:
        return ""
    units = rules_of(row).rate_units
    name, span = next((unit for unit in units if done * unit[1] >= elapsed), units[-1])
    if span < HOUR and done * span < 10 * elapsed:
        return f"{done * span / elapsed:,.1f}/{name}"
    return f"{done * span // elapsed:,}/{name}"


def error_lines(
    job: JobDetails, width: int, failed: FailedRequests | None = None, fetched: Sequence[FailureGroup] = ()
) -> list[TextLine]:
    """Return the errors grouped by code and message, the most frequent first, with where they are.

    ``failed`` are the failed requests that are known, ``fetched`` the groups of all, where these are here.
    """
    failed = failed or FailedRequests()
    ended = rules_of(job.row).ended_sentence(job.row)
    lines: list[TextLine] = [((ended, "warning"),), ()] if ended else []
    groups = list(fetched) or failure_groups(job, failed)
    if groups and not fetched and truncated(job, failed) and failed.kept:
        lines += [((f"Not all of them: {failed.kept:,} failed requests are known here", "muted"),), ()]
    for group in groups:
        lines.append(((f"{group.count:,} × ", "error"), (clean(group.code or "error"), "strong")))
        lines += [((f"    {part}", "text"),) for part in wrapped(clean(group.message), width - 6)]
        if group.lines:
            some = ", ".join(map(str, group.lines[:KEYS_OF_A_GROUP]))
            more = ", …" if len(group.lines) > KEYS_OF_A_GROUP else ""
            lines.append(((f"    line {some}{more}", "muted"),))
        if group.keys:
            more = f" and {group.count - len(group.keys):,} more" if group.count > len(group.keys) else ""
            some = ", ".join(clean(key, 80) for key in group.keys) + more
            lines += [((f"    {part}", "muted"),) for part in wrapped(some, width - 6)]
        lines.append(())
    if not groups:
        lines += _no_errors(job.row)
    elif not fetched and worth_asking(job):
        lines.append((("e asks which requests failed", "muted"),))
    return lines


def _no_errors(row: JobRow) -> list[TextLine]:
    if row.error and row.status is not Status.CANCELLED:
        return [((clean(row.error), "error"),)]
    if row.failed:
        return [
            ((f"{row.failed:,} requests failed; what they say is at the provider", "text"),),
            (("e asks for it" if row.terminal else "it tells when the job has ended", "muted"),),
        ]
    return [(("No error known", "muted"),)]


Topics = list[tuple[str, str]]
"""Names with their texts, both sanitized."""
Draw = Callable[[JobDetails, int], Topics]


def topics(
    fields: Iterable[JobField], special: Mapping[str, Draw], job: JobDetails, now: int
) -> Iterator[tuple[str, str]]:
    """Yield the details of a job, field by field; ``special`` has what is drawn in a way of its own."""
    for field in fields:
        yield from special[field.name](job, now) if field.name in special else _plain(field, job, now)


def _plain(field: JobField, job: JobDetails, now: int) -> Topics:
    """Return a field by its kind; a dash where it is not known, and nothing of what there can be several."""
    value = attrgetter(field.path)(job)
    if field.kind is Kind.TIME:
        return [(field.label, time_and_age(value, now))]
    text = clean(plain_text(value))
    return [(field.label, text or "—")] if text or field.kind in {Kind.TEXT, Kind.NUMBER, Kind.FLAG} else []


def _cancel_asked(job: JobDetails, now: int) -> Topics:
    asked = job.row.cancel_requested_at
    return (
        [("cancel asked", f"{time_and_age(asked, now)}  {clean(job.cancel_reason or '')}")] if asked else []
    )


def _failed_here(job: JobDetails, _now: int) -> Topics:
    reason = clean(job.verdict_reason or "by a person's decision")
    return [("failed here", reason)] if job.row.verdict else []


def _tags(job: JobDetails, _now: int) -> Topics:
    return [(f"tag {clean(key, 14)}", clean(value)) for key, value in job.tags.items()]


def _left_behind(job: JobDetails, _now: int) -> Topics:
    return [("left behind", clean(job.row.left_behind))] if job.row.left_behind else []


def _fetched(job: JobDetails, now: int) -> Topics:
    if job.row.fetched_at is None:
        return []
    where = f"on {job.fetched_on}" if is_elsewhere(job.fetched_on) else job.results_folder or ""
    return [("fetched", f"{time_and_age(job.row.fetched_at, now)}  {clean(where, 300)}")]


def _results(job: JobDetails, _now: int) -> Topics:
    return [("results", outcome_counts(job.row.collected))] if job.row.collected is not None else []


def _labelled(label: str, text: str) -> Topics:
    return [(label, text)] if text else []


def _results_until(job: JobDetails, _now: int) -> Topics:
    until = job.row.results_expire_at
    return [("results until", local_time(until))] if until is not None else []


def _usage(job: JobDetails, _now: int) -> Topics:
    numbers = ", ".join(f"{key} {value:,}" for key, value in _numbers(job.usage or {}))
    return [("usage", clean(numbers))] if job.usage else []


def _numbers(usage: Mapping[str, object], above: str = "") -> Iterator[tuple[str, int]]:
    """Yield the numbers of a provider's usage, also those that lie deeper: ``details.cached``."""
    for key, value in usage.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{above}{key}.")
        elif isinstance(value, int) and not isinstance(value, bool):
            yield f"{above}{key}", value


def _counts(row: JobRow) -> str:
    parts = [("total", row.total), ("succeeded", row.succeeded), ("failed", row.failed)]
    parts += [("cancelled", row.cancelled), ("expired", row.expired), ("remaining", row.remaining)]
    parts += [("percent done", row.percent if row.done is None else None)]
    return " · ".join(f"{name} {value:,}" for name, value in parts if value is not None) or "—"


def local_time(ms: int | None) -> str:
    """Return a time on the person's own clock, or a dash where no calendar holds it."""
    date = local_date(ms)
    return "—" if date is None else f"{date:%Y-%m-%d %H:%M:%S}"


def time_and_age(ms: int | None, now: int) -> str:
    """Return a time, and how long ago it was."""
    time = local_time(ms)
    return time if ms is None or local_date(ms) is None else f"{time}  ({short_span(now - ms)} ago)"


_FIELDS = fields_of(
    Face.BATCH,
    (
        "id", "remote_id", "account", "origin", "status", "raw_status", "model", "endpoint", "progress",
        "created_at", "started_at", "finished_at", "expires_at", "updated_at", "seen_at",
        "cancel_requested_at", "verdict", "files", "deleted_at_provider", "tags", "usage", "tokens", "cost",
        "fetched_at", "results", "results_expire_at", "parent_id", "child_ids",
    ),
)  # fmt: skip
ALIKE: dict[str, Draw] = {
    "cancel_requested_at": _cancel_asked,
    "verdict": _failed_here,
    "tags": _tags,
    "left_behind": _left_behind,
}
"""What is drawn alike for batches and for scripts."""
_SPECIAL: dict[str, Draw] = ALIKE | {
    "account": lambda job, _now: [("account", f"{clean(job.row.account)} ({job.row.provider})")],
    "status": lambda job, now: [("status", job_text.shown_status(job.row, now))],
    "progress": lambda job, _now: [("requests", _counts(job.row))],
    "expires_at": lambda job, _now: [("expires", local_time(job.row.expires_at))],
    "files": lambda job, _now: [(f"{clean(role)} file", clean(id_)) for role, id_ in job.files.items()],
    "usage": _usage,
    "tokens": lambda job, _now: _labelled("tokens", token_text(job.row)),
    "cost": lambda job, _now: _labelled("cost", cost_of(job.row)),
    "profile": lambda job, _now: _labelled("profile", clean(job.row.profile or "")),
    "fetched_at": _fetched,
    "results": _results,
    "results_expire_at": _results_until,
}
