"""Which job a run continues: decided by name, work, keys and the state of the job, against a plain model."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobdash.store.bootstrap import ensure_store, open_for_worker
from jobdash.store.leases.claims import Claim, ClaimRequest, claim
from jobdash.store.leases.continuation import CannotResumeError, Continuation
from jobdash.store.leases.lease import ItemWrite
from jobdash.store.leases.resume_candidates import agrees
from jobdash.store.leases.transitions import make_pending, reset_errors
from jobdash.store.leases.work_identity import WorkIdentity
from jobdash.store.owner import current_owner

HERE = current_owner()
WORK = WorkIdentity("/a/run.py", "/a/run.py", "main", None, "", "process 1")
KEYS = ["a", "b", "c", "d"]


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_for_worker(path)) as connection:
        yield connection


def run(db: sqlite3.Connection, name: str = "nightly", **more: object) -> Claim:
    values = {"work": WORK, "keys": lambda: KEYS, "total": len(KEYS), **more}
    return claim(db, ClaimRequest(name, HERE, "ann@desk", True, 60_000, **values))  # type: ignore[arg-type]


def left(claimed: Claim, *outcomes: str, word: str = "failed") -> Claim:
    """Let a run do its first items, and end."""
    hold = claimed.lease
    hold.expect(KEYS)
    hold.write_items([ItemWrite(key, what) for key, what in zip(KEYS, outcomes, strict=False)])
    hold.finish(word, f"{word} by the test")
    return claimed


def retry(db: sqlite3.Connection, job_id: int) -> None:
    """Do what a retry does to an ended job."""
    reset_errors(db, job_id, 1, 1_000)
    make_pending(db, job_id, keyed=True)


def process(number: int) -> WorkIdentity:
    return WORK._replace(root=f"process {number}")


def test_the_same_work_in_another_process_goes_on(db: sqlite3.Connection) -> None:
    first = left(run(db), "ok", "error")
    again = run(db, work=process(2))
    assert again.job_id == first.job_id
    assert again.resumed == (1, 1)
    assert (again.succeeded, again.failed, again.total) == (1, 0, 4)


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (process(2)._replace(script="/b/run.py"), "it is of another script, /a/run.py"),
        (process(2)._replace(function="other"), "it is of another loop, in main of /a/run.py"),
        (process(2)._replace(file="/a/lib.py"), "it is of another loop, in main of /a/run.py"),
        (process(2)._replace(arguments="digest"), "its command had other arguments"),
        (process(1), "it ended in this very process"),
        (process(2)._replace(item="docs: b"), "it was no loop inside an item"),
        (process(2)._replace(turn=2), "it was loop 1 of its kind in its run, and this is loop 3"),
        (None, "code without a file continues nothing by itself"),
    ],
)
def test_another_work_is_a_new_job_with_a_reason(
    db: sqlite3.Connection, work: WorkIdentity | None, reason: str
) -> None:
    first = left(run(db), "ok")
    other = run(db, work=work)
    assert other.job_id != first.job_id
    assert other.choice.passed_over is not None
    assert (other.choice.passed_over.public_id, other.choice.reason) == (first.public_id, reason)


def test_the_newest_job_of_the_same_work_decides_behind_others_of_the_name(db: sqlite3.Connection) -> None:
    monday = left(run(db, work=WORK._replace(arguments="monday")), "ok")
    left(run(db, work=WORK._replace(arguments="tuesday")), *["ok"] * 4, word="completed")
    again = run(db, work=process(2)._replace(arguments="monday"))
    assert again.job_id == monday.job_id


def test_a_retried_job_goes_before_newer_ones_of_its_work(db: sqlite3.Connection) -> None:
    """What a person has asked for with `jobdash retry` is done by the next run."""
    monday = left(run(db), "ok", "error", word="completed")
    left(run(db, work=process(2)), *["ok"] * 4, word="completed")
    retry(db, monday.job_id)
    again = run(db, work=process(3))
    assert (again.job_id, again.resumed) == (monday.job_id, (1, 0))


def test_a_retried_job_of_other_keys_leaves_the_newest_to_decide(db: sqlite3.Connection) -> None:
    monday = left(run(db), "ok", "error", word="completed")
    others = ["x", "y", "z"]
    newer = run(db, work=process(2), keys=lambda: others)
    newer.lease.expect(others)
    newer.lease.finish("failed", "x")
    retry(db, monday.job_id)
    assert run(db, work=process(3), keys=lambda: others).job_id == newer.job_id


@pytest.mark.parametrize("item", ["", '", "', '"', "\\", "process 1", '", "", 0]', "docs: Ä%_", "a\0b"])
def test_the_pattern_of_a_work_matches_no_other(db: sqlite3.Connection, item: str) -> None:
    mine = WORK._replace(item=item, turn=3)
    first = left(run(db, work=mine))
    for other in (mine._replace(item=f"{item}x"), mine._replace(item=f"x{item}"), mine._replace(turn=33)):
        assert run(db, work=other._replace(root="process 2")).job_id != first.job_id
    assert run(db, work=mine._replace(root='process "2')).job_id == first.job_id


@pytest.mark.parametrize("work", [None, WORK._replace(arguments="--day 2"), WORK._replace(turn=1)])
def test_a_job_of_another_work_that_runs_is_not_called_left(
    db: sqlite3.Connection, work: WorkIdentity | None
) -> None:
    first = run(db)
    again = run(db, work=work)
    assert again.job_id != first.job_id
    assert again.choice == Continuation()


def test_keys_that_share_fewer_than_half_are_another_work(db: sqlite3.Connection) -> None:
    first = left(run(db), "ok", "ok")
    for keys, continues in ((["a", "x", "y"], False), (["c", "d", "x", "y", "z"], True)):
        again = run(db, work=process(2), keys=lambda keys=keys: keys)
        assert (again.job_id == first.job_id) is continues
        if not continues:
            assert again.choice.reason == "fewer than half of its keys are among those of this run"
            again.lease.finish("completed", "done")
            db.execute("DELETE FROM item WHERE job_id = ?", (again.job_id,))
            db.execute("DELETE FROM attempt WHERE job_id = ?", (again.job_id,))
            db.execute("DELETE FROM job WHERE id = ?", (again.job_id,))


OTHERS = ["w", "x", "y", "z"]


@pytest.mark.parametrize("end", ["completed", "failed", "removed", "running"])
def test_a_left_job_that_one_of_other_keys_hides_is_named(db: sqlite3.Connection, end: str) -> None:
    first = left(run(db), "ok", "ok", word="cancelled")
    newer = run(db, work=process(2), keys=lambda: OTHERS)
    newer.lease.expect(OTHERS)
    if end != "running":
        newer.lease.finish("failed" if end == "failed" else "completed", "x")
    if end == "removed":
        db.execute("UPDATE job SET removed_at = 1 WHERE id = ?", (newer.job_id,))

    again = run(db, work=process(3))

    assert again.job_id not in {first.job_id, newer.job_id}
    assert again.choice.passed_over is not None
    assert (again.choice.passed_over.public_id, again.choice.reason) == (
        first.public_id,
        f"a newer job with other keys, {newer.public_id}, stands before it",
    )


def test_a_left_job_of_another_work_is_named_when_only_its_keys_agree(db: sqlite3.Connection) -> None:
    first = left(run(db, work=WORK._replace(function="old")), "ok", word="cancelled")
    newer = run(db, work=process(2)._replace(arguments="tuesday"), keys=lambda: OTHERS)
    newer.lease.expect(OTHERS)
    newer.lease.finish("completed", "x")
    again = run(db, work=process(3))
    assert again.choice.passed_over is not None
    assert (again.choice.passed_over.public_id, again.choice.reason) == (
        first.public_id,
        "it is of another loop, in old of /a/run.py",
    )


def test_a_left_job_whose_work_was_done_since_is_not_named(db: sqlite3.Connection) -> None:
    left(run(db), "ok", word="cancelled")
    left(run(db, work=process(2), resume="never"), *["ok"] * 4, word="completed")
    assert run(db, work=process(3)).choice == Continuation()


def test_a_left_job_that_shares_too_few_keys_is_not_named(db: sqlite3.Connection) -> None:
    left(run(db), "ok", word="cancelled")
    newer = run(db, work=process(2), keys=lambda: OTHERS)
    newer.lease.expect(OTHERS)
    newer.lease.finish("completed", "x")
    assert run(db, work=process(3), keys=lambda: ["m", "n", "o"]).choice == Continuation()


def test_keys_are_compared_by_a_sample_of_a_huge_job(db: sqlite3.Connection) -> None:
    claimed = run(db, keys=None)
    claimed.lease.expect([str(number) for number in range(10_000)])
    assert agrees(db, claimed.job_id, (str(number) for number in range(10_000)))
    assert not agrees(db, claimed.job_id, (str(number) for number in range(4_000)))
    endless = (str(number) for number in itertools.count())
    assert agrees(db, claimed.job_id, endless)  # it stops as soon as it is sure


def test_a_completed_job_with_failures_goes_on_only_when_asked(db: sqlite3.Connection) -> None:
    first = left(run(db), "ok", "ok", "error", "ok", word="completed")
    anew = run(db, work=process(2))
    assert anew.job_id != first.job_id
    assert anew.choice.passed_over is not None
    assert anew.choice.passed_over.failed == 1
    anew.lease.finish("cancelled", "x")
    db.execute("UPDATE job SET removed_at = 1 WHERE id = ?", (anew.job_id,))
    assert (
        run(db, work=process(3), resume="failed").job_id != first.job_id
    )  # the newest decides, removed or not
    second = left(run(db, "other"), "ok", "error", "error", "ok", word="completed")
    again = run(db, "other", work=process(2), resume="failed")
    assert (again.job_id, again.resumed) == (second.job_id, (2, 2))


def test_resume_never_and_always_and_by_id(db: sqlite3.Connection) -> None:
    first = left(run(db), "ok")
    assert run(db, work=process(2), resume="never").job_id != first.job_id
    db.execute("UPDATE job SET removed_at = 1 WHERE id <> ?", (first.job_id,))
    with pytest.raises(CannotResumeError, match="was removed; jobdash undo"):
        run(db, resume=db.execute("SELECT public_id FROM job WHERE removed_at = 1").fetchone()[0])
    by_id = run(db, "another name", work=None, resume=first.public_id[:5], keys=lambda: ["x"])
    assert (by_id.job_id, by_id.name) == (first.job_id, "nightly")
    with pytest.raises(CannotResumeError, match="another run is at this job"):
        run(db, resume=first.public_id)
    left(by_id, "ok")
    assert (
        run(db, work=None, resume="always", keys=lambda: ["x"]).job_id != first.job_id
    )  # one of the name is newer


@pytest.mark.parametrize(
    ("resume", "message"),
    [
        ("faild", "no job of a script has this id"),
        ("ab", "resume takes auto, never, always, failed or a job's id, not 'ab'"),
        ("a%b", "resume takes auto"),
        ("", "resume takes auto"),
    ],
)
def test_what_names_no_job_is_refused_before_anything_is_done(
    db: sqlite3.Connection, resume: str, message: str
) -> None:
    with pytest.raises(CannotResumeError, match=message):
        run(db, resume=resume)
    assert db.execute("SELECT count(*) FROM job").fetchone() == (0,)


def test_an_unnamed_loop_whose_line_moved_is_named(db: sqlite3.Connection) -> None:
    first = left(run(db, "run.py:4", work=WORK._replace(line=4)), "ok")
    moved = run(db, "run.py:5", work=process(2)._replace(line=5))
    assert moved.job_id != first.job_id
    assert moved.choice.passed_over is not None
    assert (moved.choice.passed_over.public_id, moved.choice.reason) == (
        first.public_id,
        "it is of another line, 4",
    )


@dataclass
class Model:
    """What is known of the jobs of one name, newest last."""

    jobs: list[ModelJob] = field(default_factory=list)

    def expected(self, step: Step, number: int) -> int | None:
        """The job that a run has to continue; None for a new one."""
        same = [job for job in self.jobs if (job.script, job.arguments) == (step.script, step.arguments)]
        retried = [job for job in same if job.status == "pending" and not job.removed]
        for job in (*retried[-1:], *same[-1:]):  # the newest of each
            if self.continues(job, step, number):
                return job.id
        return None

    def continues(self, job: ModelJob, step: Step, number: int) -> bool:
        if job.status == "completed" and not (step.resume == "failed" and job.failed):
            return False
        if job.removed or job.process == number:
            return False
        return 2 * len(job.keys & set(step.keys)) >= len(job.keys)


@dataclass
class ModelJob:
    id: int
    script: str
    arguments: str
    process: int
    keys: set[str]
    done: set[str]
    failed: int
    status: str
    removed: bool = False


@dataclass(frozen=True)
class Step:
    """One run of a script, and how it ends."""

    script: str
    arguments: str
    same_process: bool
    keys: tuple[str, ...]
    done: int
    fails: bool
    end: str
    resume: str
    remove: bool
    retry: int | None
    """The place, in all jobs so far, of one that is retried afterwards if it has ended."""


steps = st.builds(
    Step,
    script=st.sampled_from(["/a/x.py", "/b/x.py"]),
    arguments=st.sampled_from(["", "monday"]),
    same_process=st.booleans(),
    keys=st.sampled_from([("1", "2", "3", "4"), ("3", "4", "5", "6"), ("4", "5", "6", "7"), ("8", "9"), ()]),
    done=st.integers(0, 4),
    fails=st.booleans(),
    end=st.sampled_from(["completed", "cancelled", "failed"]),
    resume=st.sampled_from(["auto", "auto", "failed"]),
    remove=st.booleans(),
    retry=st.none() | st.integers(0, 6),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(steps, min_size=2, max_size=7))
def test_no_run_continues_the_work_of_another(
    tmp_path_factory: pytest.TempPathFactory, history: list[Step]
) -> None:
    path = tmp_path_factory.mktemp("store") / "jobs.db"
    ensure_store(path)
    model, number = Model(), 0
    with closing(open_for_worker(path)) as db:
        for step in history:
            number += not step.same_process
            work = WorkIdentity(step.script, step.script, "main", None, step.arguments, f"process {number}")
            expected = model.expected(step, number)
            claimed = claim(
                db,
                ClaimRequest(
                    "nightly",
                    replace(HERE, pid=1),
                    "ann@desk",
                    True,
                    60_000,
                    work=work,
                    keys=lambda step=step: step.keys,
                    resume=step.resume,
                ),
            )
            assert (None if claimed.resumed is None else claimed.job_id) == expected
            job = next((one for one in model.jobs if one.id == claimed.job_id), None)
            if job is None:
                job = ModelJob(claimed.job_id, step.script, step.arguments, number, set(), set(), 0, "")
                model.jobs.append(job)
            known = claimed.lease.item_states(list(step.keys)) if step.keys else {}
            skipped = {key for key, standing in known.items() if standing.outcome == "ok"}
            assert skipped <= job.done, "an item was skipped that this job has not done"
            todo = [key for key in step.keys if key not in skipped][: step.done]
            outcomes = [ItemWrite(key, "ok") for key in todo]
            if outcomes and step.fails:
                outcomes[-1] = ItemWrite(todo[-1], "error")
            claimed.lease.expect(step.keys)
            claimed.lease.write_items(outcomes)
            claimed.lease.finish(step.end, "x")
            job.process, job.status = number, step.end
            job.keys |= set(step.keys)
            job.done |= {one.key for one in outcomes if one.outcome == "ok"}
            job.failed = sum(one.outcome == "error" for one in outcomes)
            if step.remove:
                job.removed = True
                db.execute("UPDATE job SET removed_at = 1 WHERE id = ?", (job.id,))
            if step.retry is not None and step.retry < len(model.jobs):
                again = model.jobs[step.retry]
                if not again.removed and again.status != "pending":
                    retry(db, again.id)
                    again.status, again.failed = "pending", 0


def test_what_another_version_wrote_is_no_work() -> None:
    assert WorkIdentity.decode(WORK.encode()) == WORK
    for text in (None, "", "[]", "{}", "[1]", '["a"]', "[" * 9999):
        assert WorkIdentity.decode(text) is None
