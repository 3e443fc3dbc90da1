"""Local jobs: what an item, a loop turn, a start and a cancel cost a user's own script."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import jobdash
from jobdash.domain.time import system_clock
from jobdash.store.bootstrap import ensure_store, open_for_worker
from jobdash.store.owner import current_owner
from jobdash.store.records import ActionRequest, Actor
from jobdash.store.writer import Writer
from tests.bench.report import Finding, ms, ratio
from tests.bench.screen import CHROME, DOWN, END, HOME, PAGE_DOWN, bare, dashboard
from tests.bench.terminal import QUIET_S, Terminal, clean_environment, python

ROUNDS = 7
COMMITS = 4_000
TURNS = 2_000_000
FEW, MANY = 1_000, 1_000_000
CANCELS, ITEM_MS = 50, 10
STARTS = 15
SHORT, PRESSES = 100, 14
ENTER, ESCAPE = b"\r", b"\x1b"
_JOB = "thumbnails"


def commits(folder: Path) -> list[Finding]:
    """Items that are each committed, against the same two statements in a bare loop."""
    del folder
    rates: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as place:
        for turn in range(ROUNDS + 1):
            for name, commit in (("bare", _bare_commits), ("ours", _our_commits)):
                took = commit(Path(place) / f"{name} {turn}.db")
                if turn:
                    rates[name].append(COMMITS / took)
    got = f"{ratio(rates['ours'], rates['bare']):.2f} ({statistics.median(rates['ours']):,.0f} a second)"
    return [Finding("items committed one by one, with key", "bare sqlite3 loop", "≥ 0.6", got)]


def _our_commits(path: Path) -> float:
    ensure_store(path)
    with jobdash.track([f"file-{n}" for n in range(COMMITS)], "bench", key=str, db=path) as job:
        begun = time.perf_counter()
        for item in job:
            with item:
                item.detail = "x"
        took = time.perf_counter() - begun
    return took  # noqa: RET504 - for mypy the block may swallow an exception


def _bare_commits(path: Path) -> float:
    ensure_store(path)
    with closing(open_for_worker(path)) as store:
        store.execute(
            "INSERT INTO job (public_id, provider, account, origin, name, remote_status, raw_status,"
            " created_at, fence, owner, total)"
            " VALUES ('x', 'local', 'local', 'm', 'bench', 'in_progress', 'in_progress', 1, 1, 'o', ?)",
            (COMMITS,),
        )
        begun = time.perf_counter()
        for number in range(COMMITS):
            now = time.time_ns() // 1_000_000
            store.execute("BEGIN IMMEDIATE")
            store.execute(
                "UPDATE job SET lease_until = ?, succeeded = coalesce(succeeded, 0) + 1 WHERE id = 1"
                " AND fence = 1 AND status IN ('in_progress', 'cancelling') RETURNING status",
                (now + 30_000,),
            ).fetchall()
            store.execute(
                "INSERT INTO item (job_id, seq, key, outcome, attempt, detail, at)"
                " VALUES (1, ?, ?, 'ok', 1, ?, ?) ON CONFLICT (job_id, key) DO UPDATE SET"
                " outcome = excluded.outcome, detail = excluded.detail, at = excluded.at",
                (number, f"file-{number}", '"x"', now),
            )
            store.execute("COMMIT")
        return time.perf_counter() - begun


def turns(folder: Path) -> list[Finding]:
    """What a loop adds to each turn when nothing is due, against tqdm."""
    del folder
    what = "a turn of `for x in track(…)`, nothing due"
    try:
        from tqdm import tqdm
    except ImportError:
        return [Finding(what, "tqdm", "≤ 2", "not measured: tqdm is not installed")]
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "jobs.db"
        ensure_store(path)
        kinds: dict[str, Callable[[], float]] = {
            "bare": lambda: _turn(range(TURNS)),
            "tqdm": lambda: _turn(tqdm(range(TURNS), file=io.StringIO())),
            "ours": lambda: _turn(jobdash.track(range(TURNS), "turns", db=path, progress=False)),
            "items": lambda: _item_turn(path),
        }
        took: dict[str, list[float]] = defaultdict(list)
        for turn in range(ROUNDS + 1):
            for name, once in kinds.items():
                seconds = once()
                if turn:
                    took[name].append(seconds)
    floor = _over(took["tqdm"], took["bare"])
    ours, items = _over(took["ours"], took["bare"]), _over(took["items"], took["bare"])
    return [
        Finding(
            what,
            f"tqdm ({statistics.median(floor):.0f} ns)",
            "≤ 2",
            f"{ratio(ours, floor):.2f} ({_ns(ours)})",
        ),
        Finding("the same with items, key and flush_interval=60", "–", "–", _ns(items)),
    ]


def _turn(values: Iterable[object]) -> float:
    begun = time.perf_counter()
    for _ in values:
        pass
    return (time.perf_counter() - begun) / TURNS * 1e9


def _item_turn(path: Path) -> float:
    took, number, jobs = 0.0, 900, 20  # a thousand would be due
    for turn in range(jobs):
        job_of_many = jobdash.track(
            range(number), f"items {turn}", key=str, flush_interval=60, db=path, progress=False
        )
        with job_of_many as job:
            took -= time.perf_counter()
            for item in job:
                with item:
                    pass
            took += time.perf_counter()
    return took / number / jobs * 1e9


def _over(values: list[float], floor: list[float]) -> list[float]:
    return [value - base for value, base in zip(values, floor, strict=True)]


def _ns(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} ns"


_MANY_ITEMS = """
import re, sys, jobdash
from pathlib import Path
number = int(sys.argv[1])
class Source:
    def __len__(self): return number
    def __iter__(self): return iter(range(number))
    def __contains__(self, value): return True
