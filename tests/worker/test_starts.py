"""A script that was started for one job: it takes that very one up, or none."""

from __future__ import annotations

import pytest
from worker_kit import Scripts, Seen

DO = 'list(jobdash.track([1, 2, 3], "meant")); print("did all", flush=True)'


@pytest.fixture
def meant(scripts: Scripts, seen: Seen) -> str:
    """A pending job and its fence, as they are passed to the script that is started for it."""
    scripts.run('next(iter(jobdash.track(range(9), "meant")))')
    seen.ask(
        "UPDATE job SET remote_status = 'pending', raw_status = 'pending', finished_at = NULL,"
        " cancel_requested_at = NULL, fence = 5, attempt = 2"
    )
    return f"{seen.job('meant')['public_id']}:5"


def test_it_takes_up_the_job_it_was_started_for(scripts: Scripts, seen: Seen, meant: str) -> None:  # E-4
    code, err, out = scripts.run(DO, JOBDASH_JOB=meant)
    assert (code, out) == (0, ["did all"])
    assert err.startswith(f"jobdash: meant ({meant.partition(':')[0]}) begins again")
    assert seen.ask("SELECT status, attempt, fence FROM job") == [("completed", 2, 6)]


@pytest.mark.parametrize(
    ("meanwhile", "code", "sentence"),
    [
        ("fence = 6, remote_status = 'cancelled', finished_at = 1", 130, "Job was cancelled: 0 of 3"),  # D-5
        ("fence = 6, removed_at = 1", 75, "was removed, exiting"),  # E-7
        ("fence = 6, remote_status = 'in_progress', lease_until = 9e15", 75, "was taken over by pid "),
        ("fence = 6, remote_status = 'completed'", 75, "was taken over by pid "),
        ("fence = 6", 75, "was set back to pending, exiting"),
    ],
)
@pytest.mark.slow
def test_one_that_is_not_to_be_had_any_more_is_neither_done_nor_made_anew(
    meanwhile: str, code: int, sentence: str, scripts: Scripts, seen: Seen, meant: str
) -> None:
    seen.ask(f"UPDATE job SET {meanwhile}")
    before = seen.ask("SELECT * FROM job")
    ended, err, out = scripts.run(DO, JOBDASH_JOB=meant)
    assert (ended, out) == (code, [])
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert seen.ask("SELECT * FROM job") == before


def test_another_loop_of_the_script_is_a_job_of_its_own(scripts: Scripts, seen: Seen, meant: str) -> None:
    assert scripts.run(f'list(jobdash.track("a", "other")); {DO}\n{DO}', JOBDASH_JOB=meant)[0] == 0
    assert seen.ask("SELECT name, status, attempt FROM job ORDER BY id") == [
        ("meant", "completed", 2),
        ("other", "completed", 1),
        ("meant", "completed", 1),
    ]
