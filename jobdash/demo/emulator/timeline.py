"""The time of the emulator: its clocks, its speed, and the state of a batch at any time."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from jobdash.demo.emulator.batch_plan import BatchPlan, CancelBehaviour, Ending, Phase


class Clock(Protocol):
    """A source of time."""

    def now(self) -> float:
        """Seconds since the epoch."""


class RealClock:
    """The time of the machine."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()


class ScaledClock:
    """Starts at `start` (the real time, if not given) and runs `factor` times as fast as the machine's."""

    def __init__(self, factor: float, *, start: float | None = None) -> None:
        self._factor = factor
        self._start = time.time() if start is None else start
        self._zero = time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch, as this clock sees it."""
        return self._start + (time.monotonic() - self._zero) * self._factor


class ManualClock:
    """Stands still until a test moves it."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on; a clock never goes back."""
        if seconds < 0:
            raise ValueError(f"a clock never goes back: {seconds}")
        self._now += seconds


@dataclass(frozen=True, slots=True)
class Speed:
    """What happens from ``since`` on (or from a batch's creation, if that is later) takes 1/``factor`` of the
    time that is planned for it. Times are seconds since the epoch.
    """

    factor: float = 1.0
    since: float = 0.0

    def planned(self, moment: float, created: float) -> float:
        """Return the moment of a batch's plan that is reached at a real moment."""
        start = max(created, self.since)
        return moment if moment <= start else start + (moment - start) * self.factor

    def real(self, moment: float, created: float) -> float:
        """Return when a moment of a batch's plan is reached."""
        start = max(created, self.since)
        return moment if moment <= start else start + (moment - start) / self.factor

    def in_real_time(self, snapshot: BatchSnapshot, created: float) -> BatchSnapshot:
        """Return a snapshot whose phases began when they did, not when they were planned."""
        if self.factor == 1.0:
            return snapshot
        entered: Mapping[Phase, float] = {
            phase: self.real(moment, created) for phase, moment in snapshot.entered.items()
        }
        return replace(snapshot, entered=entered)


@dataclass(frozen=True, slots=True)
class BatchSnapshot:
    """The state of a batch at one time."""

    phase: Phase
    entered: Mapping[Phase, float]
    """When each phase up to now began, in seconds since the epoch."""
    total: int
    succeeded: int
    failed: int

    @property
    def processed(self) -> int:
        """Requests with an outcome."""
        return self.succeeded + self.failed

    def began(self, phase: Phase) -> int | None:
        """When a phase began, in whole seconds since the epoch; None where it has not."""
        moment = self.entered.get(phase)
        return None if moment is None else int(moment)


@dataclass(frozen=True, slots=True)
class _WorkDone:
    """`amount` requests, processed evenly from `start` to `end`; nothing more after `stop`."""

    start: float
    end: float
    amount: int
    stop: float = math.inf

    def done(self, now: float) -> int:
        elapsed = min(now, self.stop) - self.start
        if elapsed < 0:
            return 0
        share = elapsed / (self.end - self.start) if self.end > self.start else 1.0
        return math.floor(self.amount * min(share, 1.0))


@dataclass(frozen=True, slots=True)
class _Timeline:
    """The phases with their beginnings, in order, and the work done meanwhile."""

    steps: tuple[tuple[float, Phase], ...]
    work: _WorkDone

    def before(self, moment: float) -> tuple[tuple[float, Phase], ...]:
        return tuple(step for step in self.steps if step[0] <= moment)


def fails(index: int, failing: int, total: int) -> bool:
    """Whether request `index` is one of the `failing` ones, which are spread evenly over the batch."""
    return failed_among(index + 1, failing, total) > failed_among(index, failing, total)


def failed_among(first: int, failing: int, total: int) -> int:
    """How many of the `first` requests fail, when `failing` of all `total` do."""
    return first * failing // total if total else 0


def failing_in(plan: BatchPlan, total: int) -> int:
    """How many requests will fail; a plan cannot fail more than there are."""
    return min(total, sum(failure.count for failure in plan.failures))


def snapshot_at(
    plan: BatchPlan,
    *,
    total: int,
    created: float,
    window: float,
    cancelled: float | None,
    cancel: CancelBehaviour,
    now: float,
) -> BatchSnapshot:
    """The batch as it is `now`.

    `window` is the time from creation to expiry, `cancelled` the moment a cancel was asked for, if one was.
    """
    course = _undisturbed(plan, total, created, created + window)
    if cancelled is not None:
        course = _cancelled(course, cancelled, plan.timing.cancelling, cancel)
    steps = course.before(now)
    phase = steps[-1][1] if steps else Phase.VALIDATING
    processed = total if phase is Phase.COMPLETED else course.work.done(now)
    failed = failed_among(processed, failing_in(plan, total), total)
    return BatchSnapshot(
        phase=phase,
        entered={step_phase: at for at, step_phase in steps},
        total=total,
        succeeded=processed - failed,
        failed=failed,
    )


def _undisturbed(plan: BatchPlan, total: int, created: float, expiry: float) -> _Timeline:
    """The course of a batch without a cancel."""
    timing = plan.timing
    start = created + timing.validating
    if plan.ending is Ending.FAILS:
        return _Timeline(((created, Phase.VALIDATING), (start, Phase.FAILED)), _WorkDone(start, start, 0))
    end = expiry if plan.ending is Ending.EXPIRES else start + timing.running
    amount = total
    if plan.ending is not Ending.COMPLETES and plan.reached is not None:
        amount = min(total, plan.reached)
    steps = [(created, Phase.VALIDATING), (start, Phase.IN_PROGRESS)]
    if plan.ending is Ending.COMPLETES:
        steps += [(end, Phase.FINALIZING), (end + timing.finalizing, Phase.COMPLETED)]
    if steps[-1][1] is not Phase.COMPLETED or steps[-1][0] > expiry:
        steps = [step for step in steps if step[0] < expiry] + [(expiry, Phase.EXPIRED)]
    return _Timeline(tuple(steps), _WorkDone(start, end, amount, stop=expiry))


def _cancelled(course: _Timeline, asked: float, lasting: float, cancel: CancelBehaviour) -> _Timeline:
    """The same course with a cancel in it; unchanged when the batch had ended before."""
    steps = course.before(asked)
    if not steps or steps[-1][1].terminal:
        return course
    steps += ((asked, Phase.CANCELLING),)
    work = course.work
    if cancel is CancelBehaviour.LOSES_RACE:
        return _Timeline((*steps, (asked + lasting, Phase.COMPLETED)), work)
    if cancel is CancelBehaviour.WORKS:
        steps += ((asked + lasting, Phase.CANCELLED),)
    return _Timeline(steps, _WorkDone(work.start, work.end, work.amount, stop=min(work.stop, asked)))