with jobdash.track(Source(), f"items {number}", key=str, flush_interval=1) as job:
    for item in job:
        with item:
            item.detail = "x"
assert job.status == "completed" and job.succeeded == number
print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def items_memory(folder: Path) -> list[Finding]:
    """The most memory a script ever had, with a million items and with a thousand."""
    del folder
    most: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as place:
        env = _environment(Path(place))
        begun = time.perf_counter()
        for number in (FEW, MANY):
            done = subprocess.run(
                python("-c", _MANY_ITEMS, str(number)), env=env, check=True, capture_output=True, text=True
            )
            most[number] = float(done.stdout)
        took = time.perf_counter() - begun
        with closing(sqlite3.connect(Path(place) / "jobs.db")) as store:
            (rows,) = store.execute("SELECT count(*) FROM item WHERE outcome = 'ok'").fetchone()
            assert rows == FEW + MANY
    got = f"{most[MANY] - most[FEW]:+.1f} MiB ({most[MANY]:.0f}; {took:.0f} s)"
    return [Finding(f"memory of a script with {MANY:,} items", f"{FEW:,}", "≤ 30 MB more", got)]


_CANCELLED = f"""
import sys, time, jobdash
for number in range({CANCELS}):
    with jobdash.track(range(5_000), f"job {{number}}", key=KEY, on_cancel="continue") as job:
        for item in job:
            with item:
                time.sleep({ITEM_MS / 1000})
            if item.value == 3:
                print("go", flush=True)
    print(time.monotonic(), job.status, flush=True)
"""


def cancelled(folder: Path) -> list[Finding]:
    """From the moment at which somebody elsewhere cancels to the end of the loop."""
    del folder
    findings = []
    for key in ("str", "None"):
        took = _cancels(_CANCELLED.replace("KEY", key))
        kind = "items with key" if key == "str" else "items without"
        got = f"{ms(took)} (most {max(took) * 1000:.0f})"
        what = f"cancel from another process to the loop's end, {kind}"
        findings.append(Finding(what, f"an item of {ITEM_MS} ms", f"≤ {ITEM_MS + 100} ms", got))
    return findings


def _cancels(code: str) -> list[float]:
    took: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "jobs.db"
        ensure_store(path)
        actor = Actor("bench", "here", "cli", current_owner())
        with (
            Writer(path, system_clock, actor) as writer,
            subprocess.Popen(
                python("-c", code),
                env=_environment(Path(place)),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            ) as script,
        ):
            assert script.stdout is not None
            for number in range(CANCELS):
                assert script.stdout.readline() == "go\n"
                select.select([], [], [], (number % 13) / 13 * 0.05)  # at any moment of an item and a tick
                with closing(sqlite3.connect(path)) as looking:
                    job_id, fence = looking.execute(
                        "SELECT id, fence FROM job WHERE status = 'in_progress'"
                    ).fetchone()
                begun = time.monotonic()
                writer.cancel_local(ActionRequest(job_id, fence))
                at, status = script.stdout.readline().split()
                assert status == "cancelled"
                took.append(float(at) - begun)
    return took


_FIRST_TRACK = """
import time
import jobdash
begun = time.perf_counter()
for _ in jobdash.track([1], "first"): pass
print(time.perf_counter() - begun)
"""


