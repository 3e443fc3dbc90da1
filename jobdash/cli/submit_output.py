"""The output of ``jobdash submit``: lines, or one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from jobdash.cli.clock import store_time
from jobdash.cli.context import CliContext
from jobdash.cli.job_json import job_json
from jobdash.cli.output import Style, document, print_error, print_text
from jobdash.domain.cost import Cost
from jobdash.domain.describe.submit_text import waiting_words
from jobdash.domain.job import JobRow
from jobdash.domain.money import MICROS
from jobdash.domain.status import QUEUED_HERE
from jobdash.domain.time import rfc3339
from jobdash.operations.submit_outcome import WELL, SubmitEnd, Submitted, worst
from jobdash.operations.submit_request import SubmitRequest, requests_of


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
    waiting: int = 0
    """How many of its parts would wait here for room."""
    cost: Cost | None = None
    """What its input is expected to cost."""
    done: tuple[Submitted, ...] = ()
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
        "estimated_tokens": wanted.estimate.tokens,
        "estimated_input_cost": None if report.cost is None else report.cost.micros / MICROS,
        "queued_here": report.waiting,
        "parts": [
            {"requests": part.requests, "bytes": part.size, "sha256": part.digest}
            for part in wanted.check.parts
        ],
        "tags": wanted.tags,
        "embeddings": wanted.check.embeddings,
        "sha256": wanted.check.digest,
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


def _part_json(context: CliContext, done: Submitted) -> dict[str, object]:
    job = done.row and context.opened.browser.job(done.row.id)
    return {
        "result": "done" if done.end in WELL else "failed",
        "reason": done.reason or None,
        "job": job and job_json(job, store_time()),
    }


def _print_one(wanted: SubmitRequest, done: Submitted) -> None:
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
