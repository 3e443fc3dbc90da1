"""A store in PostgreSQL beside the same store in SQLite, and job functions on two workers."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg

from jobdash.demo.postgres_server import PostgresServer
from jobdash.domain.filter.language import parse
from jobdash.operations.job_lookup import Browser, Scope, Sort
from jobdash.store import server_store
from jobdash.store.bootstrap import open_for_worker
from jobdash.store.copying import copy_store
from jobdash.store.dialects.postgres_sql import native_sql
from jobdash.store.leases.claims import ClaimRequest, claim
from jobdash.store.leases.item_packet import WRITE_ITEMS, item_values
from jobdash.store.leases.lease import ItemWrite
from jobdash.store.location import PostgresLocation, StoreLocation
from jobdash.store.owner import current_owner
from jobdash.worker.functions import load_functions, submit_to
from tests import postgres_kit
from tests.bench.report import Finding, ms
from tests.bench.screen import CHROME, DOWN, END, HOME, PAGE_DOWN, bare, first_name
from tests.bench.stores import FEW, MANY, store
from tests.bench.terminal import Terminal, clean_environment, python

ROUNDS, ASKED = 7, 21
FIRST_ASKED = 8
"""Reads that are not measured: PostgreSQL plans a statement anew at its first seven times."""
WATCHED_S = 10.0
STARTS_FOR_S = 65.0
"""In its first minute DBOS looks for schedules once a second, behind it twice a minute."""
ITEMS, ITEM_MS, HOSTS, LANES = 400, 50, 2, 4
COMMITS = {1: 600, 10: 200, 100: 60}
"""How many commits are measured, by their items."""
_JOB = {1: "one", 10: "ten", 100: "hundred"}


@contextlib.contextmanager
def _server() -> Iterator[PostgresServer]:
    """A server with its disk switched on, as a person's has it."""
    with tempfile.TemporaryDirectory(prefix="jobdash-pg-bench-") as folder:
        disk = {"fsync": "on", "synchronous_commit": "on"}
        running = postgres_kit.start(Path(folder), **disk, shared_buffers="256MB")
        try:
            yield running
        finally:
            running.stop()


