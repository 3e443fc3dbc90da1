"""Fetching results for a command: one line a job, JSON, or the results themselves."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jobdash.cli.context import FAILED, INTERRUPTED, CliContext
from jobdash.cli.event_loop import run_stoppable
from jobdash.cli.job_line import short_name
from jobdash.cli.output import Style, document, print_error, print_text
from jobdash.cli.selection import JobSelector, select
from jobdash.cli.session import open_session
from jobdash.cli.summary import print_line, result_style
from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionResult
from jobdash.domain.results import ResultFormat
from jobdash.errors import UsageError
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.fetch import fetch
from jobdash.operations.job_lookup import Browser
from jobdash.operations.results.fetch_request import FetchedResults, FetchRequest
from jobdash.operations.results.formats import check_format

_HEADS = {ActionResult.DONE: "Fetched", ActionResult.SKIPPED: "Skipped", ActionResult.FAILED: "Failed"}
_BAR_WIDTH = 24
_DRAWN_EVERY_S = 0.1
_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """What a person wants of a fetch."""

    folder: Path | None
    """Where the files go; None: the results are written to standard output."""
    format: ResultFormat
    partial: bool
    merged: bool = False
    """A batch and its retries in one."""


def fetch_jobs(context: CliContext, wanted: JobSelector, options: FetchOptions) -> int:
    """Fetch the results of the jobs that were named; return the exit code."""
    piped = options.folder is None
    if piped and context.as_json:
        raise UsageError("--out - writes the results themselves, --json a document about them: not both")
    if piped and options.format is ResultFormat.PARQUET:
        raise UsageError("--out - writes JSON lines or CSV; parquet wants a folder")
    check_format(options.format)
    selection = select(context, wanted)
    context.writable()
    progress = FetchProgress(len(selection.rows), shown=not context.as_json)

    def report(done: FetchedResults) -> None:
        progress.finished()
        if piped:
            _pipe(context, done, partial=options.partial)
        elif not context.as_json:
            word = "fetched" if done.result is ActionResult.DONE else str(done.result)
            print_line(
                word, done.row, _words(context, done, partial=options.partial), result_style(done.result)
            )

    async def work(stop: CancelToken) -> tuple[list[FetchedResults], bool]:
        async with open_session(context, stop) as session:
            with _folder(options.folder) as folder:
                request = FetchRequest(
                    folder,
                    lambda: Browser(context.config.database),
                    session.work,
                    partial=options.partial,
                    format=options.format,
                    on_progress=progress.received,
                    record=not piped,
                    merged=options.merged,
                )
                fetched = await fetch(selection.rows, request, report, stop)
            return fetched, stop.is_set()

    try:
        fetched, stopped = run_stoppable(work)
    finally:
        progress.erase()
    if context.as_json:
        document({"jobs": [_as_json(done) for done in fetched]})
    elif not piped:
        counts = {word: sum(done.result is word for done in fetched) for word in ActionResult}
        print_text(" · ".join(f"{_HEADS[word]}: {number:,}" for word, number in counts.items()))
    if stopped:
        return INTERRUPTED
    failed = any(done.refused or done.result is ActionResult.FAILED for done in fetched)
    return FAILED if failed or selection.bad_words else 0


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    """Return where the files go: for standard output, into a folder that is deleted afterwards."""
    if wanted is not None:
        yield wanted
        return
    with tempfile.TemporaryDirectory(prefix="jobdash-") as folder:
        yield Path(folder)


def _words(context: CliContext, done: FetchedResults, *, partial: bool) -> str:
    where = done.folder or done.file
    if where is not None:
        return f"{done.reason}: {where}"
    refused = done.result is ActionResult.FAILED and done.row.unfinished and not partial
    there = refused and context.opened.browser.have_items([done.row.id])
    return f"{done.reason}; --partial fetches what there is" if there else done.reason


def _pipe(context: CliContext, done: FetchedResults, *, partial: bool) -> None:
    """Write a job's results to standard output, and nothing else; messages go to stderr."""
    if done.file is not None:
        with done.file.open(encoding="utf-8", newline="") as file:
            for line in file:
                sys.stdout.write(line)
    if done.file is None or done.result is not ActionResult.DONE:
        words = _words(context, done, partial=partial)
        print_error(f"{done.row.public_id} {short_name(done.row)}: {words}", Style.WARN)


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
        "folder": None if done.folder is None else str(done.folder),
        "items": done.items,
        "partial": done.partial if done.file is not None else None,
        "succeeded": row.succeeded,
        "failed": row.failed,
        "total": row.total,
        "results": None if done.counts is None else asdict(done.counts),
    }


def print_fetched(done: FetchedResults) -> None:
    """Print what was fetched because its account has ``auto_fetch``."""
    where = done.reason if done.folder is None else f"{done.reason}: {done.folder}"
    word = "not fetched" if done.folder is None else "fetched"
    print_error(f"{done.row.public_id}  {short_name(done.row)} {word}: {where}")


class FetchProgress:
    """A bar over the jobs, with the megabytes that are here; erased before any other line is printed."""

    def __init__(self, jobs: int, *, shown: bool) -> None:
        self._jobs = jobs
        self._shown = shown and sys.stderr.isatty()
        self._done = 0
        self._sizes: dict[int, int] = {}
        self._drawn_at = 0.0
        self._drawn = False

    def received(self, row: JobRow, size: int) -> None:
        """Draw that so many bytes of a job are here, at most ten times a second."""
        self._sizes[row.id] = size
        if self._shown and time.monotonic() - self._drawn_at >= _DRAWN_EVERY_S:
            self._drawn_at = time.monotonic()
            self._draw()

    def finished(self) -> None:
        """Count one job more, and make room for its line."""
        self._done += 1
        self.erase()

    def erase(self) -> None:
        """Clear the line."""
        if self._drawn:
            self._drawn = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _draw(self) -> None:
        full = _BAR_WIDTH * self._done // max(1, self._jobs)
        bar = "#" * full + "." * (_BAR_WIDTH - full)
        megabytes = sum(self._sizes.values()) / _MEGABYTE
        sys.stderr.write(f"\r\x1b[K[{bar}] {self._done:,} of {self._jobs:,} · {megabytes:,.1f} MB")
        sys.stderr.flush()
        self._drawn = True
