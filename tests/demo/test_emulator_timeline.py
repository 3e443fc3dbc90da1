"""The life of a batch as a pure function of its plan and the time."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobdash.demo.emulator import BatchFailure, BatchPlan, CancelBehaviour, Ending, Phase, Timing
from jobdash.demo.emulator.timeline import BatchSnapshot, failed_among, fails, snapshot_at

TIMING = Timing(validating=10, running=100, finalizing=5, cancelling=20, expires_after=1_000)
HOUR = 3600.0


def at(
    now: float,
    plan: BatchPlan,
    *,
    total: int = 100,
    window: float = 1_000,
    cancelled: float | None = None,
    cancel: CancelBehaviour = CancelBehaviour.WORKS,
) -> BatchSnapshot:
    return snapshot_at(
        plan, total=total, created=0.0, window=window, cancelled=cancelled, cancel=cancel, now=now
    )


@pytest.mark.parametrize(
    ("now", "phase", "processed"),
    [
        (0, Phase.VALIDATING, 0),
        (9.9, Phase.VALIDATING, 0),
        (10, Phase.IN_PROGRESS, 0),
        (60, Phase.IN_PROGRESS, 50),
        (110, Phase.FINALIZING, 100),
        (115, Phase.COMPLETED, 100),
        (10_000, Phase.COMPLETED, 100),
    ],
)
def test_undisturbed(now: float, phase: Phase, processed: int) -> None:
    snapshot = at(now, BatchPlan(timing=TIMING))
    assert (snapshot.phase, snapshot.processed) == (phase, processed)


@pytest.mark.parametrize(
    ("plan", "now", "phase", "processed"),
    [
        (BatchPlan(timing=TIMING, ending=Ending.FAILS), 9, Phase.VALIDATING, 0),
        (BatchPlan(timing=TIMING, ending=Ending.FAILS), 10, Phase.FAILED, 0),
        (BatchPlan(timing=TIMING, ending=Ending.EXPIRES, reached=73), 999, Phase.IN_PROGRESS, 72),
        (BatchPlan(timing=TIMING, ending=Ending.EXPIRES, reached=73), 1_000, Phase.EXPIRED, 73),
        (BatchPlan(timing=TIMING, ending=Ending.STALLS, reached=40), 500, Phase.IN_PROGRESS, 40),
        (BatchPlan(timing=TIMING, ending=Ending.STALLS, reached=40), 1_000, Phase.EXPIRED, 40),
        (BatchPlan(timing=Timing(running=math.inf)), 500, Phase.IN_PROGRESS, 0),
        (BatchPlan(timing=Timing(validating=math.inf)), 500, Phase.VALIDATING, 0),
        # Too slow for its window: expires with what it has.
        (BatchPlan(timing=Timing(validating=0, running=2_000)), 5_000, Phase.EXPIRED, 50),
        # No time at all for anything.
        (BatchPlan(timing=Timing(validating=0, running=0, finalizing=0)), 0, Phase.COMPLETED, 100),
    ],
)
def test_endings(plan: BatchPlan, now: float, phase: Phase, processed: int) -> None:
    snapshot = at(now, plan)
    assert (snapshot.phase, snapshot.processed) == (phase, processed)


@pytest.mark.parametrize(
    ("cancel", "now", "phase", "processed"),
    [
        (CancelBehaviour.WORKS, 59, Phase.IN_PROGRESS, 49),
        (CancelBehaviour.WORKS, 60, Phase.CANCELLING, 50),
        (CancelBehaviour.WORKS, 79, Phase.CANCELLING, 50),
        (CancelBehaviour.WORKS, 80, Phase.CANCELLED, 50),
        (CancelBehaviour.LOSES_RACE, 79, Phase.CANCELLING, 69),
        (CancelBehaviour.LOSES_RACE, 80, Phase.COMPLETED, 100),
        (CancelBehaviour.STICKS, 79, Phase.CANCELLING, 50),
        (CancelBehaviour.STICKS, 1e9, Phase.CANCELLING, 50),
    ],
)
def test_a_cancel(cancel: CancelBehaviour, now: float, phase: Phase, processed: int) -> None:
    snapshot = at(now, BatchPlan(timing=TIMING), cancelled=60, cancel=cancel)
    assert (snapshot.phase, snapshot.processed) == (phase, processed)


def test_a_cancel_after_the_end_changes_nothing() -> None:
    assert at(500, BatchPlan(timing=TIMING), cancelled=200) == at(500, BatchPlan(timing=TIMING))


def test_moments_are_those_of_the_phases() -> None:
    entered = at(80, BatchPlan(timing=TIMING), cancelled=60).entered
    assert entered == {Phase.VALIDATING: 0, Phase.IN_PROGRESS: 10, Phase.CANCELLING: 60, Phase.CANCELLED: 80}


def test_failures_come_evenly() -> None:
    plan = BatchPlan(timing=TIMING, failures=(BatchFailure(20),))
    assert [at(now, plan).failed for now in (10, 60, 110, 115)] == [0, 10, 20, 20]


def test_no_more_failures_than_requests() -> None:
    snapshot = at(500, BatchPlan(timing=TIMING, failures=(BatchFailure(70), BatchFailure(70))))
    assert (snapshot.succeeded, snapshot.failed) == (0, 100)


def test_an_empty_batch() -> None:
    assert at(500, BatchPlan(timing=TIMING), total=0).processed == 0


@given(total=st.integers(1, 500), data=st.data())
def test_the_failing_requests_are_as_many_as_are_counted(total: int, data: st.DataObject) -> None:
    failing = data.draw(st.integers(0, total))
    first = data.draw(st.integers(0, total))
    assert sum(fails(index, failing, total) for index in range(first)) == failed_among(first, failing, total)
    assert failed_among(total, failing, total) == failing


@given(
    ending=st.sampled_from(Ending),
    cancel=st.sampled_from(CancelBehaviour),
    cancelled=st.none() | st.floats(0, 300),
    moments=st.lists(st.floats(0, 2_000), min_size=2, max_size=6).map(sorted),
)
def test_nothing_goes_backwards(
    ending: Ending, cancel: CancelBehaviour, cancelled: float | None, moments: list[float]
) -> None:
    plan = BatchPlan(timing=TIMING, ending=ending, reached=60, failures=(BatchFailure(7),))
    seen = [at(now, plan, cancelled=cancelled, cancel=cancel) for now in moments]
    for earlier, later in itertools.pairwise(seen):
        assert earlier.processed <= later.processed <= later.total
        assert earlier.failed <= later.failed
        assert not earlier.phase.terminal or later == earlier
