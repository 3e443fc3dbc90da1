"""Batches that move on faster than planned, and times that stay real."""

from __future__ import annotations

import pytest

from jobdash.demo.emulator import BatchPlan, BatchScript, Emulator, ManualClock, Phase, Timing

TIMING = Timing(validating=60, running=600, finalizing=60, cancelling=120)


@pytest.mark.parametrize("total", [1, 3, 100, 50_000])
def test_a_batch_of_any_size_takes_a_part_of_its_time(total: int) -> None:
    clock = ManualClock()
    emulator = Emulator(clock=clock, speed=60)
    made = emulator.openai.add_batch(BatchScript(total=total, plan=BatchPlan(timing=TIMING)))
    start, seen = clock.now(), []
    for _ in range(14):
        seen.append(emulator.openai.snapshot(made).phase)
        clock.advance(1)
    assert list(dict.fromkeys(seen)) == [
        Phase.VALIDATING, Phase.IN_PROGRESS, Phase.FINALIZING, Phase.COMPLETED,
    ]  # fmt: skip
    entered = emulator.openai.snapshot(made).entered
    assert {phase: at - start for phase, at in entered.items()} == {
        Phase.VALIDATING: 0,
        Phase.IN_PROGRESS: pytest.approx(1),
        Phase.FINALIZING: pytest.approx(11),
        Phase.COMPLETED: pytest.approx(12),
    }


def test_what_happened_before_the_emulator_began_stays_where_it_was() -> None:
    clock = ManualClock()
    emulator = Emulator(clock=clock, speed=10)
    script = BatchScript(total=10, created_at=clock.now() - 300, plan=BatchPlan(timing=TIMING))
    made = emulator.gemini.add_batch(script)
    snapshot = emulator.gemini.snapshot(made)
    assert (snapshot.phase, snapshot.succeeded) == (Phase.IN_PROGRESS, 4)
    assert snapshot.entered[Phase.IN_PROGRESS] == clock.now() - 240
    clock.advance(42.1)
    assert emulator.gemini.snapshot(made).phase is Phase.COMPLETED


def test_a_cancel_takes_a_part_of_its_time() -> None:
    clock = ManualClock()
    emulator = Emulator(clock=clock, speed=60)
    made = emulator.openai.add_batch(BatchScript(total=10, plan=BatchPlan(timing=TIMING)))
    clock.advance(6)
    assert emulator.openai.cancel(made)
    assert emulator.openai.snapshot(made).entered[Phase.CANCELLING] == pytest.approx(clock.now())
    clock.advance(1.9)
    assert emulator.openai.snapshot(made).phase is Phase.CANCELLING
    clock.advance(0.2)
    snapshot = emulator.openai.snapshot(made)
    assert (snapshot.phase, snapshot.succeeded) == (Phase.CANCELLED, 5)


def test_the_window_closes_as_much_sooner() -> None:
    clock = ManualClock()
    emulator = Emulator(clock=clock, speed=24)
    made = emulator.openai.add_batch(BatchScript(total=10))
    batch = emulator.openai.account().batches.get(made)
    assert batch is not None
    assert emulator.openai.expires(batch) == pytest.approx(clock.now() + 3600)
