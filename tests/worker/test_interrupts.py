"""The end of a job is written whatever interrupts it, or by the next run in that process."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from shared.other_program import hold, other_program
from worker_kit import Scripts, Seen, until

from jobdash import track
from jobdash.store.leases.lease import Lease
from jobdash.store.location import StoreLocation

# A notebook: the process goes on behind whatever ends a cell.
NOTEBOOK = """
def cell(resume):
    try:
        with jobdash.track(range(9), "cell", key=str, resume=resume) as job:
            try:
                for item in job:
                    with item:
                        print("at", item.value, flush=True)
                        if item.value == 2 and resume == "auto":
                            sys.stdin.readline()
            finally:
                print("leaving", flush=True)
    except BaseException as error:
        print(type(error).__name__, flush=True)
cell("auto")
cell("always")
"""


def test_a_second_interrupt_waits_for_the_end_to_be_written(
    scripts: Scripts, seen: Seen, path: StoreLocation
) -> None:
    script = scripts.start(NOTEBOOK)
    script.wait_for("at 2")
    script.send(signal.SIGINT)
    until(lambda: seen.counts("cell")[0] == "cancelling", "the cancel shows")
    with other_program(path) as other:
        hold(other, path)
        script.go_on()
        script.wait_for("leaving")
        for _ in range(3):
            script.send(signal.SIGINT)
        other.execute("COMMIT")
    code, err = script.finish()
    assert script.out[:5] == ["at 0", "at 1", "at 2", "leaving", "KeyboardInterrupt"]
    assert script.out[5:] == [*(f"at {number}" for number in range(3, 9)), "leaving"]
    assert code == 0
    assert "Traceback" not in err
    assert seen.counts("cell") == ("completed", 9, 9, 0)
    ends = [ended for _, ended in seen.attempts("cell")]
    assert ends in (
        ["cancelled at 3 of 9", "9 of 9 done"],
        ["loop left at 3 of 9: interrupted", "9 of 9 done"],
    )


def test_an_end_that_was_interrupted_is_written_by_the_next_run_of_the_process(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = Lease.finish

    def interrupted(self: Lease, *args: object) -> None:
        monkeypatch.setattr(Lease, "finish", finish)
        raise KeyboardInterrupt

    monkeypatch.setattr(Lease, "finish", interrupted)
    with pytest.raises(KeyboardInterrupt), track(range(3), "first", key=str):
        pass
    assert seen.counts("first")[0] == "in_progress"
    assert list(track(range(2), "second")) == [0, 1]
    assert seen.counts("first") == ("cancelled", 3, 0, 0)
    assert seen.attempts("first") == [(1, "loop left at 0 of 3")]


def test_an_end_that_was_interrupted_is_written_at_the_end_of_the_script(
    scripts: Scripts, seen: Seen
) -> None:
    code, _, _ = scripts.run(
        """
        from jobdash.store.leases.lease import Lease
        finish = Lease.finish
        def interrupted(self, *args):
            Lease.finish = finish
            raise KeyboardInterrupt
        Lease.finish = interrupted
        try:
            with jobdash.track(range(3), "only", key=str) as job: next(iter(job))
        except KeyboardInterrupt: pass
        """
    )
    assert code == 0
    assert seen.counts("only")[0] == "cancelled"


@pytest.mark.sqlite_only
def test_an_end_is_not_written_into_a_store_that_was_replaced(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with track(range(1), "gone", key=str) as job:
        for item in job:
            with item:
                pass
        path.rename(path.with_name("moved.db"))
    err = capsys.readouterr().err
    assert "was deleted, moved or replaced. How the job ended is not recorded." in err
