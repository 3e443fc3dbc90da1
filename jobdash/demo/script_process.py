"""A script of the demo's person, in a process of its own: ``-m jobdash.demo.script_process NAME FOLDER PID``.

It ends with the demo, whose process PID is: nothing of a demo is left running.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jobdash
from jobdash.demo.parent_death import signal_at_parents_death

WORKERS = "workers"
"""The folder in the demo's own in which each of its scripts records its process id."""
_POLL_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class DemoScript:
    """What one of the scripts does, item by item."""

    unit: str
    keys: tuple[str, ...]
    seconds: float
    """Time an item takes."""
    fails_at: int = 0
    """Every so manieth item fails, in the first attempt; 0: none."""
    stops_at: int | None = None
    """The item at which the process stops as by SIGSTOP, in the first attempt."""
    lease: str = "30s"


_PHOTOS = tuple(
    f"photos/2026/{month:02}/img_{number:04}.jpg" for month in range(1, 9) for number in range(50)
)
_ROWS = tuple(f"order {number:05}" for number in range(20_400, 20_490))
_TAPES = tuple(f"interviews/tape_{number:03}.wav" for number in range(1, 41))
SCRIPTS = {
    "thumbnails": DemoScript("files", _PHOTOS, 0.5),
    "import-orders": DemoScript("rows", _ROWS, 0.35, fails_at=6),
    "transcribe-tapes": DemoScript("recordings", _TAPES, 0.4, stops_at=7, lease="2s"),
}
"""One that moves, one with failing items, one that stalls."""


def work_off(name: str, script: DemoScript) -> None:
    """Do what the script does."""
    again = "JOBDASH_JOB" in os.environ
    with jobdash.track(
        script.keys, name, key=str, on_error="record", unit=script.unit, tags={"kind": "demo"}
    ) as job:
        for item in job:
            number = script.keys.index(item.value) + 1
            with item:
                if number == script.stops_at and not again:
                    os.kill(os.getpid(), signal.SIGSTOP)
                time.sleep(script.seconds)
                if script.fails_at and number % script.fails_at == 0 and (not again or number % 4 == 0):
                    fail(number)
                item.detail = f"{(number * 37) % 90 + 8} KB"
                print(f"{item.key}: {item.detail}", flush=True)  # noqa: T201 - the script's own output


def fail(number: int) -> None:
    """Fail as scripts do."""
    if number % 4:
        raise ValueError("no price in column 7")
    raise TimeoutError("the shop did not answer within 10 s")


def end_with(pid: int) -> None:
    """End this process when the process ``pid`` has ended, also while this one is stopped (Linux)."""
    # The kernel means the thread that started it, which lasts as long as the demo only for the first start.
    if os.getppid() == pid and "JOBDASH_JOB" not in os.environ:
        signal_at_parents_death(signal.SIGKILL, pid)
    threading.Thread(target=_watch, args=(pid,), name="watch", daemon=True).start()


def _watch(pid: int) -> None:
    while True:
        try:
            os.kill(pid, 0)
        except OSError:  # it has ended, or another process has the number by now
            os._exit(0)
        time.sleep(_POLL_EVERY_S)


def main(arguments: Sequence[str]) -> None:
    """Run one of the scripts of a demo."""
    name, folder, pid = arguments[0], Path(arguments[1]), int(arguments[2])
    script = SCRIPTS[name]
    end_with(pid)
    (folder / WORKERS / str(os.getpid())).touch()
    # No settings of the person at the terminal count here.
    os.environ["JOBDASH_CONFIG"] = str(folder / WORKERS / "config.toml")
    os.environ["JOBDASH_DATABASE"] = str(folder / "demo.db")
    os.environ["JOBDASH_LEASE"] = script.lease
    work_off(name, script)


if __name__ == "__main__":
    main(sys.argv[1:])
