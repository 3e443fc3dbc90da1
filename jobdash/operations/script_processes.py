"""The processes behind scripts' jobs: which run here, their output, starting again, stopping."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import stat
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from jobdash.domain.items import ENDED, GRACE_S, Attempt, WorkerProcess
from jobdash.domain.job import JobRow
from jobdash.errors import StoreError
from jobdash.operations.job_lookup import Browser
from jobdash.operations.rate_limiter import CancelToken
from jobdash.operations.writer_thread import current_actor
from jobdash.store.files import refuse_foreign
from jobdash.store.owner import Owner
from jobdash.store.records import Retried

ELSEWHERE = "it runs on another machine"
LOGS = "logs"
"""The folder beside the store in which the output of scripts lies that were started from here."""
MOST_LOOKED_AT = 500
"""Scripts of one plan that are looked at; a dialog has no room for more."""


def log_file(database: Path, public_id: str, attempt: int) -> Path:
    """Return where the output of an attempt goes that is started from here; it need not be there."""
    return database.absolute().parent / LOGS / f"{public_id}-{attempt}.log"


def workers(browser: Browser, rows: Iterable[JobRow], *, starting: bool = True) -> dict[int, WorkerProcess]:
    """Return, by id, what is known here of the scripts of the first local jobs among some.

    Whether they can be started again is looked at only for ``starting``: their folders may lie on a disk that
    hangs.
    """
    ids = [row.id for row in islice((row for row in rows if row.local), MOST_LOOKED_AT)]
    attempts = browser.last_attempts(ids)
    owners = browser.owners(ids)
    held = browser.held_by(owners.values())
    return {
        job_id: worker_of(
            owners.get(job_id),
            attempts.get(job_id),
            [name for other, name in held.get(owners.get(job_id, ""), ()) if other not in ids],
            starting=starting,
        )
        for job_id in ids
    }


def worker_of(
    owner: str | None, attempt: Attempt | None, also: Iterable[str] = (), *, starting: bool = True
) -> WorkerProcess:
    """Return what is known here of one script, from its job's owner (the last one) and its last attempt.

    ``also`` are the names of other jobs that the same process runs.
    """
    decoded = Owner.read(owner)
    reason = "its process is not known" if decoded is None else cannot_stop(decoded)
    cannot_start: str | None = "its command line is not known"
    if attempt is not None and starting:
        cannot_start = why_not_startable(attempt)
    return WorkerProcess(
        pid=None if decoded is None else decoded.pid,
        alive=reason is None,
        dead=decoded is not None and decoded.provably_dead(),
        suspended=reason is None and decoded is not None and decoded.suspended(),
        also=tuple(also),
        fenced_only=reason or "",
        keyed=attempt is None or attempt.keyed,
        unit="items" if attempt is None else attempt.unit,
        command="" if attempt is None or attempt.argv is None else shlex.join(attempt.argv),
        cwd="" if attempt is None else attempt.cwd or "",
        log_file=None if attempt is None else attempt.log_file,
        cannot_start=cannot_start,
    )


def cannot_stop(owner: Owner) -> str | None:
    """Return why a process cannot be ended for real; None when it runs here and can be."""
    if not owner.here():
        return ELSEWHERE
    if owner.provably_dead():
        return ENDED
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        return "processes can be stopped on Linux only"
    return "it is jobdash itself" if owner.pid == os.getpid() else None


def why_not_startable(attempt: Attempt) -> str | None:
    """Return why an attempt's script cannot be started again from here; None when it can."""
    if not attempt.argv or not attempt.cwd:
        return "its command line is not known"
    ran = Owner.read(attempt.owner)
    if ran is None or not ran.same_machine():
        return "it ran on another machine"
    if attempt.actor != current_actor("cli").name:
        return f"it was run by {attempt.actor}"
    if not Path(attempt.cwd).is_dir():
        return f"its folder {attempt.cwd} is not there any more"
    program = attempt.argv[0]
    found = Path(attempt.cwd, program).is_file() if os.sep in program else shutil.which(program) is not None
    return None if found else f"{program} is not there any more"


