"""The lines of the screen of a script's job: errors, details, attempts, output."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobdash.domain.describe import job_text
from jobdash.domain.failures import FailureGroup
from jobdash.domain.fields import Face, fields_of
from jobdash.domain.items import Attempt, ItemErrors, ScriptProcess
from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.text import clean
from jobdash.domain.time import short_span
from jobdash.operations.job_lookup import Browser
from jobdash.operations.person import is_elsewhere, machine_name
from jobdash.operations.scripts.processes import log_file, log_here, log_place, start_failure, tail, worker_of
from jobdash.tui.render.job_details import ALIKE, Draw, Topics, local_time, time_and_age, topics
from jobdash.tui.render.job_summary import script_summary_spans
from jobdash.tui.render.symbols import Symbols
from jobdash.tui.render.text import Piece, Span, TextLine, cut, pairs, wrapped

_ATTEMPTS_SHOWN = 50
_COMMAND_MOST = 600
_MESSAGE_LINES = 6
_NO_ERRORS = ItemErrors((), 0, True)
_FIELDS = fields_of(
    Face.SCRIPT,
    (
        "id", "account", "status", "progress", "created_at", "finished_at", "updated_at",
        "cancel_requested_at", "verdict", "error", "function", "parts", "lease_until", "origin", "files",
        "tags", "metadata", "left_behind",
    ),
)  # fmt: skip


class ScriptView:
    """A script's job on its screen, with its attempts and the process behind it."""

    def __init__(self, browser: Browser, database: Path) -> None:
        self._browser = browser
        self._database = database
        self._attempts: tuple[Attempt, ...] = ()
        """Newest first."""
        self._worker = ScriptProcess()
        self._errors: tuple[int, ItemErrors] = (-1, _NO_ERRORS)
        """The errors of its items, with the revision that they are of."""
        self.unit, self.keyed = "items", True
        self.log_file: str | None = None

    def read(self, job: JobDetails) -> None:
        """Read the attempts, and check the process."""
        row = job.row
        # Without the attempt: checking its folder would access a disk, which may take long.
        self._attempts = tuple(self._browser.attempts(row.id, _ATTEMPTS_SHOWN))
        host = self._attempts[0].host if self._attempts else ""
        self._worker = worker_of(self._browser.owners([row.id]).get(row.id), None, host=host)
        if self._attempts:
            self.unit, self.keyed = self._attempts[0].unit, self._attempts[0].keyed
        self.log_file = _log_file(job, self._attempts, self._database)

    refresh = read

    def pages(self) -> tuple[str, ...]:
        """Return the pages; its output where that goes to a file."""
        return ("items", "errors", "details", "log", *(("output",) if self.log_file else ()))

    def first_page(self, _job: JobDetails) -> str:
        """Return the items."""
        return "items"

    def follows_clock(self, row: JobRow) -> bool:
        """Whether its rate and its lease are shown."""
        return row.unfinished

    def summary(self, row: JobRow, width: int, now: int, symbols: Symbols) -> list[Span]:
        """Return what is worth knowing of it now; how many items failed stands beside the bar."""
        failure = start_failure(self._browser, row)
        return script_summary_spans(row, failure, width, now, symbols)

    def detail_lines(self, job: JobDetails, width: int, now: int) -> list[TextLine]:
        """Return every field, and every attempt."""
        rows = list(topics(_FIELDS, self._special(), job, now))
        lines = pairs(rows, width)
        for attempt in self._attempts:
            lines += [(), *_attempt_lines(attempt, width, now, alone=job.row.function is None)]
        return lines

    def _special(self) -> dict[str, Draw]:
        """Return what is drawn in a way of its own, of the attempts and the process as they were read."""
        return ALIKE | {
            "status": lambda job, now: [("status", _status(job.row, now))],
            "progress": lambda job, _now: [(clean(self.unit, 19), _counts(job.row))],
            "error": lambda job, _now: [("error", clean(job.row.error))] if job.row.error else [],
            "parts": lambda job, _now: [("parts", text)] if (text := job_text.parts_text(job)) else [],
            "lease_until": lambda job, now: _holder(job.row, self._worker, now),
            "origin": lambda job, _now: [("machine", clean(self._machine(job.row)))],
            "files": lambda job, _now: _named(_places(job), " file"),
            "metadata": lambda job, _now: _named(job.metadata or {}),
            "attempt": lambda job, _now: [("attempts", self._attempt(job))],
        }

    def _machine(self, row: JobRow) -> str:
        """Return the hosts that it ran on, the last one first; before that the one that it was made on."""
        hosts = dict.fromkeys(attempt.host for attempt in self._attempts if attempt.host)
        return ", ".join(hosts) or machine_name(row.origin)

    def _attempt(self, job: JobDetails) -> str:
        begun = not self._attempts or self._attempts[0].number == job.attempt
        return f"{job.attempt:,}{'' if begun else ', the last of them not begun'}"

    def no_items(self, _job: JobDetails) -> tuple[str, list[str]] | None:
        """Return what gives its items keys, where they have none."""
        return None if self.keyed else ("Counts only", ["give track() a key= and items appear here"])

    def error_lines(
        self, job: JobDetails, width: int, fetched: Sequence[FailureGroup] = ()
    ) -> list[TextLine]:
        """Return the errors of its items, which are read only when the job has changed."""
        row = job.row
        if not row.failed:
            return error_lines(row, _NO_ERRORS, width)
        if self._errors[0] != row.revision:
            self._errors = (row.revision, self._browser.item_errors(row.id))
        return error_lines(row, self._errors[1], width)


def _places(job: JobDetails) -> dict[str, str]:
    """Return where fetched files are, with the host where that is another one."""
    if not is_elsewhere(job.fetched_on):
        return job.files
    return {role: f"on {job.fetched_on}: {file}" for role, file in job.files.items()}


