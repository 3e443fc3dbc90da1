"""Loops that a library pulls from threads of its own: a cancel comes through, no hang and no shortage."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
from shared.deadlines import joined
from worker_kit import Scripts, Seen

from jobdash import JobCancelled, LeaseLost, track
from jobdash.worker.exceptions import CancelledInWorker, LeaseLostInWorker

HEAD = """
import os, time
def source():
    for value in range(60):
        if value == 20:
            print("at 20", flush=True)
            sys.stdin.readline()
            until_cancelled()
        yield value
def until_cancelled():
    from jobdash.worker import process
    until = time.monotonic() + float(os.environ["HEARD_WITHIN_S"])
    while time.monotonic() < until and not any(run.token.stopped for run in process.live):
        time.sleep(0.01)
def numbers(): return jobdash.track(source(), "loop", total=60)
"""
WAYS = {
    "thread pool imap": """
from multiprocessing.pool import ThreadPool
with ThreadPool(2) as pool:
    results = list(pool.imap(abs, numbers()))
""",
    "thread pool imap unordered": """
from multiprocessing.pool import ThreadPool
with ThreadPool(2) as pool:
    results = list(pool.imap_unordered(abs, numbers()))
""",
    "process pool imap": """
from multiprocessing import get_context
with get_context("fork").Pool(2) as pool:
    results = list(pool.imap(abs, numbers()))
""",
    "executor map": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(2) as pool:
    results = list(pool.map(abs, numbers()))
""",
    "executor chain": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(2) as outer:
    loop = iter(numbers())
    results = outer.submit(lambda: [abs(value) for value in loop]).result()
""",
    "joblib threading": """
joblib = __import__("joblib")
results = joblib.Parallel(n_jobs=2, backend="threading")(joblib.delayed(abs)(value) for value in numbers())
""",
    "joblib loky": """
joblib = __import__("joblib")
results = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(abs)(value) for value in numbers())
""",
    "items in an executor": """
from concurrent.futures import ThreadPoolExecutor
with jobdash.track(range(60), "loop", key=str) as job:
    def careful(item):
        with item:
            if item.value == 20:
                print("at 20", flush=True)
                sys.stdin.readline()
            if item.value >= 20:  # else the other thread would have done all the others meanwhile
                until_cancelled()
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(careful, list(job)))
""",
    "token in a pool's threads": """
from multiprocessing.pool import ThreadPool
with jobdash.track(range(60), "loop", key=str) as job:
    def careful(item):
        with item:
            if item.value == 20:
                print("at 20", flush=True)
                sys.stdin.readline()
            if item.value >= 20:
                until_cancelled()
                job.token.raise_if_cancelled()
    with ThreadPool(2) as pool:
        results = list(pool.imap(careful, list(job)))
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("by", ["dashboard", "Ctrl-C"])
def test_a_cancel_ends_the_script(way: str, by: str, scripts: Scripts, seen: Seen) -> None:
    if "joblib" in way:
        pytest.importorskip("joblib")
    # A library's thread that pulls from the start hears no Ctrl-C, and would be waited for in vain.
    until_cancelled = "20" if by == "dashboard" else "1"
    script = scripts.start(
        f"{HEAD}{WAYS[way]}\nprint(len(results), flush=True)", HEARD_WITHIN_S=until_cancelled
    )
    script.wait_for("at 20")
    if by == "Ctrl-C":
        script.send(signal.SIGINT)
    else:
        seen.cancel("loop")
    script.go_on()
    code, err = script.finish()
    assert "60" not in script.out
    if by == "dashboard":
        assert (code, "Traceback" in err) == (130, False)
        assert seen.counts("loop")[0] == "cancelled"
    else:  # where a thread of the library's pulls from the start, Python's own Ctrl-C ends the script
        assert code in {130, -signal.SIGINT}
        assert seen.counts("loop")[0] in {"cancelled", "completed"}


@pytest.mark.parametrize("way", ["thread pool imap", "joblib threading"])
def test_a_cancel_from_elsewhere_is_handed_on_by_libraries(way: str, scripts: Scripts, seen: Seen) -> None:
    if "joblib" in way:
        pytest.importorskip("joblib")
    caught = "\ntry:\n" + "\n".join(f"    {line}" for line in WAYS[way].strip().splitlines())
    caught += "\nexcept Exception as error:\n    print(type(error).__name__, error.code, flush=True)\n"
    script = scripts.start(HEAD + caught, HEARD_WITHIN_S="20")
    script.wait_for("at 20")
    seen.cancel("loop")
    script.go_on()
    code, _ = script.finish()
    assert (code, script.out[-1]) == (0, "CancelledInWorker 130")


def test_what_is_handed_on_is_an_exception_and_still_ends_a_script() -> None:
    for kind, base, code in ((CancelledInWorker, JobCancelled, 130), (LeaseLostInWorker, LeaseLost, 75)):
        error = kind("why")
        assert isinstance(error, Exception)
        assert isinstance(error, base)
        assert (error.code, str(error)) == (code, "why")


def test_a_library_s_thread_with_the_number_of_one_of_ours_that_ended_is_the_library_s(path: Path) -> None:
    """The system gives the number of a thread that has ended to the next one."""
    ours: set[int] = set()
    with track(range(8), "numbers", key=str, db=path) as job:
        job.map(lambda _: ours.add(threading.get_ident()), workers=2)
        raised: list[tuple[int, type]] = []

        def look() -> None:
            raised.append((threading.get_ident(), type(job.token.stop())))

        for _ in range(20):
            one = threading.Thread(target=look)
            one.start()
            joined(one)
    assert ours & {number for number, _ in raised}, "no number was given again"
    assert {kind for _, kind in raised} == {CancelledInWorker}
