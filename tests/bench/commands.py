"""Whole commands against the smallest Python program."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections import defaultdict
from pathlib import Path

from tests.bench.report import Finding, ms, ratio
from tests.bench.screen import bare
from tests.bench.stores import MANY, store
from tests.bench.terminal import clean_environment, python

ROUNDS = 15
ACCOUNTS = {
    "OPENAI_API_KEY": "sk-of-a-benchmark",
    "GEMINI_API_KEY": "of-a-benchmark",
    "ANTHROPIC_API_KEY": "sk-ant-of-a-benchmark",
    "MISTRAL_API_KEY": "of-a-benchmark",
}


def commands(folder: Path) -> list[Finding]:
    """``--version``, and the first 50 of a million jobs as JSON."""
    many = store(folder, MANY)
    programs = {
        "pass": python("-c", "pass"),
        "version": python("-m", "jobdash", "--version"),
        "list": python("-m", "jobdash", "--db", str(many), "list", "--json", "--limit", "50"),
    }
    programs["accounts"] = programs["list"]
    times: dict[str, list[float]] = defaultdict(list)
    for turn in range(ROUNDS + 1):
        for name, command in programs.items():
            begun = time.perf_counter()
            env = clean_environment(bare() | (ACCOUNTS if name == "accounts" else {}))
            subprocess.run(command, env=env, check=True, capture_output=True)
            if turn:
                times[name].append(time.perf_counter() - begun)
    floor = times["pass"]
    each = (statistics.median(times["accounts"]) - statistics.median(times["list"])) / len(ACCOUNTS)
    return [
        Finding("jobdash --version", "python -c pass", "≤ 2", f"{ratio(times['version'], floor):.2f}"),
        Finding(
            "list --json --limit 50, 1,000,000 jobs",
            "python -c pass",
            "≤ 8",
            f"{ratio(times['list'], floor):.2f} ({ms(times['list'])})",
        ),
        Finding("the same with an account more", "without", "≤ 3 ms", f"{each * 1000:+.1f} ms"),
    ]
