"""Starting a script again, detached and without a shell, and stopping its process for real."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobdash.domain.items import ENDED, GRACE_S, Attempt
from jobdash.errors import StoreError
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.scripts.processes import cannot_stop, log_file, why_not_startable
from jobdash.store.files import make_private_folder, refuse_foreign
from jobdash.store.location import StoreLocation, beside, written
from jobdash.store.owner import Owner
from jobdash.store.records import Retried


@dataclass(frozen=True, slots=True)
class StartedScript:
    """A script that was started, or why it was not."""

    pid: int | None = None
    log_file: str | None = None
    error: str | None = None
    exit_code: Callable[[], int | None] = lambda: None
    """Returns with what it ended; None while it runs."""


async def start_again(retried: Retried, store: StoreLocation) -> StartedScript:
    """Start the script of a job that was retried; it takes the very job up, and writes to ``store``."""
    if retried.last is None:
        return StartedScript(error="its command line is not known")
    try:
        if isinstance(store, Path):
            refuse_foreign(store)  # checked once more: what is started is what the store holds
    except StoreError as error:
        return StartedScript(error=str(error))
    reason = why_not_startable(retried.last)
    if reason is not None:
        return StartedScript(error=reason)
    log = log_file(beside(store), retried.row.public_id, retried.number)
    try:
        row = retried.row
        return await asyncio.to_thread(_start, retried.last, row.public_id, row.fence, log, store)
    except OSError as error:
        return StartedScript(error=f"{error.strerror or error}")


def _start(attempt: Attempt, job: str, fence: int, log: Path, store: StoreLocation) -> StartedScript:
    assert attempt.argv is not None
    make_private_folder(log.parent)
    given = os.environ | {
        "JOBDASH_JOB": f"{job}:{fence}",
        "JOBDASH_LOG_FILE": str(log),
        "JOBDASH_DATABASE": written(store),
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
    owner: Owner | None, *, host: str = "", grace_s: float = GRACE_S, stop: CancelToken | None = None
) -> str:
    """End the process of a job that was taken from it; return what happened, in words.

    It has ``grace_s`` seconds to end by itself, as long again after SIGTERM, and is then killed. When
    ``stop`` is set, the wait ends and no signal is sent any more. ``host`` is where it was started.

    Linux only: a pidfd refers to one process for ever, and before a signal is sent its start time is compared
    with the owner's.
    """
    reason = "its process is not known" if owner is None else cannot_stop(owner, host)
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
