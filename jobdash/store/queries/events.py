"""What was done, what is under way, and what can be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobdash.domain.job import Event
from jobdash.store.read_connection import ReadConnection
from jobdash.store.sort_orders import Values

if TYPE_CHECKING:
    from jobdash.store.records import Intent, IntentKind, Undoable


class EventReads(ReadConnection):
    """What the log, reconciling and undo ask; imported when asked, since no first row needs it."""

    def events(
        self, job_id: int | None = None, limit: int = 200, before_id: int | None = None
    ) -> list[Event]:
        """Return the log, newest first: of one job or of all, in front of an event already read."""
        tests = ["1"]
        values: Values = []
        for test, value in (("job_id = ?", job_id), ("id < ?", before_id)):
            if value is not None:
                tests.append(test)
                values.append(value)
        sql = (
            "SELECT id, at, actor, face, action, job_public_id, job_name, account, result, detail, bulk"
            f" FROM event WHERE {' AND '.join(tests)} ORDER BY id DESC LIMIT ?"
        )
        return [Event(*found) for found in self._all(sql, [*values, limit])]

    def open_intents(self, account: str | None = None, kind: IntentKind | None = None) -> list[Intent]:
        """Return what was begun and not answered yet, oldest first."""
        from jobdash.store.intents import INTENT_COLUMNS, intent

        tests = ["closed_at IS NULL"]
        values: Values = []
        for test, value in (("account = ?", account), ("kind = ?", kind)):
            if value is not None:
                tests.append(test)
                values.append(value)
        # By name: for the order alone SQLite would walk through all that were ever closed.
        source = "intent INDEXED BY intent_open"
        sql = f"SELECT {', '.join(INTENT_COLUMNS)} FROM {source} WHERE {' AND '.join(tests)} ORDER BY id"
        return [intent(found) for found in self._all(sql, values)]

    def last_undoable(self, actor: str, job_id: int | None = None) -> Undoable | None:
        """Return the newest action of a person (``user@host``) that can still be taken back."""
        from jobdash.store.queries.undoable import last_undoable

        return last_undoable(self._all, actor, self._clock(), job_id)
