"""The report of one sync of an account."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionOutcome
from jobdash.errors import ProviderError, StoreError
from jobdash.operations.actions.reconcile import Reconciled
from jobdash.operations.submission.outcome import SubmitOutcome
from jobdash.store.records import UpsertResult


@dataclass
class SyncReport:
    """The report of one sync of an account."""

    account: str
    seen: int = 0
    new: int = 0
    changed: int = 0
    finished: list[JobRow] = field(default_factory=list)
    """Jobs that ended since they were last seen."""
    gone: list[JobRow] = field(default_factory=list)
    reconciled: list[Reconciled] = field(default_factory=list)
    removals: list[ActionOutcome] = field(default_factory=list)
    """Removals that had waited for a cancel, carried out or given up."""
    not_asked: list[tuple[JobRow, ProviderError]] = field(default_factory=list)
    """Jobs whose own request failed; the account may be all right."""
    elsewhere: list[JobRow] = field(default_factory=list)
    """Unfinished jobs at another server than the account's: they cannot be asked for."""
    error: ProviderError | StoreError | None = None
    """What the account or its list failed with."""
    next_poll_at: int = 0
    sent: list[SubmitOutcome] = field(default_factory=list)
    """The outcomes of the queued batches that were sent afterwards."""

    @property
    def lost_race(self) -> tuple[JobRow, ...]:
        """Those that completed although a cancel had been asked for."""
        return tuple(row for row in self.finished if row.lost_race)

    def add(self, result: UpsertResult) -> None:
        """Count one page's answers."""
        self.new += len(result.inserted)
        self.changed += len(result.changed)
        self.finished += result.finished
