"""A batch as an account holds it: its script, its requests, and whether somebody asked for its cancel."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from jobdash.demo.emulator import timeline
from jobdash.demo.emulator.batch_plan import BatchFailure, BatchPlan, BatchScript, Phase, Switches
from jobdash.demo.emulator.speed import Speed
from jobdash.demo.emulator.timeline import BatchSnapshot

_AS_PLANNED = Speed()


@dataclass(frozen=True, slots=True)
class BatchRequests:
    """The requests of a batch: their number, and their ids unless those are simply counted."""

    count: int
    ids: tuple[str, ...] | None = None
    metadata: tuple[object, ...] | None = None
    """What came with each inline request of Gemini, and goes back with its response."""

    def id(self, index: int) -> str:
        """The `custom_id` (OpenAI) or `key` (Gemini) of one request."""
        return self.ids[index] if self.ids is not None else f"request-{index + 1}"


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """What became of one request: a failure, an answer (no failure), or nothing before the window closed."""

    index: int
    failure: BatchFailure | None = None
    expired: bool = False


@dataclass(slots=True)
class Batch:
    """One batch; all that ever changes is the moment its cancel was asked for."""

    id: str
    number: int
    created: float
    window: float
    script: BatchScript
    requests: BatchRequests
    input_file: str | None
    cancelled: float | None = None

    @property
    def plan(self) -> BatchPlan:
        """How it will go."""
        return self.script.plan

    @property
    def expires(self) -> float:
        """When its window closes."""
        own = self.plan.timing.expires_after
        return self.created + (self.window if own is None else own)

    def at(self, now: float, switches: Switches, speed: Speed = _AS_PLANNED) -> BatchSnapshot:
        """How it looks at that moment."""
        created = self.created
        snapshot = timeline.look(
            self.plan,
            total=self.requests.count,
            created=self.created,
            window=self.expires - self.created,
            cancelled=None if self.cancelled is None else speed.planned(self.cancelled, created),
            cancel=switches.cancel,
            now=speed.planned(now, created),
        )
        return speed.in_real_time(snapshot, created)

    def outcomes(self, snapshot: BatchSnapshot, *, shuffled: bool = False) -> Iterator[RequestOutcome]:
        """What became of every request that has an outcome, in the order of the result file."""
        total = self.requests.count if snapshot.phase is Phase.EXPIRED else snapshot.processed
        order = list(range(total))
        if shuffled:
            # Not for secrets: the order only has to be another one, and the same in every run.
            random.Random(self.id).shuffle(order)  # noqa: S311
        for index in order:
            if index < snapshot.processed:
                yield RequestOutcome(index, self._failure(index))
            else:
                yield RequestOutcome(index, expired=True)

    def _failure(self, index: int) -> BatchFailure | None:
        total = self.requests.count
        failing = timeline.failing_in(self.plan, total)
        if not timeline.fails(index, failing, total):
            return None
        nth = timeline.failed_among(index, failing, total)
        ends = list(accumulate(failure.count for failure in self.plan.failures))
        return self.plan.failures[bisect_right(ends, nth)]
