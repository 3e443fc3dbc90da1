"""`Job.map`: outcomes as they come, bounded, and what a cancel or an error leaves of them."""

from __future__ import annotations

import gc
import threading

import pytest
from worker_kit import Seen, until

from jobdash import JobCancelled, track


def test_outcomes_come_with_key_value_and_error(seen: Seen) -> None:
    def work(value: int) -> object:
        if value == 1:
            raise ValueError("one")
        return object() if value == 2 else value * 10

    with track(range(4), "outcomes", key=str, on_error="record") as job:
        found = {one.key: one for one in job.map(work, workers=2, outcomes=True)}
    assert (found["0"].value, found["0"].error) == (0, None)
    assert found["3"].value == 30
    assert str(found["1"].error) == "one"
    assert found["2"].value is not None  # it is handed back, though it cannot be kept
    assert isinstance(found["2"].error, TypeError)
    assert seen.counts("outcomes") == ("completed", 4, 2, 2)


def test_what_waits_to_be_taken_is_bounded(seen: Seen) -> None:
    begun: list[int] = []
    with track(range(100), "bounded", key=str) as job:
        outcomes = job.map(begun.append, workers=3, outcomes=True)
        next(outcomes)
        until(lambda: job.succeeded >= 4, "what may be done without being taken")
        assert len(begun) <= 2 * 3
        taken = 1 + sum(1 for _ in outcomes)
    assert taken == 100
    assert seen.counts("bounded") == ("completed", 100, 100, 0)


def test_outcomes_that_are_left_end_the_threads_and_the_job(seen: Seen) -> None:
    before = threading.active_count()
    with track(range(100), "left", key=str) as job:
        # The sixth that comes, whichever it is: one thread may be slower than all others.
        for number, _ in enumerate(job.map(str, workers=3, outcomes=True), 1):
            if number == 6:
                break
    gc.collect()
    status, total, done, failed = seen.counts("left")
    assert (status, total, failed) == ("cancelled", 100, 0)
    assert 6 <= done <= 6 + 3
    until(lambda: threading.active_count() <= before, "the end of the threads")


def test_outcomes_of_what_was_under_way_come_before_the_cancel(seen: Seen) -> None:
    got = []

    def run() -> None:
        with track(range(50), "cancelled", key=str) as job:
            for outcome in job.map(str, workers=2, outcomes=True):
                got.append(outcome.key)
                if len(got) == 3:
                    job.token.cancel()

    with pytest.raises(JobCancelled):
        run()
    assert seen.counts("cancelled") == ("cancelled", 50, len(got), 0)


def test_an_error_is_raised_behind_what_was_under_way(seen: Seen) -> None:
    def work(value: int) -> int:
        if value == 5:
            raise ValueError("five")
        return value

    got = []

    def run() -> None:
        with track(range(50), "raised", key=str) as job:
            got.extend(outcome.value for outcome in job.map(work, workers=2, outcomes=True))

    with pytest.raises(ValueError, match="five"):
        run()
    assert seen.counts("raised")[0] == "failed"
    assert seen.counts("raised")[3] == 1


def test_the_limit_of_a_result_is_an_error_of_its_item_and_can_be_raised(seen: Seen) -> None:
    with track(range(2), "long", key=str, on_error="record") as job:
        job.map(lambda value: "x" * (20_000 if value else 10))
    assert seen.counts("long") == ("completed", 2, 1, 1)
    with track(range(2), "longer", key=str, max_detail=100_000) as job:
        job.map(lambda _value: "x" * 20_000)
    assert seen.counts("longer") == ("completed", 2, 2, 0)
    assert seen.ask("SELECT min(length(detail)) FROM item WHERE job_id = 2") == [(20_002,)]
