"""``python -m tests.bench [first_screen keys …]``: runs benchmarks and prints what they found."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench.commands import commands
from tests.bench.fetching import items_page, large_fetch, small_fetches
from tests.bench.filtering import filtering
from tests.bench.live import idle, storm
from tests.bench.local import cancelled, commits, items_memory, job_screen, starts, turns
from tests.bench.memory import memory, polls
from tests.bench.network import cancels, syncs
from tests.bench.report import Finding, show
from tests.bench.results import checks, joins, result_index
from tests.bench.screen import drawing, first_screen, keys
from tests.bench.server import server_items, server_reads, server_screen, workers

BENCHMARKS: dict[str, Callable[[Path], list[Finding]]] = {
    "first_screen": first_screen,
    "keys": keys,
    "drawing": drawing,
    "idle": idle,
    "storm": storm,
    "filtering": filtering,
    "memory": memory,
    "polls": polls,
    "commands": commands,
    "cancels": cancels,
    "syncs": syncs,
    "commits": commits,
    "turns": turns,
    "items_memory": items_memory,
    "cancelled": cancelled,
    "starts": starts,
    "job_screen": job_screen,
    "checks": checks,
    "joins": joins,
    "result_index": result_index,
    "large_fetch": large_fetch,
    "small_fetches": small_fetches,
    "items_page": items_page,
    "server_reads": server_reads,
    "server_items": server_items,
    "server_screen": server_screen,
    "workers": workers,
}


def main(names: list[str]) -> None:
    """Run the benchmarks named, or all. The stores are kept: a million jobs take a while."""
    if unknown := [name for name in names if name not in BENCHMARKS]:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    folder = Path(tempfile.gettempdir()) / "jobdash-bench"
    folder.mkdir(exist_ok=True)
    for name in names or list(BENCHMARKS):
        print(f"\n{name}")
        show(BENCHMARKS[name](folder))


if __name__ == "__main__":
    main(sys.argv[1:])
