"""Many machines, tried on one: ``python -m jobdash.demo.machines``.

Starts PostgreSQL in a temporary folder with a store in it, submits a job of a function, and runs two workers
at it, each as another machine would, until Ctrl-C. It prints how to open the dashboard over the same store.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import jobdash
from jobdash.demo import postgres_server
from jobdash.demo.parent_death import signal_at_parents_death
from jobdash.errors import JobdashError

WORKERS = 2
_ITEMS = 400
_ENDS_WITHIN_S = 20.0
_MODULE = "jobdash.demo.machines"
_HANG_UP = [signal.SIGHUP] if sys.platform != "win32" else []


@jobdash.job("thumbnails", key=lambda item: item["path"])
def thumbnail(item: dict[str, object], token: jobdash.Token) -> dict[str, object]:
    """Pretend to make a thumbnail of a picture; some pictures are damaged."""
    chance = random.Random(str(item["path"]))  # noqa: S311 - nothing secret
    time.sleep(chance.uniform(0.2, 1.0))
    token.raise_if_cancelled()
    if chance.random() < 0.03:
        raise ValueError("no such colour: heliotrope")
    return {"width": 256, "bytes": chance.randrange(4_000, 60_000)}


def main(words: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C, SIGTERM or the end of the terminal; return the exit code."""
    argparse.ArgumentParser(
        prog="python -m jobdash.demo.machines",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args(words)
    ended: SimpleQueue[None] = SimpleQueue()  # unlike an event, it may be put into by the code it interrupts
    for number in (signal.SIGINT, signal.SIGTERM, *_HANG_UP):
        signal.signal(number, lambda *_: ended.put(None))
    with tempfile.TemporaryDirectory(prefix="jobdash-machines-") as folder:
        place = Path(folder)
        try:
            server = postgres_server.start(place)
        except JobdashError as error:
            sys.stderr.write(f"{error}\n")
            return 5
        try:
            _run(server, ended)
        finally:
            server.stop()
    return 0


def _run(server: postgres_server.PostgresServer, ended: SimpleQueue[None]) -> None:
    server.run("CREATE DATABASE jobs")
    url = server.url("jobs")
    environment = os.environ | {"JOBDASH_DATABASE": url}
    command = [sys.executable, "-m", "jobdash"]
    subprocess.run([*command, "store", "init"], env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    function = importlib.import_module(_MODULE).thumbnail  # under the name that workers import it by
    paths = [{"path": f"pictures/{number:03}.png"} for number in range(_ITEMS)]
    sent = jobdash.submit(function, paths, tags={"demo": "machines"}, db=url)
    sys.stdout.write(
        f"PostgreSQL runs, job {sent.id} waits in it, {WORKERS} workers start. In another terminal:\n\n"
        f"  JOBDASH_DATABASE='{url}' {sys.executable} -m jobdash\n\nCtrl-C ends all of it.\n"
    )
    sys.stdout.flush()
    workers = [
        subprocess.Popen(  # noqa: S603
            [*command, "worker", _MODULE],
            env=environment,
            start_new_session=True,
            preexec_fn=partial(signal_at_parents_death, signal.SIGKILL, os.getpid()),  # noqa: PLW1509
        )
        for _ in range(WORKERS)
    ]
    try:
        ended.get()
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            try:
                worker.wait(_ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                worker.kill()


if __name__ == "__main__":
    sys.exit(main())