def starts(folder: Path) -> list[Finding]:
    """What a script's start costs: the import, and the first loop."""
    del folder
    programs = {"pass": "print(0)", "import": "import jobdash; print(0)", "track": _FIRST_TRACK}
    took: dict[str, list[float]] = defaultdict(list)
    inside: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        env = _environment(Path(place), usual=True)
        for turn in range(STARTS + 1):
            for name, code in programs.items():
                begun = time.perf_counter()
                done = subprocess.run(python("-c", code), env=env, check=True, capture_output=True, text=True)
                if turn:
                    took[name].append(time.perf_counter() - begun)
                    if name == "track":
                        inside.append(float(done.stdout))
    imported, tracked = _over(took["import"], took["pass"]), _over(took["track"], took["import"])
    return [
        Finding("import jobdash", "over python -c pass", "≤ 15 ms", ms(imported)),
        Finding("the first track, to the end of its loop", "inside the script", "≤ 60 ms", ms(inside)),
        Finding("the same and its end of the process", "over import jobdash", "–", ms(tracked)),
    ]


def job_screen(folder: Path) -> list[Finding]:
    """The screen of a job with very many items against one with few."""
    with contextlib.ExitStack() as stack:
        small, large = (
            stack.enter_context(Terminal(dashboard(_store_of_items(folder, number)), bare()))
            for number in (SHORT, MANY)
        )
        for terminal in (small, large):
            terminal.until(*CHROME, _JOB.encode())
            terminal.settle(2.0)
        findings = [compare_keys("opens", ENTER, ESCAPE, small, large, quiet=0.3)]
        for terminal in (small, large):
            terminal.press(ENTER, quiet=0.5)
            terminal.until(b"items/0000", b"ok")
            terminal.settle(1.0)
        findings += [
            compare_keys(name, key, HOME, small, large)
            for name, key in (("cursor-down", DOWN), ("PageDown", PAGE_DOWN), ("End", END))
        ]
        return [
            Finding(f"the job's screen, {MANY:,} items: {each.what}", f"{SHORT} items", "≤ 1.2", each.got)
            for each in findings
        ]


def compare_keys(
    name: str, key: bytes, back: bytes, small: Terminal, large: Terminal, quiet: float = QUIET_S
) -> Finding:
    """Press a key in both, side by side; ``back`` returns to where it was, unmeasured."""
    took: dict[str, list[float]] = defaultdict(list)
    for turn in range(PRESSES + 1):
        for which, terminal in (("small", small), ("large", large)):
            seconds, written = terminal.press(key, quiet)
            assert written, f"{name} changed nothing"
            terminal.press(back, quiet)
            if turn:
                took[which].append(seconds)
    got = f"{statistics.median(took['large']) / statistics.median(took['small']):.2f} ({ms(took['large'])})"
    return Finding(name, "the small one", "≤ 1.2", got)


def _store_of_items(folder: Path, number: int) -> Path:
    """A store with one job that has ended, of so many items; made once."""
    path = folder / f"{number} items.db"
    if path.exists():
        return path
    making = path.with_suffix(".making")
    making.unlink(missing_ok=True)
    ensure_store(making)
    with jobdash.track([], _JOB, key=str, db=making, progress=False):
        pass  # left at once: a job of the script's own making
    with closing(sqlite3.connect(making)) as store, store:
        store.executemany(
            "INSERT INTO item (job_id, seq, key, outcome, attempt, detail, error_type, error, at)"
            " VALUES (1, ?, ?, ?, 1, ?, ?, ?, 1)",
            (
                (n, f"items/{n:07}", "error", None, "ValueError", f"no such colour: {n % 7}")
                if n % 50 == 7
                else (n, f"items/{n:07}", "ok", '"12 KB"', None, None)
                for n in range(number)
            ),
        )
        store.execute(
            "UPDATE job SET remote_status = 'completed', raw_status = 'completed', total = :n,"
            " cancel_requested_at = NULL, created_at = created_at - 90000000,"
            " succeeded = (SELECT count(*) FROM item WHERE outcome = 'ok'),"
            " failed = (SELECT count(*) FROM item WHERE outcome = 'error')",
            {"n": number},
        )
    making.rename(path)
    return path


def _environment(place: Path, *, usual: bool = False) -> dict[str, str]:
    """A script's environment: a store of its own, named or (``usual``) where a user's lies without a word."""
    repository = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    mine = {"HOME": str(place), "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": "", "PYTHONPATH": repository}
    if not usual:
        mine["JOBDASH_DATABASE"] = str(place / "jobs.db")
    return clean_environment(mine)
