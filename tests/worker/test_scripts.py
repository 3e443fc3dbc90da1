"""Whole scripts of users in processes of their own: cancels, signals, crashes, forks, exit codes."""

from __future__ import annotations

import json
import signal
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from worker_kit import Scripts, Seen, until

PLAIN = """
    for number in jobdash.track(range(100), "plain"):
        print("at", number, flush=True)
        if number == 24: sys.stdin.readline()
    print("not reached")
"""
KEYED = """
    with jobdash.track(range(100), "keyed", key=str, unit="files") as job:
        for item in job:
            with item:
                print("at", item.value, flush=True)
                if item.value == 24: sys.stdin.readline()
    print("after", job.status, flush=True)
"""


def test_a_cancel_from_elsewhere_ends_a_plain_loop_with_130(scripts: Scripts, seen: Seen) -> None:
    script = scripts.start(PLAIN)  # C-4 C-11 D-7
    script.wait_for("at 24")
    seen.cancel("plain")
    until(lambda: seen.counts("plain")[2] == 24)
    script.go_on()
    code, err = script.finish()
    assert (code, script.out[-1]) in {(130, "at 24"), (130, "at 25")}
    done = int(script.out[-1].split()[1]) + 1
    known_as = seen.job("plain")["public_id"]
    assert err == (
        f"Job was cancelled: {done} of 100 done, {100 - done} not processed\n"
        f"jobdash: plain ({known_as}) is cancelled; the next run of this script begins from the start:"
        " without key= nothing tells what is done\n"
    )
    assert seen.counts("plain") == ("cancelled", 100, done, 0)
    assert seen.attempts("plain") == [(1, f"cancelled at {done} of 100")]


