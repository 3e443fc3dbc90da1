"""Batches that move on faster than their plans say, while the clock stays that of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobdash.demo.emulator.batch_plan import Phase
    from jobdash.demo.emulator.timeline import BatchSnapshot


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
