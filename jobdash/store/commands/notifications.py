"""Claims of events, so that each notification is sent once, and marks of what a person has reviewed."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from jobdash.domain.notification import NotificationKind
from jobdash.domain.time import DAY
from jobdash.store.commands.base import JobWrites
from jobdash.store.dialects.base import Connection
from jobdash.store.statements import Statement

_SET_REVIEWED = Statement("set_reviewed")
_SET_ACCOUNT_REVIEWED = Statement("set_account_reviewed")
_CURSOR = Statement("notified_event")
_SET_CURSOR = Statement("set_notified_event")
_LAST_EVENT = Statement("last_event_id")
_ENDS_BEHIND = Statement("ends_behind")
_STALLED = Statement("newly_stalled_jobs")
_GONE_SOON = Statement("results_newly_gone_soon")
_AT_ONCE = 100
"""Events claimed at once; of more, when notifications are turned on, the newest."""


@dataclass(frozen=True, slots=True)
class ClaimedEvent:
    """An event that this process, and no other, sends notifications of."""

    job_id: int
    action: str
    at: int


class NotificationWrites(JobWrites):
    """Writes the events that follow from the time, and claims events."""

    def claim_notifications(self) -> list[ClaimedEvent]:
        """Claim the events since the last claim, oldest first; the first claim of a store claims none.

        A process that ends before it has sent them sends them no more: no event is sent twice.
        """
        with self._transaction() as connection:
            self._add_due_events(connection)
            (cursor,) = _CURSOR.run(connection).fetchone()
            newest = _LAST_EVENT.run(connection).fetchone()[0] or 0
            if cursor == newest:
                return []
            _SET_CURSOR.run(connection, event=newest)
            if cursor is None:
                return []
            found = _ENDS_BEHIND.run(connection, event=cursor).fetchall()
            return [ClaimedEvent(*values) for values in found[-_AT_ONCE:]]

    def set_reviewed(
        self, marks: Mapping[int, Collection[str]], errors: Mapping[str, str] | None = None
    ) -> None:
        """Record that a person has reviewed jobs, or dismissed them; by id, the marks of what they saw.

        ``errors`` are those of accounts that were dismissed, by name.
        """
        now = self._clock()
        reviews: list[dict[str, Any]] = [
            {"job_id": job_id, "at": now, "marks": json.dumps(sorted(seen))} for job_id, seen in marks.items()
        ]
        with self._transaction() as connection:
            _SET_REVIEWED.run_many(connection, reviews)
            for account, error in (errors or {}).items():
                _SET_ACCOUNT_REVIEWED.run(connection, account=account, error=error)

    def _add_due_events(self, connection: Connection) -> None:
        """Log, once, that jobs have stalled, and that results will be deleted within a day."""
        now = self._clock()
        due = [
            (NotificationKind.STALLED, _STALLED.run(connection, now=now)),
            (NotificationKind.RESULTS_GONE_SOON, _GONE_SOON.run(connection, now=now, soon=now + DAY)),
        ]
        for kind, found in due:
            for (job_id,) in found.fetchall():
                self._logged(connection, job_id, kind, "noticed", at=now)