LINES = 200
_BYTES = 64 * 1024


def tail(file: str) -> list[str]:
    """Return the last lines of a log file, as written; raises OSError when it cannot be read.

    Of a line that was written over, as a progress bar is, the last state is returned.
    """
    path = Path(file)
    # Opening a pipe would wait for somebody who writes.
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{file} is no file")
    with path.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - _BYTES))
        text = log.read(_BYTES).decode("utf-8", "replace")
    lines = text.replace("\r\n", "\n").split("\n")
    if size > _BYTES and len(lines) > 1:
        del lines[0]
    if lines and not lines[-1]:
        del lines[-1]
    return [line.rstrip("\r").rpartition("\r")[2] for line in lines[-LINES:]]


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
        refuse_foreign(database)  # checked once more: what is started is what the store holds
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
    # Wait for it, or it stays a zombie for as long as this process runs.
    threading.Thread(target=process.wait, name="jobdash-script", daemon=True).start()
    return StartedScript(process.pid, str(log), exit_code=process.poll)


async def stop_process(
    owner: Owner | None, *, grace_s: float = GRACE_S, stop: CancelToken | None = None
) -> str:
    """End a process that was fenced off; return its end in words.

    It has ``grace_s`` seconds to see that by itself, as long again after SIGTERM, and is then killed. When
    ``stop`` is set, the wait ends and nothing more is sent. Linux only: a pidfd means one process
    for ever, and before anything is sent to it its start time is compared with the owner's.
    """
    reason = "its process is not known" if owner is None else cannot_stop(owner)
    if owner is None or reason is not None:
        return reason if reason == ENDED else f"fenced only: {reason}"
    try:
        pidfd = os.pidfd_open(owner.pid)
    except ProcessLookupError:
        return ENDED
    except OSError as error:
        return f"fenced only: process {owner.pid} cannot be reached ({error.strerror})"
    try:
        return await _end(owner, pidfd, grace_s, stop or CancelToken())
    except PermissionError:
        return f"fenced only: process {owner.pid} is another user's"
    except ProcessLookupError:
        return f"process {owner.pid} ended"
    finally:
        os.close(pidfd)


async def _end(owner: Owner, pidfd: int, grace_s: float, stop: CancelToken) -> str:
    # The pid may have been given again until it was opened; what is open now stays one and the same.
    if owner.provably_dead():
        return ENDED
    name = f"process {owner.pid}"
    if owner.suspended():
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        await _ended(pidfd, grace_s, CancelToken())
        return f"{name} was stopped (SIGSTOP), so it was killed at once"
    if await _ended(pidfd, grace_s, stop):
        return f"{name} ended by itself"
    if stop.is_set():
        return f"{name} was not stopped: it sees at its next item that it is over"
    signal.pidfd_send_signal(pidfd, signal.SIGTERM)
    if await _ended(pidfd, grace_s, stop):
        return f"{name} ended after SIGTERM"
    if stop.is_set():
        return f"{name} was sent SIGTERM and has not ended yet"
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    if await _ended(pidfd, grace_s, CancelToken()):
        return f"{name} was killed"
    return f"{name} was sent SIGKILL and has not ended yet"


async def _ended(pidfd: int, seconds: float, stop: CancelToken) -> bool:
    """Wait until the process ends, the time is up or ``stop`` is set; whether it has ended."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[bool] = loop.create_future()

    def settle(ended: bool) -> None:
        if not over.done():
            over.set_result(ended)

    def give_up() -> None:
        loop.call_soon_threadsafe(settle, False)

    with _readable(pidfd, lambda: settle(True)), stop.calls(give_up):
        timer = loop.call_later(seconds, settle, False)
        try:
            return await over
        finally:
            timer.cancel()


@contextmanager
def _readable(pidfd: int, call: Callable[[], None]) -> Iterator[None]:
    """Have ``call`` called when the process has ended: a pidfd can be read from then on."""
    loop = asyncio.get_running_loop()
    loop.add_reader(pidfd, call)
    try:
        yield
    finally:
        loop.remove_reader(pidfd)
