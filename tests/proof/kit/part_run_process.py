"""Gives birth to workers that do what is due of one job, part by part, and report what became of each.

They run `run_part` as a worker does; what an engine delivers is asked of the store, as a worker does, too.
"""

from __future__ import annotations

import os
import threading
from contextlib import closing
from dataclasses import dataclass

from jobdash.store.bootstrap import open_for_worker
from jobdash.store.leases.parts import due, expire_leases_of_dead
from jobdash.store.location import read_location
from jobdash.worker import settings
from jobdash.worker.functions import load_functions
from jobdash.worker.part_run import run_part
from kit.crash import arm
from kit.fork_loop import next_birth
from kit.script import become
from kit.tasks import Task

MODULE = "kit.part_functions"
FUNCTION = f"{MODULE}:effect"


@dataclass(frozen=True)
class PartWorker:
    """What the worker is about."""

    did: str
    """The file with the side effects."""
    public_id: str
    item_s: float = 0
    crash: str = ""
    """Where it kills or stops itself."""
    signal: int = 0
    deadly: int | None = None
    """The item that ends its process."""
    parts: int | None = None
    """Ends behind so many parts; None: when nothing is due."""


def main() -> None:
    load_functions([MODULE])
    task = next_birth()
    if task is not None:
        become(task)
        _run(PartWorker(**task.script), task)


def _run(worker: PartWorker, task: Task) -> None:
    os.environ["DID"], os.environ["ITEM_S"] = worker.did, str(worker.item_s)
    os.environ["DEADLY"] = str(worker.deadly)
    location = read_location(task.env["JOBDASH_DATABASE"])
    known, draining = load_functions([MODULE]), threading.Event()
    if worker.crash:
        arm(worker.crash, worker.signal)
    with closing(open_for_worker(location)) as connection:
        done = 0
        while done != worker.parts:
            expire_leases_of_dead(connection)
            keys = [key for key in due(connection, [FUNCTION], 1_000) if key.public_id == worker.public_id]
            if not keys:
                return
            report = run_part(str(keys[0]), known, location, settings.lease_ms(), draining)
            print(f"{report.end}: {report.words}", flush=True)
            done += 1


if __name__ == "__main__":
    main()
