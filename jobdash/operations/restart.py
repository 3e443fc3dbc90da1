"""Starting a job's script again as it was started last: detached, no shell, its output in a log file."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jobdash.domain.items import Attempt
from jobdash.errors import StoreError
from jobdash.operations.script_processes import LOGS as LOGS
from jobdash.operations.script_processes import log_file, why_not_startable
from jobdash.store.files import refuse_foreign
from jobdash.store.records import Retried


@dataclass(frozen=True, slots=True)
class StartedScript:
    """A script that was started, or why it was not."""

    pid: int | None = None
    log_file: str | None = None
    error: str | None = None
    exit_code: Callable[[], int | None] = lambda: None
    """Returns with what it ended; None while it runs."""


async def start_again(retried: Retried, database: Path) -> StartedScript:
    """Start the script of a job that was retried; it takes the very job up, and writes to ``database``."""
    if retried.last is None:
        return StartedScript(error="its command line is not known")
    try:
        refuse_foreign(database)  # looked at once more: what is started now is what the store says
    except StoreError as error:
        return StartedScript(error=str(error))
    reason = why_not_startable(retried.last)
    if reason is not None:
        return StartedScript(error=reason)
    log = log_file(database, retried.row.public_id, retried.number)
    try:
        row = retried.row
        return await asyncio.to_thread(_start, retried.last, row.public_id, row.fence, log, database)
    except OSError as error:
        return StartedScript(error=f"{error.strerror or error}")


def _start(attempt: Attempt, job: str, fence: int, log: Path, database: Path) -> StartedScript:
    assert attempt.argv is not None
    log.parent.mkdir(mode=0o700, exist_ok=True)
    given = os.environ | {
        "JOBDASH_JOB": f"{job}:{fence}",
        "JOBDASH_LOG_FILE": str(log),
        "JOBDASH_DATABASE": str(database.absolute()),
    }
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        process = subprocess.Popen(  # noqa: S603 - the person's own command line, as they ran it, after a yes
            attempt.argv,
            cwd=attempt.cwd,
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        os.close(output)
    # Somebody has to ask what became of it, or it stays in the table of processes for as long as we run.
    threading.Thread(target=process.wait, name="jobdash-script", daemon=True).start()
    return StartedScript(process.pid, str(log), exit_code=process.poll)
