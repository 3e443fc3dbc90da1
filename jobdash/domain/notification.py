"""Notifications: what a person is notified of, and in which words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from jobdash.domain.describe.job_text import done_words, ended_word
from jobdash.domain.job import JobRow
from jobdash.domain.status import Completeness, Status
from jobdash.domain.text import clean
from jobdash.domain.time import short_span

_NAME_MOST = 60


class NotificationKind(StrEnum):
    """What happened to a job; ``[notify] on`` names them."""

    FINISHED = "finished"
    FAILED = "failed"
    """It failed, expired, or all of its requests failed."""
    STALLED = "stalled"
    """Its script was not heard of for longer than its lease."""
    RESULTS_GONE_SOON = "results-gone-soon"
    """Its results were not fetched, and its provider deletes them within a day."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One event of one job that a person is notified of."""

    kind: NotificationKind
    row: JobRow
    at: int
    """When it happened, milliseconds UTC."""

    @property
    def title(self) -> str:
        """The job and what became of it: ``nightly-eval: partial``."""
        words = {NotificationKind.STALLED: "stalled", NotificationKind.RESULTS_GONE_SOON: "results gone soon"}
        return f"{clean(self.row.name, _NAME_MOST)}: {words.get(self.kind) or ended_word(self.row)}"

    @property
    def body(self) -> str:
        """More about it, in one line."""
        if self.kind is NotificationKind.RESULTS_GONE_SOON and self.row.results_expire_at is not None:
            left = short_span(max(0, self.row.results_expire_at - self.at))
            return f"its provider deletes them in {left}; jobdash fetch {self.row.public_id}"
        failed = f", {self.row.failed:,} failed" if self.row.failed else ""
        counts = f"{done_words(self.row)}{failed} · " if self.row.done is not None else ""
        return f"{counts}{clean(self.row.account, 32)} · {self.row.public_id}"


def kind_of_end(row: JobRow) -> NotificationKind | None:
    """Return what a person is notified of when a job has ended; None for a cancel, which they asked for."""
    if row.status is Status.COMPLETED:
        failed = row.outcome is Completeness.ALL_FAILED
        return NotificationKind.FAILED if failed else NotificationKind.FINISHED
    return NotificationKind.FAILED if row.status in {Status.FAILED, Status.EXPIRED} else None
