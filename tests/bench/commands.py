"""Whole commands against the smallest Python program."""

from __future__ import annotations

import subprocess
import time
from collections import defaultdict
from pathlib import Path

from tests.bench.report import Finding, ms, ratio
from tests.bench.screen import bare
from tests.bench.stores import MANY, store
from tests.bench.terminal import clean_environment, python

ROUNDS = 15


def commands(folder: Path) -> list[Finding]:
    """``--version``, and the first 50 of a million jobs as JSON."""
    many = store(folder, MANY)
    programs = {
        "pass": python("-c", "pass"),
        "version": python("-m", "jobdash", "--version"),
        "list": python("-m", "jobdash", "--db", str(many), "list", "--json", "--limit", "50"),
    }
    times: dict[str, list[float]] = defaultdict(list)
    for turn in range(ROUNDS + 1):
        for name, command in programs.items():
            begun = time.perf_counter()
            subprocess.run(command, env=clean_environment(bare()), check=True, capture_output=True)
            if turn:
                times[name].append(time.perf_counter() - begun)
    floor = times["pass"]
    return [
        Finding("jobdash --version", "python -c pass", "≤ 2", f"{ratio(times['version'], floor):.2f}"),
        Finding(
            "list --json --limit 50, 1,000,000 jobs",
            "python -c pass",
            "≤ 8",
            f"{ratio(times['list'], floor):.2f} ({ms(times['list'])})",
        ),
    ]
