"""Submitting checked files for a command; each fails by itself."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jobdash.cli.clock import store_time
from jobdash.cli.confirm import ask
from jobdash.cli.context import FAILED, INTERRUPTED, CliContext
from jobdash.cli.event_loop import run_stoppable
from jobdash.cli.output import Style, print_error
from jobdash.cli.session import CommandSession, open_session
from jobdash.cli.submit_output import SubmitReport, print_dry_run, print_submitted, what
from jobdash.domain.describe.submit_text import same_file
from jobdash.domain.job import JobRow
from jobdash.errors import ConfigError, JobdashError, UsageError
from jobdash.operations.rate_limiter import CancelToken
from jobdash.operations.submit_check import expected_cost, parts_that_wait, sent_before
from jobdash.operations.submit_outcome import SubmitEnd, Submitted
from jobdash.operations.submit_queue import submit_file
from jobdash.operations.submit_request import SubmitRequest, without_room

STDIN = "standard input"
_COPIED = 1024 * 1024


@contextmanager
def on_disk(file: Path) -> Iterator[tuple[Path, str | None]]:
    """Return a file as it is, or a copy of standard input for ``-``, with what to call it."""
    if str(file) != "-":
        yield file, None
        return
    with tempfile.TemporaryDirectory(prefix="jobdash-") as folder:
        copy = Path(folder) / "stdin.jsonl"
        try:
            with copy.open("wb") as out:
                shutil.copyfileobj(sys.stdin.buffer, out, _COPIED)
        except OSError as error:
            raise UsageError(f"{STDIN} cannot be read: {error.strerror or error}") from None
        yield copy, STDIN


def check_files(
    files: Sequence[tuple[Path, str | None]],
    check: Callable[[Path, str | None], SubmitRequest],
    on_error: Callable[[JobdashError], None],
) -> list[SubmitReport]:
    """Check files, in their order; the error of a single file is raised, those of several are reported."""
    reports: list[SubmitReport] = []
    for path, called in files:
        try:
            wanted = check(path, called)
        except UsageError as error:
            if len(files) == 1:
                raise
            on_error(error)
            reports.append(SubmitReport(called or str(path), None, error=str(error)))
        else:
            reports.append(SubmitReport(called or str(path), wanted))
    return reports


def submit_files(context: CliContext, reports: Sequence[SubmitReport], *, dry_run: bool, yes: bool) -> int:
    """Submit what was found sound, one after the other; return the exit code."""
    sound = [report for report in reports if report.wanted is not None]
    doubts = _look_for_doubts(context, sound, dry_run=dry_run)
    if dry_run:
        print_dry_run(context, reports)
        return FAILED if len(sound) < len(reports) else 0
    if doubts and not yes:
        for report in sound:
            assert report.wanted is not None
            print_error(what(report.wanted))
        ask("Submit it all the same" if len(sound) == 1 else f"Submit {len(sound)} files all the same")
    stopped = bool(sound) and run_stoppable(lambda stop: _submit_all(context, sound, stop))
    print_submitted(context, reports)
    return _exit_code(reports, stopped=stopped)


def _look_for_doubts(context: CliContext, sound: Sequence[SubmitReport], *, dry_run: bool) -> bool:
    """Print what a person should confirm; return whether there is anything."""
    found = False
    for report in sound:
        assert report.wanted is not None
        report.sent_before = _sent_before(context, report.wanted, dry_run=dry_run)
        report.waiting = _waiting(context, report.wanted, dry_run=dry_run)
        report.cost = expected_cost(report.wanted, context.config.prices, store_time()) if dry_run else None
        now = store_time()
        again = [same_file(row, now) for row in report.sent_before]
        for doubt in [*report.wanted.doubts, *again]:
            found = True
            prefix = "" if len(sound) == 1 else f"{report.file}: "
            print_error(f"{prefix}{doubt}", Style.WARN)
    return found


async def _submit_all(context: CliContext, sound: Sequence[SubmitReport], stop: CancelToken) -> bool:
    """Submit one file after the other; return whether Ctrl-C was pressed meanwhile."""
    async with open_session(context, stop) as session:
        for report in sound:
            assert report.wanted is not None
            if not context.as_json:
                print_error(f"Submitting {what(report.wanted)}")
            report.done = await _submit_one(report.wanted, session, alone=len(sound) == 1)
    return stop.is_set()


async def _submit_one(
    wanted: SubmitRequest, session: CommandSession, *, alone: bool
) -> tuple[Submitted, ...]:
    try:
        return await submit_file(wanted, session.accounts[wanted.account.name], session.work)
    except OSError as error:
        return (Submitted(SubmitEnd.FAILED, f"its copy: {error.strerror or error}", None),)
    except JobdashError as error:
        if alone:
            raise
        return (Submitted(SubmitEnd.FAILED, str(error), None),)


def _sent_before(context: CliContext, wanted: SubmitRequest, *, dry_run: bool) -> list[JobRow]:
    """Return the jobs that came of the identical file; a dry run makes no store to look."""
    if dry_run and not context.has_store:
        return []
    return sent_before(wanted, context.opened.browser)


def _waiting(context: CliContext, wanted: SubmitRequest, *, dry_run: bool) -> int:
    """Return how many parts would wait here; a dry run makes no store to look."""
    if dry_run and not context.has_store:
        return without_room(wanted, 0)
    return parts_that_wait(wanted, context.opened.browser)


def _exit_code(reports: Sequence[SubmitReport], *, stopped: bool) -> int:
    ends = [report.end for report in reports]
    if SubmitEnd.STOPPED in ends or (stopped and SubmitEnd.QUEUED in ends):
        return INTERRUPTED
    if ends == [SubmitEnd.REJECTED]:
        return ConfigError.exit_code
    return 0 if set(ends) <= {SubmitEnd.CREATED, SubmitEnd.QUEUED} else FAILED
