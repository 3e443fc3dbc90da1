"""Gives birth to ordinary scripts of a user, which write one line into a file for each item they have done.

It has imported `jobdash.track` and nothing else, so that a run costs a fork.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import jobdash
from kit.crash import arm
from kit.fork_loop import next_birth
from kit.tasks import Task


@dataclass(frozen=True)
class Script:
    """What the script is about."""

    name: str
    items: int
    did: str
    """The file with the side effects."""
    item_s: float = 0
    fails: int = 0
    """Every so manieth item fails, always."""
    keyed: bool = True
    flush_s: float | None = None
    workers: int = 1
    """More than one: it works in threads."""
    crash: str = ""
    """Where it kills or stops itself."""
    signal: int = 0


def main() -> None:
    """Outside everything: a script ends as any does, by itself or by what it raises."""
    assert jobdash.track
    task = next_birth()
    if task is not None:
        become(task)
        _run(Script(**task.script))


def become(task: Task) -> None:
    """Become a process that has nothing of the fork_server's but what is imported."""
    os.environ.clear()
    os.environ.update(task.env)
    for number, name in ((0, os.devnull), (1, "stdout"), (2, "stderr")):
        path = Path(task.output) / name
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)


def _run(script: Script) -> None:
    if script.crash:
        arm(script.crash, script.signal)
    did = os.open(script.did, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    if not script.keyed:
        for number in jobdash.track(range(script.items), script.name):
            _work(script, did, number)
        return
    with jobdash.track(
        range(script.items), script.name, key=str, on_error="record", flush_interval=script.flush_s
    ) as job:
        if script.workers > 1:
            job.map(lambda number: _work(script, did, number), workers=script.workers)
        else:
            for item in job:
                with item:
                    _work(script, did, item.value)
                    item.detail = "done"
    if job.status == "cancelled":
        sys.exit(130)


def _work(script: Script, did: int, number: int) -> None:
    if script.item_s:
        threading.Event().wait(script.item_s)
    if script.fails and number % script.fails == 0:
        raise ValueError(f"no such colour: {number}")
    os.write(did, f"{number}\n".encode())


if __name__ == "__main__":
    main()