@pytest.mark.sqlite_only  # on a server a script is told a quarter of a second later
@pytest.mark.parametrize("on_cancel", ["exit", "continue"])
def test_a_cancel_from_elsewhere_ends_the_block_and_the_script(
    on_cancel: str, scripts: Scripts, seen: Seen
) -> None:
    keyed = KEYED.replace("key=str", f'key=str, on_cancel="{on_cancel}"')
    script = scripts.start(keyed)  # C-4 C-6 C-13 E-9
    script.wait_for("at 24")
    seen.cancel("keyed")
    script.go_on()
    code, err = script.finish()
    if on_cancel == "exit":
        assert (code, script.out[-1]) == (130, "at 24")
    else:
        assert (code, script.out[-2:]) == (0, ["at 24", "after cancelled"])
    known_as = seen.job("keyed")["public_id"]
    assert err == (
        "Job was cancelled: 25 of 100 done, 75 not processed\n"
        f"jobdash: keyed ({known_as}) is cancelled; the next run of this script does the rest\n"
    )
    assert seen.counts("keyed") == ("cancelled", 100, 25, 0)
    assert list(seen.items("keyed").values()) == ["ok"] * 25 + ["waiting"] * 75
    code, err, out = scripts.run(keyed.replace("== 24", "== 1000"))  # the next run does the rest
    assert err == f"jobdash: keyed ({known_as}) goes on: 25 of 100 done\n"
    assert (code, out[0], out[-1]) == (0, "at 25", "after completed")
    assert seen.counts("keyed") == ("completed", 100, 100, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_cancel_request_to_oneself(
    number: signal.Signals, scripts: Scripts, seen: Seen
) -> None:
    script = scripts.start(KEYED)
    script.wait_for("at 24")
    script.send(number)
    until(lambda: seen.counts("keyed")[0] == "cancelling", "the cancel shows")
    reason = {"SIGINT": "Ctrl-C"}.get(number.name, number.name)
    assert seen.job("keyed")["cancel_reason"] == reason
    script.go_on()
    code, err = script.finish()
    assert (code, script.out[-1]) == (130, "at 24")
    assert "Traceback" not in err
    assert seen.events("keyed") == [("start", "in_progress"), ("cancel", "done"), ("end", "cancelled")]


def test_a_signal_ends_a_plain_loop_without_a_traceback(scripts: Scripts, seen: Seen) -> None:
    script = scripts.start(PLAIN)
    script.wait_for("at 24")
    script.send(signal.SIGINT)
    script.go_on()
    code, err = script.finish()
    assert (code, err.splitlines()[0]) == (130, "Job was cancelled: 25 of 100 done, 75 not processed")
    assert "Traceback" not in err
    assert seen.counts("plain") == ("cancelled", 100, 25, 0)
    assert seen.job("plain")["cancel_reason"] == "Ctrl-C"


def test_the_second_interrupt_is_a_keyboard_interrupt(scripts: Scripts, seen: Seen) -> None:
    script = scripts.start(KEYED)
    script.wait_for("at 24")
    script.send(signal.SIGINT)
    until(lambda: seen.counts("keyed")[0] == "cancelling", "the cancel shows")
    script.send(signal.SIGINT)
    code, err = script.finish()
    assert code == -signal.SIGINT
    assert "KeyboardInterrupt" in err
    assert seen.counts("keyed") == ("cancelled", 100, 24, 0)
    assert seen.attempts("keyed") == [(1, "loop left at 24 of 100: interrupted")]


def test_the_second_sigterm_ends_the_script_as_it_would_without_us(scripts: Scripts, seen: Seen) -> None:
    script = scripts.start(KEYED)
    script.wait_for("at 24")
    script.send(signal.SIGTERM)
    until(lambda: seen.counts("keyed")[0] == "cancelling", "the cancel shows")
    script.send(signal.SIGTERM)
    assert script.finish()[0] == -signal.SIGTERM


def test_a_users_own_handlers_stay_and_ours_go(scripts: Scripts) -> None:
    code, err, out = scripts.run(
        """
        import signal, threading
        mine = lambda *_: None
        python_handles = lambda: signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.signal(signal.SIGTERM, mine)
        for _ in jobdash.track([1], "own"):
            print(signal.getsignal(signal.SIGTERM) is mine, python_handles())
            for _ in jobdash.track([1], "inner"): pass
            print(python_handles())
        print(signal.getsignal(signal.SIGTERM) is mine, python_handles())
        thread = threading.Thread(target=lambda: list(jobdash.track([1], "thread")))
        thread.start(); thread.join()
        """
    )
    assert (code, err, out) == (0, "", ["True False", "False", "True True"])


def test_under_asyncio_an_interrupt_cancels_gracefully(scripts: Scripts, seen: Seen) -> None:
    script = scripts.start(
        """
        import asyncio
        async def main():
            async with jobdash.track(range(9), "aio", key=str, on_cancel="continue") as job:
                async for item in job:
                    with item:
                        print("at", item.value, flush=True)
                        while not job.token.cancelled: await asyncio.sleep(0.01)
            print("after", job.status, flush=True)
            async for value in jobdash.track(range(9), "aio plain"):
                print("plain", value, flush=True)
                await asyncio.sleep(60)
        asyncio.run(main())
        """
    )
    script.wait_for("at 0")
    script.send(signal.SIGINT)
    script.wait_for("after cancelled")
    assert seen.counts("aio") == ("cancelled", 9, 1, 0)
    script.wait_for("plain 0")
    script.send(signal.SIGINT)
    until(lambda: seen.counts("aio plain")[0] == "cancelling", "the cancel shows")
    script.send(signal.SIGINT)
    code, err = script.finish()
    assert code == -signal.SIGINT
    assert "KeyboardInterrupt" in err
    until(lambda: seen.counts("aio plain")[0] == "cancelled", "the end")


def test_a_removed_job_ends_its_script_with_one_line_and_75(scripts: Scripts, seen: Seen) -> None:
    for code, name in ((PLAIN, "plain"), (KEYED, "keyed")):  # E-2 E-7 E-8
        script = scripts.start(code)
        script.wait_for("at 24")
        seen.remove(name)
        known_as = seen.job(name)["public_id"]
        before = seen.job(name)
        script.go_on()
        assert script.finish() == (75, f"jobdash: job {name} ({known_as}) was removed, exiting\n")
        assert {**seen.job(name), "revision": 0} == {**before, "revision": 0}  # no late write


def test_a_failed_job_names_who_failed_it(scripts: Scripts, seen: Seen) -> None:  # E-1 E-3 E-8
    script = scripts.start(KEYED)
    script.wait_for("at 24")
    until(lambda: seen.counts("keyed")[2] == 24, "what is written behind an item")
    seen.force_fail("keyed")
    script.go_on()
    code, err = script.finish()
    assert code == 75
    assert "was failed by ann@desk, exiting" in err
    assert seen.counts("keyed") == ("failed", 100, 24, 0)


def test_a_job_that_was_taken_over_names_the_process(scripts: Scripts, seen: Seen) -> None:
    old = scripts.start(KEYED)
    old.wait_for("at 24")
    until(lambda: seen.counts("keyed")[2] == 24, "what is written behind an item")
    old.send(signal.SIGSTOP)
    seen.ask("UPDATE job SET lease_until = 1")
    new = scripts.start(KEYED)
    new.wait_for("at 24")
    old.send(signal.SIGCONT)
    old.go_on()
    code, err = old.finish()
    assert code == 75
    assert f"was taken over by pid {new.process.pid}, exiting" in err
    new.go_on()
    known_as = seen.job("keyed")["public_id"]
    assert new.finish() == (0, f"jobdash: keyed ({known_as}) goes on: 24 of 100 done\n")
    assert seen.counts("keyed") == ("completed", 100, 100, 0)
    assert [ended for _, ended in seen.attempts("keyed")] == ["worker gone", "100 of 100 done"]


def test_after_a_crash_the_next_run_goes_on_at_once(scripts: Scripts, seen: Seen) -> None:
    script = scripts.start(KEYED)
    script.wait_for("at 24")
    until(lambda: seen.counts("keyed")[2] == 24, "what is written behind an item")
    script.process.kill()
    script.finish()
    assert seen.counts("keyed") == ("in_progress", 100, 24, 0)
    _, err, out = scripts.run(KEYED.replace("== 24", "== 1000"))
    known_as = seen.job("keyed")["public_id"]
    assert err == f"jobdash: keyed ({known_as}) goes on: 24 of 100 done\n"
    assert (out[0], out[-1]) == ("at 24", "after completed")
    assert seen.counts("keyed") == ("completed", 100, 100, 0)
    assert seen.job("keyed")["attempt"] == 2


def test_a_job_held_by_a_living_worker_is_left_alone(scripts: Scripts, seen: Seen) -> None:
    script = scripts.start(KEYED)
    script.wait_for("at 24")
    code, err, _out = scripts.run(KEYED.replace("== 24", "== 1000"))
    assert code == 0
    assert err.count("\n") == 1
    assert f"another run of keyed is active, pid {script.process.pid}" in err
    script.go_on()
    assert script.finish() == (0, "")
    assert seen.ask("SELECT status, succeeded FROM job") == [("completed", 100)] * 2


def test_a_script_that_fails_in_a_plain_loop_leaves_it_early(scripts: Scripts, seen: Seen) -> None:
    code, err, _ = scripts.run(
        """
        for number in jobdash.track(range(100), "raises"):
            if number == 25: raise ValueError("of the script's own")
        """
    )
    assert code == 1
    known_as = seen.job("raises")["public_id"]
    assert err.endswith(
        "ValueError: of the script's own\n"
        f"jobdash: raises ({known_as}) is failed; the next run of this script begins from the start:"
        " without key= nothing tells what is done\n"
    )
    assert seen.counts("raises") == ("failed", 100, 25, 0)
    assert seen.attempts("raises") == [(1, "ValueError: of the script's own")]
    assert seen.job("raises")["error"] == "ValueError: of the script's own"


def test_a_script_that_fails_in_an_async_loop_leaves_it_early(scripts: Scripts, seen: Seen) -> None:
    code, err, _ = scripts.run(
        """
        import asyncio
        async def main():
            async for number in jobdash.track(range(100), "raises"):
                if number == 25: raise ValueError("of the script's own")
        asyncio.run(main())
        """
    )
    assert code == 1
    known_as = seen.job("raises")["public_id"]
    assert f"\njobdash: raises ({known_as}) is failed; the next run" in err
    assert seen.counts("raises") == ("failed", 100, 25, 0)
    assert seen.attempts("raises") == [(1, "ValueError: of the script's own")]


LOOPS = {
    "plain": "for x in jobdash.track(range(9), 'left'):",
    "block": "with jobdash.track(range(9), 'left') as job:\n  for x in job:",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_an_interrupt_of_the_scripts_own_handler_ends_with_the_way_to_go_on(
    loop: str, scripts: Scripts, seen: Seen
) -> None:
    _, err, _ = scripts.run(f"{LOOPS[loop]}\n    raise KeyboardInterrupt")
    known_as = seen.job("left")["public_id"]
    assert f"\njobdash: left ({known_as}) is cancelled; the next run of this script begins" in f"\n{err}"


@pytest.mark.parametrize("loop", LOOPS)
def test_a_break_has_nothing_to_report(loop: str, scripts: Scripts, seen: Seen) -> None:
    code, err, _ = scripts.run(f"{LOOPS[loop]}\n    break")
    assert (code, err, seen.counts("left")[0]) == (0, "", "cancelled")


def test_a_script_that_fails_at_the_last_item_has_not_done_it(scripts: Scripts, seen: Seen) -> None:
    code, _, _ = scripts.run(
        """
        for number in jobdash.track(range(3), "last"):
            if number == 2: raise ValueError("of the script's own")
        """
    )
    assert code == 1
    assert seen.counts("last") == ("failed", 3, 2, 0)
    assert seen.attempts("last") == [(1, "ValueError: of the script's own")]


def test_a_completed_loop_is_not_failed_by_a_later_exception(scripts: Scripts, seen: Seen) -> None:
    code, _, _ = scripts.run(
        """
        for pair in zip(range(3), jobdash.track(range(3), "zipped")): pass
        raise ValueError("of something else")
        """
    )
    assert code == 1
    assert seen.counts("zipped") == ("completed", 3, 3, 0)


def test_a_loop_that_was_left_is_not_failed_by_a_later_exception(scripts: Scripts, seen: Seen) -> None:
    code, _, _ = scripts.run(
        """
        for number in jobdash.track(range(100), "left"):
            if number == 25: break
        raise ValueError("of something else")
        """
    )
    assert code == 1
    assert seen.attempts("left") == [(1, "loop left at 25 of 100")]


def test_an_abandoned_loop_ends_with_the_script(scripts: Scripts, seen: Seen) -> None:
    code, err, _ = scripts.run('loop = iter(jobdash.track(range(9), "held")); next(loop); next(loop)')
    assert (code, err) == (0, "")
    assert seen.counts("held") == ("cancelled", 9, 1, 0)


def test_sys_exit_in_a_block_is_no_success(scripts: Scripts, seen: Seen) -> None:
    for status, word in ((0, "cancelled"), (3, "failed")):
        code, err, _ = scripts.run(
            f"""
            with jobdash.track(range(9), "exits {status}", key=str) as job:
                for item in job:
                    with item: sys.exit({status})
            """
        )
        assert (code, "Traceback" in err) == (status, False)
        assert seen.counts(f"exits {status}") == (word, 9, 0, 0)


@pytest.mark.sqlite_only
def test_a_forked_child_sees_the_cancel_and_writes_nothing(scripts: Scripts, seen: Seen) -> None:
    script = scripts.start(
        """
        import multiprocessing, os
        from multiprocessing import get_context
        def work(args):
            token, gate = args
            while not token.cancelled: pass
            return "finished"
        def count(value): return value
        if __name__ == "__main__":
            with jobdash.track(range(5), "forks", key=str, on_cancel="continue") as job:
                loop = iter(job)
                with next(loop): pass
                with get_context("fork").Pool(2) as pool:
                    print(sum(pool.map(count, range(10))), flush=True)
                    results = pool.map_async(work, [(job.token, 0), (job.token, 1)])
                    print("waiting", flush=True)
                    print(results.get(), flush=True)
                while not job.token.cancelled: pass   # by now the children know, perhaps before us
                child = os.fork()
                if not child:
                    for item in loop:   # goes nowhere
                        with item: pass
                    sys.exit(3)
                print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
                job.token.raise_if_cancelled()
            print("after", job.status, flush=True)
        """
    )
    script.wait_for("waiting")
    assert seen.counts("forks") == ("in_progress", 5, 1, 0)
    seen.cancel("forks")
    code, err = script.finish()
    child = ["after in_progress", "0"]
    assert script.out == ["45", "waiting", "['finished', 'finished']", *child, "after cancelled"]
    assert (code, err.count("Job was cancelled")) == (0, 1)
    assert seen.counts("forks") == ("cancelled", 5, 1, 0)
    assert seen.items("forks") == {"0": "ok", "1": "waiting", "2": "waiting", "3": "waiting", "4": "waiting"}


@pytest.mark.parametrize(
    ("meanwhile", "line"),
    [
        (Seen.remove, "LeaseLost 75 was removed"),
        (Seen.force_fail, "LeaseLost 75 was failed by ann@desk"),
        (Seen.cancel, "JobCancelled 130 "),
    ],
)
def test_a_forked_child_gets_the_end_of_the_job(
    meanwhile: Callable[[Seen, str], None], line: str, scripts: Scripts, seen: Seen
) -> None:
    script = scripts.start(
        """
        import os
        with jobdash.track(range(3), "forked", key=str) as job, next(iter(job)):
            child = os.fork()
            if not child:
                print("child", flush=True)
                sys.stdin.readline()
                try: job.token.raise_if_cancelled()
                except jobdash.JobCancelled as error:
                    reason = str(error).partition(f"({job.id}) ")[2]
                    print(type(error).__name__, error.code, reason, flush=True)
                os._exit(0)
            os.waitpid(child, 0)
            job.token.raise_if_cancelled()
        """
    )
    script.wait_for("child")
    meanwhile(seen, "forked")
    script.go_on()
    script.finish()
    assert script.out[1:] == [line]


@pytest.mark.sqlite_only
def test_a_forked_child_that_finds_no_store_goes_on(scripts: Scripts, path: Path) -> None:
    code, _, out = scripts.run(
        f"""
        import os, pathlib
        with jobdash.track(range(3), "gone", key=str) as job:
            for file in pathlib.Path({str(path.parent)!r}).iterdir(): file.unlink()
            child = os.fork()
            if not child:
                job.token.raise_if_cancelled()
                print("no answer", flush=True)
                os._exit(0)
            print(os.waitpid(child, 0)[1])
        """
    )
    assert (code, out) == (0, ["no answer", "0"])


def test_the_restart_of_a_job_claims_that_very_job(scripts: Scripts, seen: Seen) -> None:
    left = 'loop = iter(jobdash.track(range(9), "meant")); next(loop)'
    scripts.run(left)
    meant = seen.job("meant")["public_id"]
    seen.ask("UPDATE job SET name = 'other'")
    scripts.run(left)
    seen.ask("UPDATE job SET name = 'meant'")
    scripts.run(left, JOBDASH_JOB=meant, JOBDASH_LOG_FILE="/tmp/log of meant")
    assert seen.ask("SELECT public_id = ?, attempt FROM job ORDER BY id", (meant,)) == [(1, 2), (0, 1)]
    assert seen.ask("SELECT log_file FROM attempt ORDER BY started_at DESC, fence DESC LIMIT 1") == [
        ("/tmp/log of meant",)
    ]
    scripts.run(left, JOBDASH_JOB="nobody00")  # falls back to the newest
    assert seen.ask("SELECT attempt FROM job ORDER BY id") == [(2,), (2,)]


def test_the_command_line_is_kept_where_it_starts_the_script_again(scripts: Scripts, seen: Seen) -> None:
    scripts.run('list(jobdash.track([1], "argv"))')
    ((argv, cwd),) = seen.ask("SELECT argv, cwd FROM attempt")
    assert json.loads(argv)[0] == sys.executable
    assert json.loads(argv)[1].endswith("script.py")
    assert Path(cwd).samefile(Path(json.loads(argv)[1]).parent)
    code, err, _ = scripts.run(
        "import subprocess; subprocess.run([sys.executable, '-c', "
        "'import jobdash; list(jobdash.track([1], \"prompt\"))'], check=True)\n"
        "sys.orig_argv.append('--key=sk-abcdefghijkl'); list(jobdash.track([1], 'secret'))"
    )
    assert (code, err) == (0, "")
    assert seen.ask("SELECT argv FROM attempt WHERE job_id > 1") == [(None,), (None,)]


HEAVY = {"sqlmodel", "sqlalchemy", "pydantic", "textual", "openai", "google", "click", "alembic", "rich"}


@pytest.mark.sqlite_only
@pytest.mark.parametrize("loop", ["for x in jobdash.track([1], 'lean'): pass", KEYED])
def test_a_script_loads_neither_database_toolkit_nor_sdk(scripts: Scripts, loop: str) -> None:
    loop = textwrap.dedent(loop).replace("== 24", "== -1")
    code, err, out = scripts.run(f"{loop}\nprint(*sys.modules)")
    assert (code, err) == (0, "")
    loaded = set(out[-1].split())
    ours = {"jobdash.store.schema.tables", "jobdash.cli.main", "jobdash.domain.job"}  # the last takes 5 ms
    assert not loaded & (HEAVY | {"asyncio", "concurrent"} | ours)
