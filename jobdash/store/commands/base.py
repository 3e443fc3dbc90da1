"""The base of all writes to jobs: read, check and update a job in a transaction, and log events."""

from __future__ import annotations

from typing import Any

from jobdash.domain.job import JobRow
from jobdash.store.dialects.base import Connection
from jobdash.store.records import ActionRequest, Refusal
from jobdash.store.rows import job_row
from jobdash.store.sanitize import stored, stored_error
from jobdash.store.statements import Statement
from jobdash.store.unit_of_work import UnitOfWork

CANCELLED_BY_USER = "Cancelled by user"
"""The reason of a cancel for which a person gave none."""
_ROW = Statement("job_row")
_SET = Statement("set_job")
_SET_AND_FENCE = Statement("set_job_and_fence")
_INSERT_EVENT = Statement("insert_event")
_POLL_SOON = Statement("poll_soon")


class JobWrites(UnitOfWork):
    """Reads and writes one job inside a transaction, and logs what is done to it."""

    def _row(self, connection: Connection, job_id: int) -> JobRow | None:
        values = _ROW.run(connection, job_key=job_id).fetchone()
        return None if values is None else job_row(values)

    def _row_now(self, connection: Connection, job_id: int) -> JobRow:
        """Return a job that exists, with the columns that triggers set."""
        return job_row(_ROW.run(connection, job_key=job_id).fetchone())

    def _checked(self, connection: Connection, request: ActionRequest) -> JobRow | Refusal:
        """Return the job if it still is what the plan saw: not removed, same fence, and accepting."""
        row = self._row(connection, request.job_id)
        if row is None:
            return Refusal("no such job any more", None)
        if row.removed_at is not None:
            return Refusal("was removed meanwhile", row)
        reason = request.accept(row) if request.accept else None
        if reason is None and row.fence != request.fence:
            reason = "was changed meanwhile; look again"
        return row if reason is None else Refusal(reason, row)

    def _set(self, connection: Connection, job_id: int, **columns: Any) -> None:
        _SET.set_columns(connection, columns, job_key=job_id)

    def _set_and_fence(self, connection: Connection, job_id: int, **columns: Any) -> None:
        _SET_AND_FENCE.set_columns(connection, columns, job_key=job_id)

    def _make_due(self, connection: Connection, account: str) -> None:
        """Let an account be polled now: one of its jobs has just become unfinished, or cancelling."""
        _POLL_SOON.run(connection, now=self._clock(), account=account)

    def _logged(
        self,
        connection: Connection,
        job_id: int,
        action: str,
        result: str,
        detail: str = "",
        *,
        at: int | None = None,
        bulk: str | None = None,
    ) -> JobRow:
        """Log what was done to a job; return it as it is now."""
        row = self._row_now(connection, job_id)
        now = self._clock() if at is None else at
        self._add_event(connection, now, action, row, result, detail, bulk=bulk)
        return row

    def _add_event(
        self,
        connection: Connection,
        now: int,
        action: str,
        row: JobRow,
        result: str,
        detail: str = "",
        *,
        bulk: str | None = None,
    ) -> None:
        _INSERT_EVENT.run(
            connection,
            at=now,
            actor=self._actor.name,
            face=self._actor.face,
            action=action,
            job_id=row.id,
            job_public_id=row.public_id,
            job_name=row.name,
            account=row.account,
            result=stored(result),
            detail=stored_error(detail),
            bulk=bulk,
        )
