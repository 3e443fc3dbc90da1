"""Intents: what is about to change outside, written before it is sent and closed by the answer."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, text, update

from jobdash.domain.job import JobRow
from jobdash.store.commands.base import JobWrites
from jobdash.store.records import Intent, IntentKind, InUse, Precondition, Refusal
from jobdash.store.rows import INTENT_COLUMNS, UNFINISHED_REMOTELY, intent_row
from jobdash.store.sanitize import stored
from jobdash.store.schema.tables import IntentRecord, table
from jobdash.store.unit_of_work import CompiledStatement

TAKEN_BACK = "its removal was taken back or carried out elsewhere"

intents = table(IntentRecord)
_COLUMNS = [intents.c[name] for name in INTENT_COLUMNS]
_THIS = intents.c.id == bindparam("intent_key")
_THIS_OPEN = (_THIS, intents.c.closed_at.is_(None))

_INSERT = CompiledStatement(insert(intents))
_OPEN = CompiledStatement(select(intents.c.id).where(*_THIS_OPEN))
_CLOSED = CompiledStatement(select(*_COLUMNS).where(_THIS, intents.c.closed_at.is_not(None)))
_CLOSE = CompiledStatement(
    update(intents)
    .where(*_THIS_OPEN)
    .values(closed_at=bindparam("now"), result=bindparam("outcome"))
    .returning(*_COLUMNS)
)
_WAITING = select(intents.c.id).where(
    intents.c.job_id == bindparam("job_key"),
    intents.c.kind == str(IntentKind.REMOVE),
    intents.c.closed_at.is_(None),
)
_TAKE_OVER = (
    update(intents)
    .where(*_THIS_OPEN, intents.c.owner == bindparam("was"), intents.c.deadline == bindparam("until"))
    .values(owner=bindparam("mine"), deadline=bindparam("later"))
)
_RENEW = update(intents).where(*_THIS_OPEN).values(deadline=bindparam("later"))
_USER_UNFINISHED = UNFINISHED_REMOTELY.replace("remote_status", "user.remote_status")
# Unfinished jobs are few, however long the history: the partial index finds them. A removed one runs on.
_USER_OF = text(
    "SELECT user.public_id FROM job AS mine JOIN job AS user INDEXED BY job_unfinished"
    " ON user.origin = mine.origin AND user.provider = mine.provider AND user.id <> mine.id"
    f" WHERE mine.id = :job_key AND {_USER_UNFINISHED} AND user.gone_at IS NULL"
    " AND EXISTS (SELECT 1 FROM json_each(user.files) AS file WHERE file.value = :file) LIMIT 1"
)


class IntentWrites(JobWrites):
    """Opens, renews and closes intents, and takes over those of dead processes."""

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

        A deletion cannot be undone, so all is checked once more: the job as it was planned (``fence``,
        ``accept``), the waiting removal with the id ``waiting``, and other users of the file ``file_id``.
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
        """Move the deadline of an intent whose request is sent once more; False when it was closed."""
        with self._transaction(durable=True) as connection:
            renewed = connection.execute(_RENEW, {"intent_key": intent_id, "later": deadline})
            return renewed.rowcount == 1

    @staticmethod
    def _user_of(connection: Connection, job_id: int, file_id: str) -> str | None:
        """Return the public id of an unfinished job of the same server that needs a file, if there is one."""
        return connection.execute(_USER_OF, {"job_key": job_id, "file": file_id}).scalar()

    def close_intent(self, intent_id: int, result: str) -> bool:
        """Write how a request ended; False when the intent was closed elsewhere."""
        with self._transaction() as connection:
            return self._close(connection, intent_id, self._clock(), result) is not None

    def take_over(self, intent: Intent, deadline: int) -> bool:
        """Make an abandoned intent ours, with a new deadline; False when another process did."""
        change = {
            "intent_key": intent.id,
            "was": intent.owner.encode(),
            "until": intent.deadline,
            "mine": self._actor.owner.encode(),
            "later": deadline,
        }
        with self._transaction() as connection:
            return connection.execute(_TAKE_OVER, change).rowcount == 1

    def _open(
        self,
        connection: Connection,
        now: int,
        kind: IntentKind,
        row: JobRow,
        deadline: int,
        *,
        bulk: str | None = None,
        target: str | None = None,
        choices: dict[str, Any] | None = None,
        earlier: int | None = None,
    ) -> Intent:
        """Write an intent; see `Intent` for what the arguments mean."""
        made = _INSERT.run(
            connection,
            kind=str(kind),
            account=row.account,
            job_id=row.id,
            owner=self._actor.owner.encode(),
            actor=self._actor.name,
            opened_at=now,
            deadline=deadline,
            earlier_cancel_requested_at=earlier,
            target=target,
            choices=json.dumps(choices) if choices else None,
            bulk=bulk,
        )
        assert made.lastrowid is not None
        owner, kept = self._actor.owner, choices or {}
        return Intent(
            made.lastrowid, kind, row.account, row.id, owner, now, deadline, earlier, target, kept, bulk
        )

    def _close(self, connection: Connection, intent_id: int, now: int, outcome: str) -> Intent | None:
        """Close an open intent and return it; None when it was closed elsewhere."""
        values = _CLOSE.run(connection, intent_key=intent_id, now=now, outcome=stored(outcome)).fetchone()
        return None if values is None else intent_row(values)

    @staticmethod
    def _closed(connection: Connection, intent_id: int) -> Intent | None:
        """Return an intent that was closed."""
        values = _CLOSED.run(connection, intent_key=intent_id).fetchone()
        return None if values is None else intent_row(values)

    @staticmethod
    def _is_open(connection: Connection, intent_id: int) -> bool:
        return _OPEN.run(connection, intent_key=intent_id).fetchone() is not None

    def _close_waiting(self, connection: Connection, job_id: int, now: int, outcome: str) -> None:
        """Close a job's waiting removal, if it has one: it was taken back, or the job is removed already."""
        for (intent_id,) in connection.execute(_WAITING, {"job_key": job_id}).all():
            self._close(connection, intent_id, now, outcome)
