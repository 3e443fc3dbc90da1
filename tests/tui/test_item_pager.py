"""``o`` on a fetched result: the terminal is handed to the person's pager, and taken back."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_terminal import ROOT, terminal
from tui_kit import machine_env

from jobdash.demo.emulator import OPENAI_KEY, BatchPlan, BatchScript, Emulator, EmulatorServer, Timing

PAGER = "import sys; print(open(sys.argv[1]).read().splitlines()[1]); input('PAGER WAITS')"


@pytest.mark.slow
def test_the_pager_shows_the_answer_and_the_dashboard_comes_back(
    emulator: Emulator, server: EmulatorServer, tmp_path: Path
) -> None:
    plan = BatchPlan(timing=Timing(validating=0, running=10, finalizing=0))
    emulator.openai.add_batch(BatchScript(name="nightly", total=3, created_at=time.time() - 60, plan=plan))
    (tmp_path / "config.toml").touch()
    env = {
        "HOME": str(tmp_path),
        "JOBDASH_DATABASE": str(tmp_path / "data" / "jobs.db"),
        "JOBDASH_CONFIG": str(tmp_path / "config.toml"),
        "OPENAI_API_KEY": OPENAI_KEY,
        "OPENAI_BASE_URL": server.openai_base_url,
        "PAGER": f'{sys.executable} "{tmp_path / "pager.py"}"',
    }
    (tmp_path / "pager.py").write_text(PAGER)
    for arguments in (["sync"], ["fetch", "-f", "nightly", "--out", str(tmp_path)]):
        subprocess.run(
            [sys.executable, "-m", "jobdash", *arguments],
            env=machine_env(**{"PYTHONPATH": str(ROOT), **env}),
            check=True,
            capture_output=True,
            timeout=60,
        )
    with terminal(["-m", "jobdash"], env) as running:
        running.shows("nightly", "fetched: 3 ok")
        running.send("\r")
        running.shows("all 3", "request-1")
        running.send("\r")
        running.shows("Request", "Answer", '"outcome": "ok"')
        running.send("o")
        running.shows("PAGER WAITS", '"key": "request-1"')
        running.send("\r")
        running.shows("Request", "Answer", "esc Close")
