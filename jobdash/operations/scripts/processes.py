"""The processes behind scripts' jobs: which run here, their output, starting again, stopping."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from jobdash.domain.items import ENDED, Attempt, ScriptProcess
from jobdash.domain.job import JobRow
from jobdash.domain.text import clean
from jobdash.operations.job_lookup import Browser
from jobdash.operations.person import current_host, current_person
from jobdash.store.owner import Owner

ELSEWHERE = "it runs on another machine"
LOGS = "logs"
"""The folder beside the store in which the output of scripts lies that were started from here."""
MOST_CHECKED = 500
"""The most scripts of one plan that are checked; a dialog has no room for more."""


def log_file(database: Path, public_id: str, attempt: int) -> Path:
    """Return where the output of an attempt goes that is started from here; it need not be there."""
    return database.absolute().parent / LOGS / f"{public_id}-{attempt}.log"


def workers(browser: Browser, ids: Sequence[int], *, starting: bool) -> dict[int, ScriptProcess]:
    """Return, by id of a job, what is known here of its script.

    Whether they can be started again is checked only for ``starting``: their folders may lie on a disk that
    hangs.
    """
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
    owner: str | None,
    attempt: Attempt | None,
    also: Iterable[str] = (),
    *,
    starting: bool = True,
    host: str = "",
) -> ScriptProcess:
    """Return what is known here of one script, from its job's owner (the last one) and its last attempt.

    ``also`` are the names of other jobs that the same process runs, ``host`` is where it was run, if there is
    no attempt that says so.
    """
    decoded = Owner.read(owner)
    host = host if attempt is None else attempt.host
    reason = "its process is not known" if decoded is None else cannot_stop(decoded, host)
    cannot_start: str | None = "its command line is not known"
    if attempt is not None and starting:
        cannot_start = why_not_startable(attempt)
    return ScriptProcess(
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


def cannot_stop(owner: Owner, host: str = "") -> str | None:
    """Return why a process of a host cannot be ended for real; None when it runs here and can be."""
    if not owner.here():
        return f"it runs on {clean(host, 80)}" if host and host != current_host() else ELSEWHERE
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
        known = attempt.host and attempt.host != current_host()
        return f"it ran on {clean(attempt.host, 80) if known else 'another machine'}"
    if attempt.actor != current_person():
        return f"it was run by {attempt.actor}"
    if not Path(attempt.cwd).is_dir():
        return f"its folder {attempt.cwd} is not there any more"
    program = attempt.argv[0]
    found = Path(attempt.cwd, program).is_file() if os.sep in program else shutil.which(program) is not None
    return None if found else f"{program} is not there any more"


def log_here(attempt: Attempt) -> str | None:
    """Return the log file of an attempt; None where it has none, or that is on another machine."""
    ran = Owner.read(attempt.owner)
    return attempt.log_file if ran is not None and ran.same_machine() else None


def log_place(attempt: Attempt) -> str:
    """Return where the log file of an attempt is, for people; empty without one."""
    if not attempt.log_file or log_here(attempt) is not None:
        return attempt.log_file or ""
    return f"on {attempt.host or 'another machine'}: {attempt.log_file}"


def start_failure(browser: Browser, row: JobRow) -> str:
    """Return why the last start of the script that a job waits for failed; mostly empty."""
    newest = browser.events(row.id, limit=1) if row.waits_for_script else []
    return newest[0].detail if newest and (newest[0].action, newest[0].result) == ("start", "failed") else ""


LINES = 200
_BYTES = 64 * 1024


def tail(file: str) -> list[str]:
    """Return the last lines of a log file, as written; raises OSError when it cannot be read.

    Of a line that was written over, as a progress bar is, the last state is returned.
    """
    path = Path(file)
    # Opening a pipe would wait for a writer.
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(f"{file} is not a file")
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
