"""Intents: what is about to change outside, written before it is sent and closed by the answer."""

from __future__ import annotations

import json
from typing import Any

from jobdash.domain.job import JobRow
from jobdash.domain.status import UNFINISHED
from jobdash.store.commands.base import JobWrites
from jobdash.store.dialects.base import Connection
from jobdash.store.records import ActionRequest, Intent, IntentKind, InUse, Refusal
from jobdash.store.rows import intent_row
from jobdash.store.sanitize import stored
from jobdash.store.statements import Statement

LATE = "answered after it was given up"
TAKEN_BACK = "its removal was taken back or carried out elsewhere"

_INSERT = Statement("insert_intent")
_OPEN = Statement("open_intent")
_CLOSED = Statement("closed_intent")
_CLOSE = Statement("close_intent")
_WAITING = Statement("waiting_removals")
_TAKE_OVER = Statement("take_over_intent")
_RENEW = Statement("renew_intent")
_USER_OF_FILE = Statement("user_of_file")


class IntentWrites(JobWrites):
    """Opens, renews and closes intents, and takes over those of dead processes."""

    def begin_delete(
        self,
        request: ActionRequest,
        *,
        deadline: int,
        target: str,
        file_id: str | None = None,
        waiting: int | None = None,
    ) -> Intent | Refusal | InUse:
        """Write, before it is sent, that something of a job is deleted; on disk when this returns.

        A deletion cannot be undone, so all is checked once more: the job as it was planned, the waiting
        removal with the id ``waiting``, and other users of the file ``file_id``.
        """
        with self._transaction(durable=True) as connection:
            if isinstance(row := self._checked(connection, request), Refusal):
                return row
            if waiting is not None and _OPEN.run(connection, intent_key=waiting).fetchone() is None:
                return Refusal(TAKEN_BACK, row)
            if file_id is not None:
                user = _USER_OF_FILE.run(connection, job_key=row.id, file=file_id).fetchone()
                if user is not None:
                    return InUse(str(user[0]))
            now, kind, bulk = self._clock(), IntentKind.DELETE, request.bulk
            return self._open(connection, now, kind, row, deadline, bulk=bulk, target=target)

    def renew_intent(self, intent_id: int, deadline: int) -> bool:
        """Move the deadline of an intent whose request is sent once more; False when it was closed."""
        with self._transaction(durable=True) as connection:
            renewed = _RENEW.run(connection, intent_key=intent_id, later=deadline)
            return renewed.rowcount == 1

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
            return _TAKE_OVER.run(connection, **change).rowcount == 1

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
        ((intent_id,),) = made.fetchall()
        owner, kept = self._actor.owner, choices or {}
        return Intent(intent_id, kind, row.account, row.id, owner, now, deadline, earlier, target, kept, bulk)

    def _close(self, connection: Connection, intent_id: int, now: int, outcome: str) -> Intent | None:
        """Close an open intent and return it; None when it was closed elsewhere."""
        values = _CLOSE.run(connection, intent_key=intent_id, now=now, outcome=stored(outcome)).fetchone()
        return None if values is None else intent_row(values)

    def _log_answer(
        self, connection: Connection, intent: Intent, action: str, result: str, detail: str
    ) -> JobRow:
        """Log how a request ended, and let the account be polled; return the job as it is now."""
        row = self._logged(connection, intent.job_id, action, result, detail, bulk=intent.bulk)
        # A sync that reconciles plans its next poll by itself.
        if action != "reconcile" and row.remote_status in UNFINISHED:
            self._make_due(connection, row.account)
        return row

    @staticmethod
    def _closed(connection: Connection, intent_id: int) -> Intent | None:
        """Return an intent that was closed."""
        values = _CLOSED.run(connection, intent_key=intent_id).fetchone()
        return None if values is None else intent_row(values)

    def _close_waiting(self, connection: Connection, job_id: int, now: int, outcome: str) -> None:
        """Close a job's waiting removal, if it has one: it was taken back, or the job is removed already."""
        for (intent_id,) in _WAITING.run(connection, job_key=job_id).fetchall():
            self._close(connection, intent_id, now, outcome)
