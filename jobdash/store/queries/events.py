"""Queries of the log, of open intents, and of what can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobdash.domain.job import UNDO_MS, Event
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.status import Status
from jobdash.store.dialects.base import placeholders
from jobdash.store.read_connection import ReadConnection
from jobdash.store.rows import INTENT_COLUMNS, ROW_COLUMNS, intent_row, job_row
from jobdash.store.sort_orders import Values

if TYPE_CHECKING:
    from jobdash.store.records import Intent, IntentKind, LastingAction, Undoable

_OWN_EVENTS = (
    "SELECT event.action, event.bulk, event.at, event.id, "
    + ", ".join(f"job.{column}" for column in ROW_COLUMNS)
    + " FROM event JOIN job ON job.id = event.job_id WHERE event.actor = ? AND event.at >= ?"
)
# An action and its event are one transaction and carry one time, so a job that was removed, taken back and
# removed again belongs to its last removal alone. The actions are those of `UndoKind`.
_UNDOABLE = (
    f"{_OWN_EVENTS} AND ("
    "(event.action = 'remove' AND job.removed_at = event.at)"
    # A local job that was failed has lost its worker for good: that is retried, not taken back.
    " OR (event.action = 'force-fail' AND job.verdict_at = event.at AND job.removed_at IS NULL"
    f" AND job.provider <> '{LOCAL}')"
    " OR (event.action = 'cancel & delete' AND job.removed_at IS NULL AND EXISTS"
    " (SELECT 1 FROM intent WHERE intent.job_id = job.id AND intent.kind = 'remove'"
    " AND intent.closed_at IS NULL AND intent.opened_at = event.at)))"
)
# What holds and stays: a force-fail of a local job, or of one that somebody removed since, and a cancel.
_LASTING = (
    f"{_OWN_EVENTS} AND (event.id > ? OR event.bulk = ?) AND ("
    "(event.action = 'force-fail' AND job.verdict_at = event.at"
    f" AND (job.provider = '{LOCAL}' OR job.removed_at IS NOT NULL))"
    " OR (event.action = 'cancel' AND event.result = 'done'"
    f" AND job.status IN ('{Status.CANCELLING}', '{Status.CANCELLED}')))"
)


_ENDED_UNFETCHED = (
    "SELECT DISTINCT job.id FROM event {index} CROSS JOIN job"
    " WHERE event.{bound} AND event.action = 'finished' AND job.id = event.job_id"
    " AND job.account IN ({accounts}) AND job.fetched_at IS NULL AND job.removed_at IS NULL"
    # What was deleted here again, or had no results, is not fetched once more.
    " AND NOT EXISTS (SELECT 1 FROM event AS tried WHERE tried.job_id = event.job_id AND tried.id > event.id"
    " AND tried.action = 'fetch' AND tried.result IN ('done', 'skipped')) ORDER BY job.id"
)


class EventReads(ReadConnection):
    """Queries for the log, for reconciling, and for undo."""

    def newest_event(self) -> int:
        """Return the id of the newest event; 0 where there is none."""
        return int(self._value("SELECT coalesce(max(id), 0) FROM event"))

    def ended_unfetched(
        self, accounts: Sequence[str], *, since: int | None = None, after_id: int = 0
    ) -> list[int]:
        """Return the ids of batches whose results were not fetched since their end was noticed.

        By the events in the log: those since a time, milliseconds UTC, else those after an event.
        """
        # By name: the events of a few days are fewer than all, and lie together in this index.
        index, bound = ("", "id > ?") if since is None else ("INDEXED BY event_at", "at >= ?")
        sql = _ENDED_UNFETCHED.format(index=index, bound=bound, accounts=placeholders(accounts))
        return [job_id for (job_id,) in self._all(sql, [after_id if since is None else since, *accounts])]

    def events(
        self, job_id: int | None = None, limit: int = 200, before_id: int | None = None
    ) -> list[Event]:
        """Return the log, newest first: of one job or of all, before an event already read."""
        sql = (
            "SELECT id, at, actor, face, action, job_public_id, job_name, account, result, detail, bulk"
            " FROM event WHERE {} ORDER BY id DESC LIMIT ?"
        )
        where, values = _where({"job_id = ?": job_id, "id < ?": before_id})
        return [Event(*found) for found in self._all(sql.format(where), [*values, limit])]

    def open_intents(self, account: str | None = None, kind: IntentKind | None = None) -> list[Intent]:
        """Return the open intents, oldest first."""
        where, values = _where({"account = ?": account, "kind = ?": kind})
        # By name: for the order alone SQLite would walk through all that were ever closed.
        source = f"intent INDEXED BY intent_open WHERE closed_at IS NULL AND {where}"
        sql = f"SELECT {', '.join(INTENT_COLUMNS)} FROM {source} ORDER BY id"
        return [intent_row(found) for found in self._all(sql, values)]

    def last_undoable(self, actor: str, job_id: int | None = None) -> Undoable | None:
        """Return the newest action of a person (``user@host``) of the last 24 hours that can be taken back.

        With a job's id: the newest that concerns this job, and of it this job alone.
        """
        from jobdash.store.records import Undoable, UndoKind

        since = self._clock() - UNDO_MS
        of_job, job = ("", []) if job_id is None else (" AND event.job_id = ?", [job_id])
        newest = self._all(f"{_UNDOABLE}{of_job} ORDER BY event.id DESC LIMIT 1", [actor, since, *job])
        if not newest:
            return None
        action, bulk, at, event_id = newest[0][:4]
        found = newest
        if bulk is not None:
            same = f"{_UNDOABLE} AND event.bulk = ? AND event.action = ?{of_job} ORDER BY event.id"
            found = self._all(same, [actor, since, bulk, action, *job])
        rows = tuple(job_row(values[4:]) for values in found)
        return Undoable(UndoKind(action), bulk, at, event_id, rows)

    def lasting_after(self, action: Undoable, actor: str) -> list[LastingAction]:
        """Return what a person did after an action, or with it, that no undo takes back; newest first."""
        from jobdash.store.records import LastingAction

        values = [actor, self._clock() - UNDO_MS, action.event_id, action.bulk]
        # Put in order here: for the order alone SQLite would walk through all events there ever were.
        found = sorted(self._all(_LASTING, values), key=lambda cells: cells[3], reverse=True)
        return [LastingAction(what, bulk, job_row(cells)) for what, bulk, _at, _id, *cells in found]


def _where(conditions: dict[str, str | int | None]) -> tuple[str, Values]:
    """Return the conditions that have a value as SQL, and their values."""
    given = {condition: value for condition, value in conditions.items() if value is not None}
    return " AND ".join(["1 = 1", *given]), list(given.values())
