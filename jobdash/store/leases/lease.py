"""The lease of a worker on its job: each write is refused by the store once the lease is lost.

DB-API only: this runs in a user's own script.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from jobdash.store.dialects.base import Connection, Values, greater, transaction
from jobdash.store.owner import pid_of
from jobdash.store.sanitize import stored, stored_named

HELD = "id = ? AND fence = ? AND status IN ('in_progress', 'cancelling')"
"""True of a job as long as the worker with this fence may write."""
_SUCCEEDED = frozenset({"ok", "skipped"})
MOST_ROWS = 5_000
"""Items written in one transaction; other processes wait for its end."""

RENEW = f"UPDATE job SET lease_until = now_ms() + ? WHERE {HELD} RETURNING status"
_DONE = "coalesce(succeeded, 0) + coalesce(failed, 0) + ?"
_ADD = (
    "UPDATE job SET lease_until = now_ms() + ?, succeeded = coalesce(succeeded, 0) + ?,"
    f" failed = coalesce(failed, 0) + ?, total = {greater('total', _DONE)}"  # an unknown one stays unknown
    f" WHERE {HELD} RETURNING status, total, succeeded + failed"
)
# Of a column that is set, all indexes are written anew, whether it changes or not.
_ADD_SUCCEEDED = (
    "UPDATE job SET lease_until = now_ms() + ?, succeeded = coalesce(succeeded, 0) + ?"
    f" WHERE {HELD} RETURNING status"
)
_SET_COUNTS = (
    f"UPDATE job SET lease_until = now_ms() + ?, succeeded = ?, failed = ?, total = {greater('total', '?')}"
    f" WHERE {HELD} RETURNING status"
)
_UPSERT = (
    "INSERT INTO item (job_id, seq, key, outcome, attempt, detail, error_type, error, at)"
    " VALUES (?, (SELECT coalesce(max(seq), -1) + 1 FROM item WHERE job_id = ?), ?, ?, ?, ?, ?, ?,"
    " now_ms())"
    " ON CONFLICT (job_id, key) DO UPDATE SET outcome = excluded.outcome, attempt = excluded.attempt,"
    " detail = excluded.detail, error_type = excluded.error_type, error = excluded.error, at = excluded.at"
)
_EXPECT = (
    "INSERT INTO item (job_id, seq, key, outcome, attempt, at)"
    " VALUES (?, (SELECT coalesce(max(seq), -1) + 1 FROM item WHERE job_id = ?), ?, 'waiting', ?,"
    " now_ms()) ON CONFLICT (job_id, key) DO NOTHING"
)
_COUNT_TOTAL = (
    "UPDATE job SET lease_until = now_ms() + ?,"
    " total = (SELECT coalesce(max(seq), -1) + 1 FROM item WHERE job_id = job.id)"
    f" WHERE {HELD} RETURNING total"
)
_SET_TOTAL = f"UPDATE job SET total = ? WHERE {HELD} RETURNING status"
_STATE = "SELECT outcome FROM item WHERE job_id = ? AND key = ?"
_STATUS = f"SELECT status FROM job WHERE {HELD}"
_REQUEST_CANCEL = (
    "UPDATE job SET cancel_requested_at = now_ms(), cancel_reason = ?"
    " WHERE id = ? AND fence = ? AND status = 'in_progress' RETURNING status"
)
_FINISH = (
    "UPDATE job SET remote_status = :status, raw_status = :status, finished_at = now_ms(), error = :error,"
    " cancel_requested_at = CASE WHEN CAST(:cancel AS TEXT) IS NULL THEN cancel_requested_at"
    " ELSE coalesce(cancel_requested_at, now_ms()) END,"
    " cancel_reason = coalesce(cancel_reason, :cancel),"
    # A process that has given its job back must not be stopped for it: it may be at something else.
    " last_owner = NULL, owner = NULL, lease_until = NULL"
    " WHERE id = :id AND fence = :fence AND status IN ('in_progress', 'cancelling') RETURNING status"
)
_FAIL_LEFT = (
    "UPDATE job SET remote_status = 'failed', raw_status = 'failed', error = ?, succeeded = ?"
    " WHERE id = ? AND fence = ? AND status IN ('cancelled', 'completed') AND cancel_requested_at IS NULL"
    " AND removed_at IS NULL RETURNING id"
)
_END_ATTEMPT = "UPDATE attempt SET ended_at = now_ms(), ended = ? WHERE job_id = ? AND fence = ?"
_EVENT = (
    "INSERT INTO event (at, actor, face, action, job_id, job_public_id, job_name, account, result, detail)"
    " SELECT now_ms(), ?, 'script', ?, id, public_id, name, account, ?, ? FROM job WHERE id = ?"
)
_TAG = (
    "INSERT INTO job_tag (job_id, key, value) VALUES (?, ?, ?)"
    " ON CONFLICT (job_id, key) DO UPDATE SET value = excluded.value"
)
_REFUSED = (
    "SELECT removed_at, status, verdict, fence,"
    " (SELECT owner FROM attempt WHERE job_id = job.id ORDER BY fence DESC LIMIT 1) FROM job WHERE id = ?"
)
_WHO = "SELECT actor FROM event WHERE job_id = ? AND action = ? ORDER BY id DESC LIMIT 1"


class ItemWrite(NamedTuple):
    """The outcome of one item, as it is kept."""

    key: str
    outcome: str
    """``ok``, ``error`` or ``skipped``."""
    detail: str | None = None
    """JSON."""
    error_type: str | None = None
    error: str | None = None


class ItemState(NamedTuple):
    """The stored outcome of an item."""

    outcome: str
    attempt: int
    """The attempt that wrote it."""


class LeaseRefused(Exception):
    """The lease is lost: the store refuses the writes of this worker.

    The text is the predicate of a sentence about the job ("was removed"); ``cancelled`` when another process
    has ended the job as cancelled, which is no loss.
    """

    def __init__(self, sentence: str, *, cancelled: bool = False) -> None:
        super().__init__(sentence)
        self.cancelled = cancelled


def add_event(connection: Connection, job_id: int, actor: str, action: str, result: str, detail: str) -> None:
    """Append a line to the log, on an open transaction."""
    connection.execute(_EVENT, (actor, action, result, detail, job_id))


def set_tags(connection: Connection, job_id: int, tags: Iterable[tuple[str, str]]) -> None:
    """Write tags of a job, on an open transaction."""
    rows = [(job_id, stored(key), stored_named(key, value)) for key, value in tags]
    connection.executemany(_TAG, rows)


def fail_left_loop(
    connection: Connection, job_id: int, fence: int, actor: str, ended: str, done: int
) -> bool:
    """Let a loop that was left have failed after ``done`` items; False when the job was changed since."""
    with transaction(connection):
        if not connection.execute(_FAIL_LEFT, (ended, done, job_id, fence)).fetchall():
            return False
        connection.execute(_END_ATTEMPT, (ended, job_id, fence))
        add_event(connection, job_id, actor, "end", "failed", ended)
        return True


class Lease:
    """The writes of a worker to the job that it has claimed.

    Every method is one transaction and raises `LeaseRefused` when the lease is lost, and `StoreError`. Not
    for two threads at once.
    """

    def __init__(
        self, connection: Connection, job_id: int, fence: int, attempt: int, lease_ms: int, actor: str
    ) -> None:
        self.connection = connection
        self._job_id = job_id
        self._fence = fence
        self.attempt = attempt
        """The number of this attempt, as items carry it."""
        self._lease_ms = lease_ms
        self._actor = actor
        self._room: float = 0
        """How many more items fit into the total; known after the first."""

    def write_items(self, outcomes: Sequence[ItemWrite]) -> str:
        """Write the outcomes of items and their counts, and renew the lease; return the job's status.

        Counts change by the difference to what is stored, so that an outcome written twice counts once.
        """
        connection = self.connection
        if connection.dialect.in_packets:
            return self._or_refused(self._write_packet(outcomes))
        try:  # as `transaction` does, which takes some µs more
            connection.begin()
            status = self._or_refused(self._add(*self._difference(outcomes)))
            self._upsert(outcomes)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        return status

    def _write_packet(self, outcomes: Sequence[ItemWrite]) -> str | None:
        from jobdash.store.leases.item_packet import item_values

        statement, values = self._packet()
        rows = self.connection.write_job(self._job_id, statement, {**values, **item_values(outcomes)})
        return rows[0][0] if rows else None

    def _packet(self) -> tuple[str, dict[str, Any]]:
        """Return the statement that writes items in one message, and its values besides theirs."""
        from jobdash.store.leases.item_packet import WRITE_ITEMS

        return WRITE_ITEMS, {
            "job": self._job_id,
            "fence": self._fence,
            "lease": self._lease_ms,
            "attempt": self.attempt,
        }

    def _difference(self, outcomes: Sequence[ItemWrite]) -> tuple[int, int]:
        """Return by how much the counts of done and failed items change."""
        stored: dict[str, str | None] = {}
        succeeded = failed = 0
        for item in outcomes:
            if item.key in stored:
                before = stored[item.key]
            else:
                row = self.connection.execute(_STATE, (self._job_id, item.key)).fetchone()
                before = row and row[0]
            stored[item.key] = item.outcome
            succeeded += (item.outcome != "error") - (before in _SUCCEEDED)
            failed += (item.outcome == "error") - (before == "error")
        return succeeded, failed

    def _add(self, succeeded: int, failed: int) -> str | None:
        change = succeeded + failed
        self._room -= change
        if not failed and self._room >= 0:
            return self._status_of(_ADD_SUCCEEDED, (self._lease_ms, succeeded, self._job_id, self._fence))
        rows = self.connection.execute(
            _ADD, (self._lease_ms, succeeded, failed, change, change, self._job_id, self._fence)
        ).fetchall()
        if not rows:
            return None
        status, total, done = rows[0]
        self._room = math.inf if total is None else total - done
        return str(status)

    def _upsert(self, outcomes: Sequence[ItemWrite]) -> None:
        number = self.attempt
        job = self._job_id
        rows = [(job, job, key, what, number, *rest) for key, what, *rest in outcomes]
        self.connection.executemany(_UPSERT, rows)

    def write_counts(self, succeeded: int, failed: int) -> str:
        """Write the counts of a job without keys, and renew the lease; return the job's status."""
        done = succeeded + failed
        values = (self._lease_ms, succeeded, failed, done, done, self._job_id, self._fence)
        return self._written(_SET_COUNTS, values, relaxed=True)

    def renew(self) -> str:
        """Renew the lease; return the job's status."""
        return self._written(RENEW, (self._lease_ms, self._job_id, self._fence), relaxed=True)

    def expect(self, keys: Sequence[str]) -> None:
        """Write unknown items as unprocessed, in several transactions."""
        for start in range(0, len(keys), MOST_ROWS):
            with transaction(self.connection, self._job_id):
                held = self._status_of(RENEW, (self._lease_ms, self._job_id, self._fence))
                if held is not None:
                    job, some = self._job_id, keys[start : start + MOST_ROWS]
                    self.connection.executemany(_EXPECT, [(job, job, key, self.attempt) for key in some])
            self._or_refused(held)

    def count_total(self) -> int:
        """Set the job's total to the number of its items, and return it."""
        self._room = 0
        return int(self._written(_COUNT_TOTAL, (self._lease_ms, self._job_id, self._fence)))

    def set_total(self, total: int) -> None:
        """Set the job's total."""
        self._room = 0
        self._written(_SET_TOTAL, (total, self._job_id, self._fence))

    def item_states(self, keys: Sequence[str]) -> dict[str, ItemState]:
        """Return the states of items that are stored, by key; at most `MAX_PARAMETERS` of them."""
        if not keys:
            return {}
        # With so many keys in an IN, SQLite would rather read all items of the job.
        query = (
            f"WITH wanted (name) AS (VALUES {', '.join(['(?)'] * len(keys))})"
            " SELECT key, outcome, attempt FROM wanted CROSS JOIN item WHERE job_id = ? AND key = name"
        )
        rows = self.connection.execute(query, (*keys, self._job_id))
        return {key: ItemState(outcome, attempt) for key, outcome, attempt in rows}

    def status(self) -> str:
        """Return the job's status as long as it is this worker's."""
        row = self.connection.execute(_STATUS, (self._job_id, self._fence)).fetchone()
        return self._or_refused(row and row[0])

    def request_cancel(self, reason: str) -> None:
        """Request a cancel of the worker's own job, so that it is shown; nothing if that was done already."""
        with transaction(self.connection):
            if self._status_of(_REQUEST_CANCEL, (reason, self._job_id, self._fence)) is not None:
                add_event(self.connection, self._job_id, self._actor, "cancel", "done", reason)
        self.status()

    def finish(self, status: str, ended: str, error: str | None = None, cancel: str | None = None) -> None:
        """End the job as ``completed``, ``cancelled`` or ``failed``, and release the lease.

        ``ended`` is how it ended, in one sentence; ``cancel`` is the reason of a cancel of one's own.
        """
        with transaction(self.connection):
            found = self._finish(status, ended, error, cancel)
        self._or_refused(found)

    def _finish(self, status: str, ended: str, error: str | None, cancel: str | None) -> str | None:
        """Write the end of the job, on an open transaction; None when the lease is lost."""
        place = {"id": self._job_id, "fence": self._fence}
        found = self._status_of(_FINISH, {"status": status, "error": error, "cancel": cancel, **place})
        if found is not None:
            self.connection.execute(_END_ATTEMPT, (ended, self._job_id, self._fence))
            add_event(self.connection, self._job_id, self._actor, "end", status, ended)
        return found

    def _written(self, statement: str, values: Values, *, relaxed: bool = False) -> str:
        rows = self.connection.write_job(self._job_id, statement, values, relaxed=relaxed)
        return self._or_refused(rows[0][0] if rows else None)

    def _status_of(self, statement: str, values: Values) -> str | None:
        # All rows are fetched: a statement that is not at its end would hold up the commit.
        rows = self.connection.execute(statement, values).fetchall()
        return rows[0][0] if rows else None

    def _or_refused(self, status: str | None) -> str:
        if status is None:
            raise self.refusal()
        return status

    def refusal(self) -> LeaseRefused:
        """Return why the lease is lost."""
        row = self.connection.execute(_REFUSED, (self._job_id,)).fetchone()
        if row is None:
            return LeaseRefused("is not in the store any more")
        removed_at, status, verdict, fence, owner = row
        if removed_at is not None:
            return LeaseRefused("was removed")
        if verdict is not None:
            return LeaseRefused(f"was failed{self._by('force-fail')}")
        if status == "cancelled":
            return LeaseRefused("was cancelled", cancelled=True)
        if status == "pending":
            return LeaseRefused(f"was set back to pending{self._by('retry')}")
        if fence == self._fence:
            return LeaseRefused(f"is {status} already")
        pid = pid_of(owner)
        return LeaseRefused(f"was taken over by {f'pid {pid}' if pid else 'another run'}")

    def _by(self, action: str) -> str:
        row = self.connection.execute(_WHO, (self._job_id, action)).fetchone()
        return f" by {row[0]}" if row else ""
