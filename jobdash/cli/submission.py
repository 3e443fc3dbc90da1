"""Submitting a checked file for a command, and its output."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jobdash.cli.confirm import ask
from jobdash.cli.context import FAILED, INTERRUPTED, CliContext
from jobdash.cli.event_loop import run_stoppable
from jobdash.cli.job_json import job_json
from jobdash.cli.job_line import short_name, status_word
from jobdash.cli.output import Style, document, print_error, print_text
from jobdash.cli.session import open_session
from jobdash.cli.time_format import ago
from jobdash.domain.job import JobRow
from jobdash.domain.time import rfc3339, system_clock
from jobdash.errors import ConfigError, UsageError
from jobdash.operations.rate_limiter import CancelToken
from jobdash.operations.submit import SubmitEnd, SubmitRequest, Submitted, submit

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


def submit_file(context: CliContext, wanted: SubmitRequest, *, dry_run: bool, yes: bool = False) -> int:
    """Submit; return the exit code."""
    before = _sent_before(context, wanted, dry_run=dry_run)
    doubts = [*wanted.doubts, *map(_same_file, before)]
    for doubt in doubts:
        print_error(doubt, Style.WARN)
    if dry_run:
        return _dry_run(context, wanted, before)
    if doubts and not yes:
        ask("Submit it all the same")
    if not context.as_json:
        print_error(f"Submitting {_what(wanted)}")

    async def work(stop: CancelToken) -> Submitted:
        async with open_session(context, stop) as session:
            return await submit(wanted, session.accounts[wanted.account.name], session.work)

    done = run_stoppable(work)
    _print(context, wanted, done)
    if done.end is SubmitEnd.STOPPED:
        return INTERRUPTED
    if done.end is SubmitEnd.REJECTED:
        return ConfigError.exit_code
    return 0 if done.end is SubmitEnd.CREATED else FAILED


def _sent_before(context: CliContext, wanted: SubmitRequest, *, dry_run: bool) -> list[JobRow]:
    """Return the jobs that came of the identical file; a dry run makes no store to look."""
    if dry_run and not context.config.database.exists():
        return []
    return context.opened.browser.submitted_before(wanted.check.digest)


def _same_file(row: JobRow) -> str:
    when = ago(row.created_at, system_clock())
    what = f"{row.public_id} {short_name(row)} ({row.account}), {status_word(row)}"
    return f"the identical file was sent {when}: {what}"


def _what(wanted: SubmitRequest) -> str:
    check = wanted.check
    where = " · ".join(filter(None, (wanted.account.name, wanted.model, wanted.endpoint)))
    kind = "embeddings request" if check.embeddings else "request"
    requests = f"{check.requests:,} {kind if check.requests == 1 else f'{kind}s'}"
    return f"{wanted.name}: {requests}, {check.size:,} bytes, to {where}"


def _dry_run(context: CliContext, wanted: SubmitRequest, before: Sequence[JobRow]) -> int:
    if not context.as_json:
        print_text(_what(wanted))
        print_error("dry run: the file is sound, nothing was sent")
        return 0
    document(
        {
            "action": "submit",
            "dry_run": True,
            "file": str(wanted.check.path),
            "account": wanted.account.name,
            "name": wanted.name,
            "model": wanted.model,
            "endpoint": wanted.endpoint,
            "requests": wanted.check.requests,
            "bytes": wanted.check.size,
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
                for row in before
            ],
        }
    )
    return 0


def _print(context: CliContext, wanted: SubmitRequest, done: Submitted) -> None:
    row = done.row
    if context.as_json:
        job = row and context.opened.browser.job(row.id)
        result = "done" if done.end is SubmitEnd.CREATED else "failed"
        shape = {
            "action": "submit",
            "dry_run": False,
            "result": result,
            "reason": done.reason or None,
            "job": job and job_json(job, system_clock()),
        }
        document(shape)
    elif done.end in {SubmitEnd.CREATED, SubmitEnd.ENDED} and row is not None:
        print_text(
            f"{row.public_id}  {row.remote_id}", Style.GOOD if done.end is SubmitEnd.CREATED else Style.BAD
        )
    if done.end is SubmitEnd.CREATED:
        if done.reason:
            print_error(f"{wanted.name}: {done.reason}", Style.WARN)
    else:
        how = {SubmitEnd.UNCONFIRMED: "is not confirmed", SubmitEnd.ENDED: "was created, and is over at once"}
        words = how.get(done.end, "was not submitted")
        where = f". See: jobdash show {row.public_id}" if row is not None else ""
        print_error(f"jobdash: {wanted.name} {words}: {done.reason.rstrip('.')}{where}", Style.BAD)
