"""The demo of many machines: PostgreSQL, a job, and two workers, all gone behind it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from jobdash.demo import machines

DEADLINE_S = 90.0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL], ids=lambda n: n.name)
def test_two_workers_are_at_a_job_and_nothing_stays_behind(tmp_path: Path, number: signal.Signals) -> None:
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
        folder = Path(re.findall(r"host=([^&]+)", url)[0])
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / ".s.PGSQL.5432").stat().st_mode) == 0o700
        assert folder.owner() == ("nobody" if os.geteuid() == 0 else Path.home().owner())
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
        started = _children(process.pid)
        assert len(started) >= 3
        process.send_signal(number)
        assert process.wait(60) == (-number if number == signal.SIGKILL else 0)
    finally:
        if process.poll() is None:
            process.kill()
    while any(Path(f"/proc/{pid}").exists() for pid in started):
        assert time.monotonic() < until
        time.sleep(0.05)
    if number == signal.SIGKILL:
        shutil.rmtree(folder)
    assert not folder.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)


def _children(pid: int) -> list[str]:
    """The process ids of the children of a process; none where there is no /proc."""
    return [
        each for file in Path(f"/proc/{pid}/task").glob("*/children") for each in file.read_text().split()
    ]


@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["--items", "7"], 2)])
def test_arguments_are_read_before_anything_is_started(
    words: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        machines.main(words)
    told = capsys.readouterr()
    assert (ended.value.code, "python -m jobdash.demo.machines" in told.out + told.err) == (code, True)
