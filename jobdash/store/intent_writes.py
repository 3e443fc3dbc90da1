"""Intents that belong to no state of a job, and the take-over of those left by the dead."""

from __future__ import annotations

from sqlalchemy import bindparam, update

from jobdash.store.desk import Desk, intents
from jobdash.store.records import Intent, IntentKind

_TAKE_OVER = (
    update(intents)
    .where(
        intents.c.id == bindparam("intent_key"),
        intents.c.closed_at.is_(None),
        intents.c.owner == bindparam("was"),
        intents.c.deadline == bindparam("until"),
    )
    .values(owner=bindparam("mine"), deadline=bindparam("later"))
)


class IntentWrites(Desk):
    """What is written around requests that leave the job's own columns alone."""

    def open_intent(
        self,
        kind: IntentKind,
        job_id: int,
        *,
        deadline: int,
        target: str | None = None,
        bulk: str | None = None,
    ) -> Intent:
        """Write, before it is sent, that something is deleted; on disk when this returns."""
        with self._transaction(durable=True) as connection:
            row = self._row_now(connection, job_id)
            return self._open(connection, self._clock(), kind, row, deadline, bulk=bulk, target=target)

    def close_intent(self, intent_id: int, result: str) -> bool:
        """Write how it ended; False when somebody else has closed it."""
        with self._transaction() as connection:
            return self._close(connection, intent_id, self._clock(), result) is not None

    def take_over(self, intent: Intent, deadline: int) -> bool:
        """Make an abandoned intent ours, with a new deadline; False when another process was faster."""
        change = {
            "intent_key": intent.id,
            "was": intent.owner.encode(),
            "until": intent.deadline,
            "mine": self._actor.owner.encode(),
            "later": deadline,
        }
        with self._transaction() as connection:
            return connection.execute(_TAKE_OVER, change).rowcount == 1
