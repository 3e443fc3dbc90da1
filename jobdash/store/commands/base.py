"""The base of all writes to jobs: read, check and update a job in a transaction, and log events."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, null, select, update

from jobdash.domain.job import JobRow
from jobdash.store.dialects.sqlite import chunks, driver_of
from jobdash.store.records import Precondition, Refusal
from jobdash.store.rows import ROW_COLUMNS, job_row
from jobdash.store.sanitize import public_id, stored, stored_error
from jobdash.store.schema.tables import EventRecord, ItemRecord, JobRecord, TagRecord, table
from jobdash.store.unit_of_work import CompiledStatement, UnitOfWork

job = table(JobRecord)
items = table(ItemRecord)
tags = table(TagRecord)

_SELECT_ROW = CompiledStatement(
    select(*(job.c[name] for name in ROW_COLUMNS)).where(job.c.id == bindparam("job_key"))
)
_UPDATE = update(job).where(job.c.id == bindparam("job_key"))
_SET = CompiledStatement(_UPDATE)
# This ends a worker's right to write: the store refuses a worker that still holds the old fence.
_SET_AND_FENCE = CompiledStatement(
    _UPDATE.values(
        fence=job.c.fence + 1,
        last_owner=func.coalesce(job.c.owner, job.c.last_owner),
        owner=null(),
        lease_until=null(),
    )
)
_INSERT_EVENT = CompiledStatement(insert(table(EventRecord)))
_TAKEN = select(job.c.public_id).where(job.c.public_id.in_(bindparam("words", expanding=True)))
_MAKE_DUE = "UPDATE account SET next_poll_at = :now WHERE name = :name AND next_poll_at > :now"


class JobWrites(UnitOfWork):
    """Reads and writes one job inside a transaction, and logs what is done to it."""

    def _row(self, connection: Connection, job_id: int) -> JobRow | None:
        values = _SELECT_ROW.run(connection, job_key=job_id).fetchone()
        return None if values is None else job_row(values)

    def _row_now(self, connection: Connection, job_id: int) -> JobRow:
        """Return a job that exists, as the triggers have left it."""
        return job_row(_SELECT_ROW.run(connection, job_key=job_id).fetchone())

    def _checked(
        self, connection: Connection, job_id: int, fence: int, accept: Precondition | None
    ) -> JobRow | Refusal:
        """Return the job if it still is what the plan saw: not removed, same fence, and accepting."""
        row = self._row(connection, job_id)
        if row is None:
            return Refusal("no such job any more", None)
        if row.removed_at is not None:
            return Refusal("was removed meanwhile", row)
        reason = accept(row) if accept else None
        if reason is None and row.fence != fence:
            reason = "was changed meanwhile; look again"
        return row if reason is None else Refusal(reason, row)

    def _set(self, connection: Connection, job_id: int, **columns: Any) -> None:
        _SET.run(connection, job_key=job_id, **columns)

    def _set_and_fence(self, connection: Connection, job_id: int, **columns: Any) -> None:
        _SET_AND_FENCE.run(connection, job_key=job_id, **columns)

    def _make_due(self, connection: Connection, account: str) -> None:
        """Let an account be polled now: one of its jobs has just become unfinished, or cancelling."""
        driver_of(connection).execute(_MAKE_DUE, {"now": self._clock(), "name": account})

    @staticmethod
    def _new_public_ids(connection: Connection, count: int) -> list[str]:
        """Return public ids that no job has; among a million, random ids repeat now and then."""
        fresh: set[str] = set()
        while len(fresh) < count:
            more = {public_id() for _ in range(count - len(fresh))}
            for words in chunks(sorted(more)):
                more.difference_update(connection.execute(_TAKEN, {"words": words}).scalars())
            fresh |= more
        return list(fresh)

    def _add_event(
        self,
        connection: Connection,
        now: int,
        action: str,
        row: JobRow | None,
        result: str,
        detail: str = "",
        *,
        bulk: str | None = None,
        account: str | None = None,
    ) -> None:
        _INSERT_EVENT.run(
            connection,
            at=now,
            actor=self._actor.name,
            face=self._actor.face,
            action=action,
            job_id=row and row.id,
            job_public_id=row and row.public_id,
            job_name=row and row.name,
            account=row.account if row else account,
            result=stored(result),
            detail=stored_error(detail),
            bulk=bulk,
        )