def _log_file(job: JobDetails, attempts: Sequence[Attempt], database: Path) -> str | None:
    """Return the log file of the newest start; a script that died at once has no attempt yet."""
    newest = attempts[0] if attempts else None
    if newest is None or newest.number < job.attempt:
        started = log_file(database, job.row.public_id, job.attempt)
        if started.is_file():
            return str(started)
    return None if newest is None else log_here(newest)


def error_lines(row: JobRow, errors: ItemErrors, width: int) -> list[TextLine]:
    """Return the errors of the items, grouped by type and message, and the one that ended the job."""
    lines: list[TextLine] = []
    if row.error:
        lines += [((part, "error"),) for part in wrapped(clean(row.error), width)]
        lines.append(())
    if not errors.complete:
        lines += [((_not_all(errors, row.failed or 0), "muted"),), ()]
    for group in errors.groups:
        lines.append(((f"{group.count:,} × ", "error"), (clean(group.error_type or "error", 80), "strong")))
        lines += _message(group.error or "", width)
        first = cut(clean(group.first_key), max(20, width - 11))
        lines += [((f"    first: {first}", "muted"),), ()]
    if not lines:
        failed = row.failed or 0
        text = (
            f"{failed:,} failed; its items have no keys, so what they said is not kept"
            if failed
            else "No error"
        )
        lines.append(((text, "text" if failed else "muted"),))
    return lines


def _not_all(errors: ItemErrors, failed: int) -> str:
    if errors.examined < failed:
        return f"Of {failed:,} failed items the first {errors.examined:,}:"
    return f"The {len(errors.groups):,} most frequent errors:"


def _message(message: str, width: int) -> list[TextLine]:
    """Return a message in a few lines: one that is long must not hide the others."""
    parts = wrapped(clean(message), width - 6)
    if len(parts) > _MESSAGE_LINES:
        parts = [*parts[: _MESSAGE_LINES - 1], "…"]
    return [((f"    {part}", "text"),) for part in parts]


def _named(texts: Mapping[str, object], what: str = "") -> Topics:
    return [(clean(f"{name}{what}", 19), clean(str(text))) for name, text in texts.items()]


def _status(row: JobRow, now: int) -> str:
    word, remark = job_text.shown_status(row, now), job_text.remark(row, now)
    return f"{word} ({remark})" if remark and remark != word else word


def _counts(row: JobRow) -> str:
    parts = [("total", row.total), ("succeeded", row.succeeded), ("failed", row.failed)]
    parts += [("not processed" if row.terminal else "remaining", row.remaining)]
    parts += [("done by earlier attempts", row.done_before or None)]
    return " · ".join(f"{name} {value:,}" for name, value in parts if value is not None) or "—"


def _holder(row: JobRow, worker: ScriptProcess, now: int) -> list[tuple[str, str]]:
    if row.function is not None:
        return [("its workers", _lease(row, now))]
    return [("worker", _worker(worker)), ("its script", _lease(row, now))]


def _worker(worker: ScriptProcess) -> str:
    if worker.pid is None:
        return "no process runs it"
    if worker.alive:
        return f"pid {worker.pid}, runs on this machine"
    return f"pid {worker.pid}, {clean(worker.fenced_only, 120)}"


def _lease(row: JobRow, now: int) -> str:
    if row.lease_until is None:
        return "no process runs it now"
    if row.lease_until >= now:
        one, it = ("are", "they are") if row.function is not None else ("is", "it is")
        return f"{one} at it; stalled in {short_span(row.lease_until - now)} unless {it} heard of before"
    return f"not heard of for {short_span(now - row.lease_until)}, since {local_time(row.lease_until)}"


def _attempt_lines(attempt: Attempt, width: int, now: int, *, alone: bool) -> Sequence[TextLine]:
    """Return the lines of an attempt; ``alone``: one process runs it."""
    process = f", pid {attempt.pid}" if alone else ""
    ended = clean(attempt.ended or ("has not ended" if attempt.ended_at is None else "ended"), 200)
    rows = [
        ("  started", f"{time_and_age(attempt.started_at, now)}  by {clean(attempt.actor, 60)}{process}"),
        (
            "  ended",
            f"{time_and_age(attempt.ended_at, now)}  {ended}" if attempt.ended_at is not None else ended,
        ),
    ]
    if attempt.argv:
        rows.append(("  command", clean(" ".join(attempt.argv), _COMMAND_MOST)))
    if attempt.cwd:
        rows.append(("  folder", clean(attempt.cwd)))
    if attempt.log_file:
        rows.append(("  output", clean(log_place(attempt))))
    if not attempt.keyed:
        rows.append(("  items", "counts only, without keys"))
    return [((f"attempt {attempt.number}", "accent"),), *pairs(rows, width)]


_WIDTH = 2_000
"""Characters of a line; what follows is cut."""


class ScriptTail:
    """The last lines of a log file, read off the UI thread."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self.reading = False

    async def read(self, file: str) -> None:
        """Read the lines again; a disk may take long."""
        self.reading = True
        try:
            lines = await asyncio.to_thread(tail, file)
        except OSError as error:
            reason = f"{clean(file)} cannot be read: {clean(error.strerror or str(error))}"
            self._pieces = [(reason, "warning")]
        else:
            self._pieces = [(clean(line, _WIDTH), "text") for line in lines]
            self._pieces = self._pieces or [("Nothing was written yet", "muted")]
        finally:
            self.reading = False

    def lines(self, width: int) -> list[TextLine]:
        """Return them in lines of at most ``width`` cells."""
        return [((part, tone),) for text, tone in self._pieces for part in wrapped(text, width)]