def _copied(running: PostgresServer, path: Path) -> PostgresLocation:
    name = f"jobs{path.stem}"
    running.run(f"CREATE DATABASE {name}")
    location = PostgresLocation(running.url(name))
    server_store.create(location)
    copy_store(path, location)
    with psycopg.connect(running.url(name), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return location


def server_reads(folder: Path) -> list[Finding]:
    """Reads of the faces among a million jobs, each beside the same read in SQLite."""
    path = store(folder, MANY)
    with _server() as running:
        location = _copied(running, path)
        with closing(Browser(path)) as file, closing(Browser(location)) as server:
            half = file.key_of(file.page_at(Scope(), Sort(), MANY // 2, MANY, 1)[0], Sort())
            words = parse("eval-29")
            reads: dict[str, tuple[str, Callable[[Browser], object]]] = {
                "a page behind a key, 1,000,000 jobs": ("≤ 2", lambda b: b.page(Scope(), Sort(), half, 60)),
                "counts": ("≤ 6", lambda b: b.counts()),
                "free text": ("≤ 2.5", lambda b: b.search(Scope(conditions=words), Sort(), 10_000)),
            }
            found = [_beside(what, wanted, read, file, server) for what, (wanted, read) in reads.items()]
            look = _times(server.revision, ASKED * 10)
        return [*found, Finding("a look for changes", "–", "≤ 1 ms", ms(look))]


def _beside(
    what: str, wanted: str, read: Callable[[Browser], object], file: Browser, server: Browser
) -> Finding:
    floor: list[float] = []
    ours: list[float] = []
    for turn in range(FIRST_ASKED + ASKED):
        for browser, times in ((file, floor), (server, ours)):
            (took,) = _times(lambda browser=browser: read(browser), 1)  # type: ignore[misc]
            if turn >= FIRST_ASKED:
                times.append(took)
    return Finding(
        what, "SQLite", wanted, f"{statistics.median(ours) / statistics.median(floor):.2f} ({ms(ours)})"
    )


def _times(read: Callable[[], object], number: int) -> list[float]:
    times = []
    for _ in range(number):
        begun = time.perf_counter()
        read()
        times.append(time.perf_counter() - begun)
    return times


def server_items(folder: Path) -> list[Finding]:
    """Items committed behind a fence, against a bare loop of the same statement."""
    del folder
    rates: dict[int, dict[str, list[float]]] = {number: defaultdict(list) for number in COMMITS}
    with _server() as running:
        running.run("CREATE DATABASE items")
        location = PostgresLocation(running.url("items"))
        server_store.create(location)
        for turn in range(ROUNDS):
            for number, commits in COMMITS.items():
                rates[number]["ours"].append(_our_items(location, f"{turn}", number, commits))
                rates[number]["bare"].append(_bare_items(location, f"bare {turn}", number, commits))
    return [
        Finding(
            f"fenced commits of {_JOB[number]} items",
            "bare psycopg loop",
            "≥ 0.7",
            f"{statistics.median(a / b for a, b in zip(found['ours'], found['bare'], strict=True)):.2f}"
            f" ({number * statistics.median(found['ours']):,.0f} items/s)",
        )
        for number, found in rates.items()
    ]


def _batches(number: int, commits: int) -> list[list[ItemWrite]]:
    return [
        [ItemWrite(f"file-{commit * number + n}", "ok", '"x"') for n in range(number)]
        for commit in range(commits)
    ]


def _our_items(location: StoreLocation, name: str, number: int, commits: int) -> float:
    """Return commits a second."""
    with closing(open_for_worker(location)) as connection:
        request = ClaimRequest(f"{name} {number}", current_owner(), "ann@desk", True, 30_000, resume="never")
        lease = claim(connection, request).lease
        begun = time.perf_counter()
        for batch in _batches(number, commits):
            lease.write_items(batch)
        return commits / (time.perf_counter() - begun)


def _bare_items(location: PostgresLocation, name: str, number: int, commits: int) -> float:
    with closing(open_for_worker(location)) as connection:
        request = ClaimRequest(f"{name} {number}", current_owner(), "ann@desk", True, 30_000, resume="never")
        job = claim(connection, request)
    statement = native_sql(WRITE_ITEMS)
    path = f"-c search_path={location.schema}"
    with psycopg.connect(location.url, autocommit=True, options=path) as raw:
        values = {"job": job.job_id, "fence": job.fence, "lease": 30_000, "attempt": 1}
        begun = time.perf_counter()
        for batch in _batches(number, commits):
            with raw.pipeline():
                raw.execute("BEGIN")
                raw.execute("SELECT 1 FROM job WHERE id = %s FOR NO KEY UPDATE", (job.job_id,))
                raw.execute(statement, {**values, **item_values(batch)})
                raw.execute("COMMIT")
        return commits / (time.perf_counter() - begun)


def server_screen(folder: Path) -> list[Finding]:
    """The dashboard over loopback, beside one over the same jobs in a file; and what both ask for at rest."""
    path = store(folder, FEW)
    with _server() as running:
        location = _copied(running, path)
        texts = (first_name(path), *CHROME)
        commands = {
            "file": python("-m", "jobdash", "--db", str(path)),
            "server": python("-m", "jobdash", "--db", str(location.url)),
        }
        first: dict[str, list[float]] = defaultdict(list)
        for turn in range(ROUNDS + 1):
            for name, command in commands.items():
                with Terminal(command, bare()) as terminal:
                    took = terminal.until(*texts)
                    if turn:
                        first[name].append(took)
        findings = [_compared("first screen over loopback", first)]
        with contextlib.ExitStack() as stack:
            terminals = {name: stack.enter_context(Terminal(c, bare())) for name, c in commands.items()}
            for terminal in terminals.values():
                terminal.until(*texts)
                terminal.settle(2.0)
            for what, keys in {
                "cursor-down": (DOWN,),
                "PageDown": (PAGE_DOWN, HOME),
                "End": (END, HOME),
            }.items():
                pressed: dict[str, list[float]] = defaultdict(list)
                for _ in range(14):
                    for name, terminal in terminals.items():
                        pressed[name].append(terminal.press(keys[0])[0])
                        for back in keys[1:]:
                            terminal.press(back)
                findings.append(_compared(f"{what} over loopback", pressed))
            terminals["server"].settle(2.0)
            before = _transactions(running)
            terminals["server"].idle(WATCHED_S)
            asked = (_transactions(running) - before) / WATCHED_S
    return [*findings, Finding("queries of an idle dashboard", "–", "≤ 5/s", f"{asked:.1f}/s")]


def _compared(what: str, times: dict[str, list[float]]) -> Finding:
    got = statistics.median(times["server"]) / statistics.median(times["file"])
    return Finding(what, "SQLite", "≤ 1.5", f"{got:.2f} ({ms(times['server'])})")


def _transactions(running: PostgresServer) -> int:
    """Return the transactions of all databases so far, those of this question left out as well as can be."""
    with psycopg.connect(running.url(), autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        row = connection.execute(
            "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database WHERE datname <> 'postgres'"
        ).fetchone()
    assert row is not None
    return int(row[0])


_MODULE = f"""
import time, jobdash

@jobdash.job
def napping(number):
    time.sleep({ITEM_MS / 1000})
"""


def workers(folder: Path) -> list[Finding]:
    """Four hundred items of 50 ms on two workers of four lanes; and what a worker asks for at rest."""
    del folder
    with _server() as running, tempfile.TemporaryDirectory() as place:
        running.run("CREATE DATABASE work")
        location = PostgresLocation(running.url("work"))
        server_store.create(location)
        (Path(place) / "napping.py").write_text(_MODULE)
        sys.path.insert(0, place)
        function = load_functions(["napping"])["napping:napping"]
        environment = clean_environment(
            {
                "JOBDASH_DATABASE": location.url,
                "HOME": place,
                "PYTHONPATH": os.pathsep.join([place, str(Path.cwd())]),
            }
        )
        command = python("-m", "jobdash", "worker", "napping", "--concurrency", str(LANES))
        hosts = [
            subprocess.Popen(command, env=environment, cwd=place, stderr=subprocess.DEVNULL)
            for _ in range(HOSTS)
        ]
        started = time.monotonic()
        took: list[float] = []
        try:
            for turn in range(4):
                sent = submit_to(function, range(ITEMS), parts=HOSTS * LANES, location=location)
                begun = time.perf_counter()
                sent.wait(120)
                if turn:  # at first the workers still start
                    took.append(time.perf_counter() - begun)
            left = hosts.pop()
            left.terminate()
            left.wait(60)
            time.sleep(max(0.0, started + STARTS_FOR_S - time.monotonic()))
            before = _transactions(running)
            time.sleep(WATCHED_S)
            asked = (_transactions(running) - before) / WATCHED_S
        finally:
            for host in hosts:
                host.kill()
    ideal = ITEMS * ITEM_MS / 1000 / (HOSTS * LANES)
    return [
        Finding(
            f"{ITEMS} items of {ITEM_MS} ms, {HOSTS} workers × {LANES}",
            f"the ideal {ideal:.1f} s",
            "≤ 1.6",
            f"{statistics.median(took) / ideal:.2f} ({statistics.median(took):.1f} s)",
        ),
        Finding("transactions of an idle worker", "–", "≤ 10/s", f"{asked:.1f}/s"),
    ]
