"""What tests of local jobs share: a worker's side of the store without a worker, and processes to stop."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shared.deadlines import within

from jobdash.operations.person import current_actor
from jobdash.store.bootstrap import open_for_worker
from jobdash.store.leases.claims import Claim, ClaimRequest, claim
from jobdash.store.leases.lease import ItemWrite
from jobdash.store.owner import Owner, current_owner, start_time

LIVE = 3_600_000
LAPSED = -1_000
"""A lease that has run out when it is given."""
ELSEWHERE = Owner("another machine", "another boot", 1, 4711, 99)


@dataclass(frozen=True)
class Run:
    """One attempt of a script's job."""

    claimed: Claim

    @property
    def id(self) -> int:
        return self.claimed.job_id

    def did(self, *outcomes: str, first: int = 0) -> str:
        """Write items ``key 0``, ``key 1``, … with these outcomes; return the job's status."""
        return self.claimed.lease.write_items(
            [
                ItemWrite(f"key {number}", word, '"12 KB"', *(_WRONG if word == "error" else ()))
                for number, word in enumerate(outcomes, first)
            ]
        )

    def expects(self, count: int) -> None:
        """Let ``key 0`` … stand as unprocessed."""
        self.claimed.lease.expect([f"key {number}" for number in range(count)])

    def ends(self, word: str = "completed", error: str | None = None) -> None:
        self.claimed.lease.finish(word, f"{word} by the test", error)


_WRONG = ("ValueError", "no such colour")


def begin(
    path: Path,
    name: str = "resize",
    *,
    keyed: bool = True,
    lease_ms: int = LIVE,
    owner: Owner | None = None,
    total: int | None = None,
    argv: Sequence[str] | None = None,
    cwd: Path | None = None,
    **more: Any,
) -> Run:
    """Claim a job of that name, as a script does."""
    wanted = ClaimRequest(
        name,
        owner or current_owner(),
        current_actor("script").name,
        keyed,
        lease_ms,
        total,
        argv=None if argv is None else tuple(argv),
        cwd=None if cwd is None else str(cwd),
        **{"resume": "always", **more},
    )
    return Run(claim(open_for_worker(path), wanted))


def owner_of(pid: int) -> Owner:
    """The owner that a process of this machine is."""
    started = start_time(pid)
    assert started is not None
    return replace(current_owner(), pid=pid, started=started)


READY = "print('ready', flush=True)"
SLEEP = f"import signal; {READY}; signal.pause()"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}\nwhile True: signal.pause()"


@contextmanager
def process(code: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process that has said it is ready."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert within(child.stdout.readline) == "ready\n"
            yield child
        finally:
            child.kill()


ROOT = Path(__file__).parents[2]
TAKES_UP = """
import os, sys, jobdash
print(os.environ["JOBDASH_JOB"], os.getcwd(), sys.stdin.read(), flush=True)
with jobdash.track([1], name="resize", key=str) as job:
    for item in job:
        with item:
            pass
"""
"""A script that takes its job up and does it."""
