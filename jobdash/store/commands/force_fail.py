"""Force-fail: a person's verdict, and the fence that keeps an old worker out."""

from __future__ import annotations

from jobdash.domain.job import JobRow
from jobdash.domain.status import FORCE_FAILED
from jobdash.store.records import Precondition, Refusal, UndoKind
from jobdash.store.sanitize import stored
from jobdash.store.unit_of_work import UnitOfWork


class ForceFailWrites(UnitOfWork):
    """The store's part of a force-fail; telling the provider is a cancel that comes after it."""

    def force_fail(
        self,
        job_id: int,
        *,
        fence: int,
        accept: Precondition | None,
        reason: str | None = None,
        bulk: str | None = None,
    ) -> JobRow | Refusal:
        """Declare a job failed here; on disk when this returns. The job then has a new fence."""
        with self._transaction(durable=True) as connection:
            row = self._checked(connection, job_id, fence, accept)
            if isinstance(row, Refusal):
                return row
            now = self._clock()
            kept = stored(reason) if reason else None
            self._set_and_fence(connection, job_id, verdict=FORCE_FAILED, verdict_at=now, verdict_reason=kept)
            self._append(connection, now, UndoKind.FORCE_FAIL, row, "done", reason or "", bulk=bulk)
            return self._row_now(connection, job_id)
