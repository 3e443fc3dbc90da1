"""The demo of many machines: PostgreSQL, a job, and two workers, all gone behind it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

DEADLINE_S = 90.0


@pytest.mark.slow
def test_two_workers_are_at_a_job_and_nothing_stays_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "TMPDIR": "/tmp"}
    process = subprocess.Popen(
        [sys.executable, "-m", "jobdash.demo.machines"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        printed, until = "", time.monotonic() + DEADLINE_S
        for line in process.stdout:
            printed += line
            if "Ctrl-C ends" in line:
                break
        url = re.findall(r"postgresql://[^']+", printed)[0]
        owners: set[str] = set()
        with closing(psycopg.connect(url, autocommit=True)) as connection:
            while len(owners) < 2:
                assert time.monotonic() < until
                owners |= {
                    owner
                    for (owner,) in connection.execute(
                        "SELECT DISTINCT owner FROM jobdash.part WHERE owner IS NOT NULL"
                    )
                }
                time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.kill()
    folder = Path(re.findall(r"host=([^&]+)", url)[0])
    assert not folder.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)
