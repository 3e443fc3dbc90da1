"""Submitting a checked file, and saying what became of it."""

from __future__ import annotations

from jobdash.cli.exit_codes import FAILED, INTERRUPTED
from jobdash.cli.face import Face
from jobdash.cli.job_json import job_json
from jobdash.cli.loop import run_stoppable
from jobdash.cli.out import Tone, document, say, tell
from jobdash.cli.workbench import open_workbench
from jobdash.domain.clock import system_clock
from jobdash.errors import ConfigError
from jobdash.operations.limiter import Stop
from jobdash.operations.submit import Order, SubmitEnd, Submitted, submit


def submit_file(face: Face, wanted: Order, *, dry_run: bool) -> int:
    """Submit; return the exit code."""
    if dry_run:
        return _dry_run(face, wanted)
    if not face.as_json:
        tell(f"Submitting {_what(wanted)}")

    async def work(stop: Stop) -> Submitted:
        async with open_workbench(face, stop) as bench:
            return await submit(wanted, bench.accounts[wanted.account.name], bench.work)

    done = run_stoppable(work)
    _print(face, wanted, done)
    if done.end is SubmitEnd.STOPPED:
        return INTERRUPTED
    if done.end is SubmitEnd.REJECTED:
        return ConfigError.exit_code
    return 0 if done.end is SubmitEnd.CREATED else FAILED


def _what(wanted: Order) -> str:
    check = wanted.check
    where = " · ".join(filter(None, (wanted.account.name, wanted.model, wanted.endpoint)))
    requests = f"{check.requests:,} {'request' if check.requests == 1 else 'requests'}"
    return f"{wanted.name}: {requests}, {check.size:,} bytes, to {where}"


def _dry_run(face: Face, wanted: Order) -> int:
    if not face.as_json:
        say(_what(wanted))
        tell("dry run: the file is sound, nothing was sent")
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
        }
    )
    return 0


def _print(face: Face, wanted: Order, done: Submitted) -> None:
    row = done.row
    if face.as_json:
        job = row and face.opened.browser.job(row.id)
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
        say(f"{row.public_id}  {row.remote_id}", Tone.GOOD if done.end is SubmitEnd.CREATED else Tone.BAD)
    if done.end is not SubmitEnd.CREATED:
        how = {SubmitEnd.UNCONFIRMED: "is not confirmed", SubmitEnd.ENDED: "was created, and is over at once"}
        words = how.get(done.end, "was not submitted")
        where = f". See: jobdash show {row.public_id}" if row is not None else ""
        tell(f"jobdash: {wanted.name} {words}: {done.reason.rstrip('.')}{where}", Tone.BAD)
