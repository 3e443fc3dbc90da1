"""Queries of the queue of submits: what waits here, and how much is enqueued at a provider."""

from __future__ import annotations

from jobdash.domain.status import QUEUED_HERE, Status
from jobdash.store.read_connection import ReadConnection
from jobdash.store.rows import UNFINISHED_REMOTELY


class QueueReads(ReadConnection):
    """Queries for the state of the queue before a submit, and when the dashboard is left."""

    def queued_here(self) -> int:
        """Return how many batches wait on this computer to be sent."""
        ((number,),) = self._all(
            "SELECT count(*) FROM job WHERE queued IS NOT NULL AND raw_status = ? AND remote_id IS NULL"
            " AND status = ? AND removed_at IS NULL",
            (QUEUED_HERE, str(Status.PENDING)),
        )
        return int(number)

    def enqueued_tokens(self, account: str, model: str | None) -> int:
        """Return the estimated tokens of what an account has under way for a model, or waits to be sent."""
        ((tokens,),) = self._all(
            "SELECT coalesce(sum(estimated_tokens), 0) FROM job INDEXED BY job_unfinished"
            f" WHERE {UNFINISHED_REMOTELY} AND account = ? AND model IS ? AND gone_at IS NULL",
            (account, model),
        )
        return int(tokens)
