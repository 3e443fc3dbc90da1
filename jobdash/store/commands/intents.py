"""Intents that belong to no state of a job, and the take-over of those left by the dead."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, text, update

from jobdash.store.records import Intent, IntentKind, InUse, Precondition, Refusal
from jobdash.store.rows import UNFINISHED_REMOTELY
from jobdash.store.unit_of_work import TAKEN_BACK, UnitOfWork, intents

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
_RENEW = (
    update(intents)
    .where(intents.c.id == bindparam("intent_key"), intents.c.closed_at.is_(None))
    .values(deadline=bindparam("later"))
)
# Unfinished jobs are few, however long the history: the partial index finds them. A removed one runs on.
_USER_OF = text(
    "SELECT user.public_id FROM job AS mine JOIN job AS user INDEXED BY job_unfinished"
    " ON user.origin = mine.origin AND user.provider = mine.provider AND user.id <> mine.id"
    f" WHERE mine.id = :job_key AND user.{UNFINISHED_REMOTELY} AND user.gone_at IS NULL"
    " AND EXISTS (SELECT 1 FROM json_each(user.files) AS file WHERE file.value = :file) LIMIT 1"
)


class IntentWrites(UnitOfWork):
    """What is written around requests that leave the job's own columns alone."""

    def begin_delete(
        self,
        job_id: int,
        *,
        fence: int,
        accept: Precondition | None,
        deadline: int,
        target: str,
        file_id: str | None = None,
        waiting: int | None = None,
        bulk: str | None = None,
    ) -> Intent | Refusal | InUse:
        """Write, before it is sent, that something of a job is deleted; on disk when this returns.

        What is deleted does not come back, so all is looked at once more: the job as it was planned
        (``fence``, ``accept``), the removal that ``waiting`` names, and who else uses the file ``file_id``.
        """
        with self._transaction(durable=True) as connection:
            row = self._checked(connection, job_id, fence, accept)
            if isinstance(row, Refusal):
                return row
            if waiting is not None and not self._is_open(connection, waiting):
                return Refusal(TAKEN_BACK, row)
            user = None if file_id is None else self._user_of(connection, job_id, file_id)
            if user is not None:
                return InUse(user)
            now = self._clock()
            return self._open(connection, now, IntentKind.DELETE, row, deadline, bulk=bulk, target=target)

    def renew_intent(self, intent_id: int, deadline: int) -> bool:
        """Give an intent whose request goes out once more its time anew; False when somebody closed it."""
        with self._transaction(durable=True) as connection:
            renewed = connection.execute(_RENEW, {"intent_key": intent_id, "later": deadline})
            return renewed.rowcount == 1

    @staticmethod
    def _user_of(connection: Connection, job_id: int, file_id: str) -> str | None:
        """Return the public id of an unfinished job of the same server that needs a file, if there is one."""
        return connection.execute(_USER_OF, {"job_key": job_id, "file": file_id}).scalar()

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
