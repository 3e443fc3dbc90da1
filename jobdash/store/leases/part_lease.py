"""The lease of a worker on one part of a function's job: its writes are refused once either fence is raised.

DB-API only, as `leases`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from jobdash.store.dialects.base import Connection, Values, transaction
from jobdash.store.leases.lease import HELD, MOST_ROWS, RENEW, Lease, LeaseRefused

OWNER = "parts"
"""The owner of a function's job while workers hold parts of it: it is no process."""

_ITEMS = (
    "SELECT seq, key, given FROM item"
    " WHERE job_id = ? AND seq >= ? AND seq < ? AND outcome = 'waiting' ORDER BY seq LIMIT ?"
)
_RENEW_PART = (
    "UPDATE part SET lease_until = now_ms() + ? WHERE job_id = ? AND number = ? AND fence = ?"
    " AND owner IS NOT NULL RETURNING number"
)
_RENEW_BY_ITEM = _RENEW_PART.replace("SET ", "SET lost = 0, ")
_HAS_PART = "SELECT owner FROM part WHERE job_id = ? AND number = ? AND fence = ? AND owner IS NOT NULL"
_END_PART = (
    "UPDATE part SET done_at = CASE WHEN ? = 1 THEN now_ms() END, owner = NULL, lease_until = NULL"
    " WHERE job_id = ? AND number = ? AND fence = ? AND owner IS NOT NULL RETURNING number"
)
_LEFT = (
    "SELECT count(*), count(CASE WHEN lease_until >= now_ms() THEN owner END), max(lease_until) FROM part"
    " WHERE job_id = ? AND done_at IS NULL"
)
_SET_HELD = "UPDATE job SET remote_status = ?, raw_status = ?, owner = ?, lease_until = ? WHERE id = ?"
_RELEASE_ALL = "UPDATE part SET owner = NULL, lease_until = NULL WHERE job_id = ?"


class PartItem(NamedTuple):
    """An item that a worker has to do."""

    seq: int
    key: str
    given: str
    """The item as JSON."""


class PartPlace(NamedTuple):
    """What names a claimed part, and the items it has."""

    job_id: int
    fence: int
    number: int
    part_fence: int
    first: int
    behind: int


class PartLease(Lease):
    """The writes of a worker to the part that it has claimed; see `Lease`."""

    def __init__(
        self, connection: Connection, place: PartPlace, attempt: int, lease_ms: int, actor: str
    ) -> None:
        super().__init__(connection, place.job_id, place.fence, attempt, lease_ms, actor)
        self._place = place
        self._room = math.inf  # its items were all counted when the job was made
        self._next = place.first

    def next_items(self, most: int = MOST_ROWS) -> list[PartItem]:
        """Return the next items that have no outcome yet; empty after the last."""
        place = self._place
        rows = self.connection.execute(_ITEMS, (place.job_id, self._next, place.behind, most)).fetchall()
        items = [PartItem(*row) for row in rows]
        if items:
            self._next = items[-1].seq + 1
        return items

    def _finish(self, status: str, ended: str, error: str | None, cancel: str | None) -> str | None:
        """Write the end of the job, and release all of its parts."""
        found = super()._finish(status, ended, error, cancel)
        if found is not None:
            self.connection.execute(_RELEASE_ALL, (self._job_id,))
        return found

    def failed_count(self) -> int:
        """Return how many of the job's items have failed, on all workers."""
        (failed,) = self.connection.execute("SELECT failed FROM job WHERE id = ?", (self._job_id,)).fetchone()
        return int(failed or 0)

    def end_part(self, *, done: bool) -> str | None:
        """Release the part, whose items all have an outcome if it is ``done``.

        The last part to end ends the job. Returns the status that the job has ended with, None while it goes
        on, or waits for workers.
        """
        place = self._place
        with transaction(self.connection):
            status = self._status_of(RENEW, (self._lease_ms, place.job_id, place.fence))
            values = (int(done), place.job_id, place.number, place.part_fence)
            if status is None or not self.connection.execute(_END_PART, values).fetchall():
                raise self.refusal()
            left, held, until = self.connection.execute(_LEFT, (place.job_id,)).fetchone()
            if not left:
                return self._finish("completed", "came to its end", None, None)
            if not held and status == "cancelling":
                return self._finish("cancelled", "cancelled", None, None)
            word, owner = ("in_progress", OWNER) if held else ("pending", None)
            self.connection.execute(_SET_HELD, (word, word, owner, until, place.job_id))
        return None

    def refusal(self) -> LeaseRefused:
        """Return why the lease is lost."""
        place = self._place
        held = self.connection.execute(f"SELECT status FROM job WHERE {HELD}", (place.job_id, place.fence))
        if held.fetchone() is None:
            return super().refusal()
        return LeaseRefused(f"goes on elsewhere: its part {place.number + 1} was taken over")

    def _add(self, succeeded: int, failed: int) -> str | None:
        status = super()._add(succeeded, failed)
        return status if status is not None and self._renewed(_RENEW_BY_ITEM) else None

    def _packet(self) -> tuple[str, dict[str, Any]]:
        from jobdash.store.leases.item_packet import WRITE_PART_ITEMS

        _, values = super()._packet()
        place = self._place
        return WRITE_PART_ITEMS, {**values, "number": place.number, "part_fence": place.part_fence}

    def _written(self, statement: str, values: Values, *, relaxed: bool = False) -> str:
        with transaction(self.connection, self._job_id, relaxed=relaxed):
            status = self._status_of(statement, values)
            if status is None or not self._renewed():
                raise self.refusal()
        return status

    def _renewed(self, statement: str = _RENEW_PART) -> bool:
        place = self._place
        values = (self._lease_ms, place.job_id, place.number, place.part_fence)
        return bool(self.connection.execute(statement, values).fetchall())

    def status(self) -> str:
        """Return the job's status as long as the part is this worker's."""
        place = self._place
        found = super().status()
        if not self.connection.execute(_HAS_PART, (place.job_id, place.number, place.part_fence)).fetchone():
            raise self.refusal()
        return found
