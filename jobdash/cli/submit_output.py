"""Submitting checked files for a command, each by itself; the output as lines, or one JSON document."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from jobdash.cli.clock import store_time
from jobdash.cli.confirm import ask
from jobdash.cli.context import FAILED, INTERRUPTED, CliContext
from jobdash.cli.event_loop import run_stoppable
from jobdash.cli.job_json import job_json
from jobdash.cli.output import Style, document, print_error, print_text
from jobdash.cli.session import CommandSession, open_session
from jobdash.domain.cost import Cost
from jobdash.domain.describe.submit_text import same_file, waiting_words
from jobdash.domain.job import JobRow
from jobdash.domain.money import MICROS
from jobdash.domain.status import QUEUED_HERE
from jobdash.domain.time import rfc3339
from jobdash.errors import ConfigError, JobdashError, UsageError
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.submission.check import expected_cost, parts_that_wait, sent_before
from jobdash.operations.submission.outcome import WELL, SubmitEnd, SubmitOutcome, worst
from jobdash.operations.submission.queue import submit_file
from jobdash.operations.submission.request import SubmitRequest, requests_of, without_room

STDIN = "standard input"
_COPIED = 1024 * 1024


@dataclass
class SubmitReport:
    """One file of a command line, and what became of it."""

    file: str
    """As it was named."""
    wanted: SubmitRequest | None
    """None for a file that was found wrong."""
    error: str = ""
    sent_before: list[JobRow] = field(default_factory=list)
    """Jobs that came of the identical file."""
    same_as: str | None = None
    """An earlier file of the command line with the same content."""
    waiting: int = 0
    """How many of its parts would wait here for room."""
    cost: Cost | None = None
    """What its input is expected to cost."""
    done: tuple[SubmitOutcome, ...] = ()
    """The outcome of the file, or of each of its parts; empty where nothing was tried."""

    @property
    def end(self) -> SubmitEnd:
        """How its submit ended: as the worst of its parts."""
        return worst(self.done).end if self.done else SubmitEnd.FAILED


def what(wanted: SubmitRequest, cost: Cost | None = None) -> str:
    """Return what is submitted where: ``nightly: 12 requests, 3,402 bytes, ≈ 850 tokens …, to work``."""
    where = " · ".join(filter(None, (wanted.account.name, wanted.model, wanted.endpoint)))
    return f"{wanted.name}: {wanted.contents(cost)}, to {where}"


def print_dry_run(context: CliContext, reports: Sequence[SubmitReport]) -> None:
    """Print what would be submitted."""
    if context.as_json:
        _documents([_dry_run_json(report) for report in reports], {"action": "submit", "dry_run": True})
        return
    for report in reports:
        if report.wanted is not None:
            print_text(what(report.wanted, report.cost))
            if report.waiting:
                print_text(f"  {waiting_words(report.waiting)}")
    sound = sum(report.wanted is not None for report in reports)
    files = "the file is" if len(reports) == 1 else f"{sound} of {len(reports)} files are"
    print_error(f"dry run: {files} sound, nothing was sent")


def print_submitted(context: CliContext, reports: Sequence[SubmitReport]) -> None:
    """Print what became of each file."""
    if context.as_json:
        shapes = [_submitted_json(context, report) for report in reports]
        _documents(shapes, {"action": "submit", "dry_run": False})
        return
    for report in reports:
        if report.wanted is not None:
            for wanted, done in zip(requests_of(report.wanted), report.done, strict=False):
                _print_one(wanted, done)


def _documents(shapes: Sequence[dict[str, object]], head: dict[str, object]) -> None:
    """Print one document: of a single file as it is, of several in ``files``."""
    document(head | shapes[0] if len(shapes) == 1 else head | {"files": list(shapes)})


def _dry_run_json(report: SubmitReport) -> dict[str, object]:
    wanted = report.wanted
    if wanted is None:
        return {"file": report.file, "error": report.error}
    return {
        "file": str(wanted.check.path),
        "account": wanted.account.name,
        "name": wanted.name,
        "model": wanted.model,
        "endpoint": wanted.endpoint,
        "requests": wanted.check.requests,
        "bytes": wanted.check.size,
        "estimated_tokens": wanted.estimated_tokens,
        "estimated_input_cost": None if report.cost is None else report.cost.micros / MICROS,
        "queued_here": report.waiting,
        "parts": [
            {"requests": part.requests, "bytes": part.size, "sha256": part.digest}
            for part in wanted.check.parts
        ],
        "tags": wanted.tags,
        "embeddings": wanted.check.embeddings,
        "sha256": wanted.check.digest,
        "same_as": report.same_as,
        "sent_before": [
            {
                "id": row.public_id,
                "account": row.account,
                "name": row.name,
                "status": str(row.status),
                "created_at": rfc3339(row.created_at),
            }
            for row in report.sent_before
        ],
    }


def _submitted_json(context: CliContext, report: SubmitReport) -> dict[str, object]:
    if not report.done:
        return {"file": report.file, "result": "failed", "reason": report.error, "job": None}
    parts = [_part_json(context, done) for done in report.done]
    if len(parts) == 1:
        return {"file": report.file, **parts[0]}
    result = "done" if report.end in WELL else "failed"
    reason = worst(report.done).reason or None
    return {"file": report.file, "result": result, "reason": reason, "parts": parts}


def _part_json(context: CliContext, done: SubmitOutcome) -> dict[str, object]:
    job = done.row and context.opened.browser.job(done.row.id)
    return {
        "result": "done" if done.end in WELL else "failed",
        "reason": done.reason or None,
        "job": job and job_json(job, store_time()),
    }


def _print_one(wanted: SubmitRequest, done: SubmitOutcome) -> None:
    row = done.row
    created = done.end is SubmitEnd.CREATED
    if done.end is SubmitEnd.QUEUED and row is not None:
        print_text(f"{row.public_id}  {QUEUED_HERE}")
        print_error(f"{wanted.name}: {done.reason}")
        return
    if row is not None and (created or done.end is SubmitEnd.ENDED):
        print_text(f"{row.public_id}  {row.remote_id}", Style.GOOD if created else Style.BAD)
    if created:
        if done.reason:
            print_error(f"{wanted.name}: {done.reason}", Style.WARN)
        return
    how = {SubmitEnd.UNCONFIRMED: "is not confirmed", SubmitEnd.ENDED: "was created, and is over at once"}
    words = how.get(done.end, "was not submitted")
    where = f". See: jobdash show {row.public_id}" if row is not None else ""
    print_error(f"jobdash: {wanted.name} {words}: {done.reason.rstrip('.')}{where}", Style.BAD)


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
    doubts = _print_doubts(context, sound, dry_run=dry_run, yes=yes)
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


def _print_doubts(context: CliContext, sound: Sequence[SubmitReport], *, dry_run: bool, yes: bool) -> bool:
    """Print what a person should confirm; return whether there is anything."""
    found = False
    files: dict[str, str] = {}
    for report in sound:
        assert report.wanted is not None
        same = files.setdefault(report.wanted.check.digest, report.file)
        report.same_as = None if same is report.file else same
        if not (dry_run or yes or report.same_as):
            report.wanted = replace(report.wanted, seen=context.opened.browser.newest_ids())
        report.sent_before = _sent_before(context, report.wanted, dry_run=dry_run)
        report.waiting = _waiting(context, report.wanted, dry_run=dry_run)
        report.cost = expected_cost(report.wanted, context.config.prices, store_time()) if dry_run else None
        now = store_time()
        again = [same_file(row, now) for row in report.sent_before]
        again += [f"the same content as {report.same_as}"] if report.same_as is not None else []
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
) -> tuple[SubmitOutcome, ...]:
    try:
        return await submit_file(wanted, session.accounts[wanted.account.name], session.work)
    except OSError as error:
        return (SubmitOutcome(SubmitEnd.FAILED, f"its copy: {error.strerror or error}", None),)
    except JobdashError as error:
        if alone:
            raise
        return (SubmitOutcome(SubmitEnd.FAILED, str(error), None),)


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
