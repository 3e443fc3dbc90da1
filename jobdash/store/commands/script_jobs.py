"""Actions on local jobs from outside their scripts, each in one transaction with its event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from jobdash.domain.items import RETRIED, Attempt
from jobdash.domain.job import JobRow
from jobdash.domain.status import LABELS, Status
from jobdash.domain.time import MINUTE, SECOND
from jobdash.store.commands.base import CANCELLED_BY_USER, JobWrites
from jobdash.store.dialects.base import Connection, chunks
from jobdash.store.leases import transitions
from jobdash.store.leases.lease import MOST_ROWS
from jobdash.store.leases.parts import reopen
from jobdash.store.owner import Owner
from jobdash.store.records import ActionRequest, EndedLocally, Refusal, Retried, UndoKind
from jobdash.store.rows import ATTEMPT_COLUMNS, attempt_row
from jobdash.store.sanitize import as_json, stored

LOST_WORKER = "its worker was gone"
_STARTING_MS = 10 * SECOND
_COMING_UP_MS = MINUTE
_WRITES_A_TRANSACTION = 100
"""The writes of a full batch; together they keep to the limit of rows."""


class ScriptJobWrites(JobWrites):
    """Cancel, force-fail, remove and retry of local jobs, which need no request."""

    def status(self, job_id: int) -> Status:
        """Return the present status of a job, without a transaction."""
        (word,) = self._reading.execute("SELECT status FROM job WHERE id = ?", (job_id,)).fetchone()
        return Status(word)

    def recheck(self, request: ActionRequest) -> JobRow | Refusal:
        """Return a job if it still is what the plan saw."""
        with self._transaction() as connection:
            return self._checked(connection, request)

    def cancel_local(self, request: ActionRequest) -> JobRow | Refusal:
        """Request a cancel of a job's worker; a job without a worker is cancelled at once."""
        with self._transaction(durable=True) as connection:
            if isinstance(row := self._checked(connection, request), Refusal):
                return row
            now, kept = self._clock(), stored(request.reason or CANCELLED_BY_USER)
            detail = transitions.cancel_or_request(connection, row.id, now, kept, self._actor.name)
            return self._logged(connection, row.id, "cancel", "done", detail, at=now, bulk=request.bulk)

    def force_fail_local(self, request: ActionRequest) -> EndedLocally | Refusal:
        """Declare a job failed; further writes of its worker are refused."""
        with self._transaction(durable=True) as connection:
            if isinstance(row := self._checked(connection, request), Refusal):
                return row
            now, reason, bulk = self._clock(), request.reason or "", request.bulk
            how, kept = f"force-failed by {self._actor.name}", stored(reason) if reason else None
            transitions.force_fail(connection, row.id, now, how, kept)
            self._add_event(connection, now, UndoKind.FORCE_FAIL, row, "done", reason, bulk=bulk)
            return self._ended_locally(connection, row.id)

    def remove_local(self, request: ActionRequest, *, detail: str = "") -> EndedLocally | Refusal:
        """Hide a job with its items; an unfinished one is cancelled first, and an undo shows it so."""
        with self._transaction(durable=True) as connection:
            if isinstance(row := self._checked(connection, request), Refusal):
                return row
            now = self._clock()
            if row.unfinished:
                how = f"removed by {self._actor.name}"
                transitions.cancel(connection, row.id, now, how, CANCELLED_BY_USER)
            transitions.remove(connection, row.id, now)
            self._add_event(connection, now, UndoKind.REMOVAL, row, "done", detail, bulk=request.bulk)
            return self._ended_locally(connection, row.id)

    def retry_local(
        self, request: ActionRequest, *, only: tuple[str, ...] = RETRIED, starting: bool = False
    ) -> Retried | Refusal:
        """Make a job wait for its script's next run, its failed items unprocessed again, the others kept.

        One that waits already stays as it is. A job with many failed items takes several transactions:
        on `Retried.more`, call again with the fence of the row that is returned. It is pending after the last
        one. With ``starting`` it is then ours alone to start; see `set_started`.
        """
        with self._transaction(durable=True) as connection:
            if isinstance(row := self._checked(connection, request), Refusal):
                return row
            now = self._clock()
            last = _last_attempt(connection, row.id)
            if row.status is Status.PENDING:
                if starting and transitions.is_starting(connection, row.id, now):
                    return Refusal("its script was started a moment ago and has not begun yet", row)
                return self._retried(connection, row.id, last, now, starting=starting)
            if row.unfinished:
                if transitions.has_worker(connection, row.id, now):
                    return Refusal(f"still {LABELS[row.status]}", row)
                transitions.fail_lost(connection, row.id, now, LOST_WORKER)
            most = MOST_ROWS if self._batch is None else MOST_ROWS // _WRITES_A_TRANSACTION
            if "failed" in only and transitions.reset_errors(connection, row.id, now, most) == most:
                return Retried(self._row_now(connection, row.id), last, 0, more=True)
            transitions.make_pending(connection, row.id, keyed=last is None or last.keyed)
            reopen(connection, row.id)
            self._add_event(connection, now, "retry", row, "done", bulk=request.bulk)
            return self._retried(connection, row.id, last, now, starting=starting)

    def _retried(
        self, connection: Connection, job_id: int, last: Attempt | None, now: int, *, starting: bool
    ) -> Retried:
        if starting:
            transitions.set_starting(connection, job_id, None, now + _STARTING_MS)
        (number,) = connection.execute("SELECT attempt FROM job WHERE id = ?", (job_id,)).fetchone()
        return Retried(self._row_now(connection, job_id), last, number, more=False)

    def set_started(self, job_id: int, *, fence: int, owner: Owner | None, detail: str) -> JobRow:
        """Write which process was started for a pending job, or None when the start failed.

        ``detail`` is for the log. Until that process claims the job, is dead, or a minute has passed, no
        other is started.
        """
        with self._transaction() as connection:
            now = self._clock()
            row = self._row_now(connection, job_id)
            if row.fence == fence and row.status is Status.PENDING:
                transitions.set_starting(
                    connection, job_id, owner, None if owner is None else now + _COMING_UP_MS
                )
            result = "failed" if owner is None else "done"
            return self._logged(connection, job_id, "start", result, detail, at=now)

    def log_process_end(self, job_id: int, detail: str, *, bulk: str | None = None) -> None:
        """Log how the process ended whose job was ended."""
        with self._transaction() as connection:
            self._logged(connection, job_id, "stop process", "done", detail, bulk=bulk)

    def close_abandoned_cancels(self) -> list[JobRow]:
        """End, as cancelled, the jobs whose cancel is requested and whose worker is gone; return them.

        To be called periodically: it begins a transaction only when there is such a job.
        """
        closed: list[JobRow] = []
        for some in chunks(transitions.abandoned_cancels(self._reading, self._clock()), MOST_ROWS):
            with self._transaction() as connection:
                now = self._clock()
                for job_id in set(some).intersection(transitions.abandoned_cancels(connection, now)):
                    transitions.cancel(connection, job_id, now, LOST_WORKER, CANCELLED_BY_USER)
                    word = str(Status.CANCELLED)
                    closed.append(self._logged(connection, job_id, "end", word, LOST_WORKER, at=now))
        return closed

    def end_leases_of_dead(self) -> int:
        """Expire the leases of processes that are provably dead; return how many there were.

        All readers then see what only this machine can find out. To be called periodically, too.
        """
        ended = 0
        for some in chunks(transitions.leases_of_dead(self._reading, self._clock()), MOST_ROWS):
            with self._transaction() as connection:
                now = self._clock()
                for job_id in set(some).intersection(transitions.leases_of_dead(connection, now)):
                    transitions.end_lease(connection, job_id, now)
                    ended += 1
        return ended

    def local_files(self, job_id: int) -> dict[str, str]:
        """Return the files that were fetched of a local job, by role."""
        return _local_files(self._reading, job_id)

    def files_host(self, job_id: int) -> str | None:
        """Return the host that has a job's fetched files; None for the only one that uses the store."""
        sql = "SELECT fetched_on FROM job WHERE id = ?"
        found = self._reading.execute(sql, (job_id,)).fetchone()
        return None if found is None else found[0]

    def add_fetched_file(self, job_id: int, file: Path) -> JobRow:
        """Write where a local job's results were saved, so that a removal can delete them."""
        with self._transaction() as connection:
            files = _local_files(connection, job_id)
            if str(file) not in files.values():
                role = next(role for role in _roles() if role not in files)
                self._set(connection, job_id, files=as_json(files | {role: str(file)}))
            self._set(connection, job_id, fetched_at=self._clock(), fetched_on=self._files_host)
            return self._logged(connection, job_id, "fetch", "done", str(file))

    def set_local_files(self, job_id: int, files: dict[str, str]) -> None:
        """Write which fetched files of a local job are left."""
        with self._transaction() as connection:
            self._set(connection, job_id, files=as_json(files) if files else None)

    def _ended_locally(self, connection: Connection, job_id: int) -> EndedLocally:
        """Return a job whose lease was ended, and the process that held it last."""
        (owner,) = connection.execute("SELECT last_owner FROM job WHERE id = ?", (job_id,)).fetchone()
        last = _last_attempt(connection, job_id)
        host = "" if last is None else last.host
        return EndedLocally(self._row_now(connection, job_id), Owner.read(owner), host)


def _last_attempt(connection: Connection, job_id: int) -> Attempt | None:
    sql = f"SELECT {ATTEMPT_COLUMNS} FROM attempt WHERE job_id = ? ORDER BY fence DESC LIMIT 1"
    values = connection.execute(sql, (job_id,)).fetchone()
    return None if values is None else attempt_row(values)


def _local_files(connection: Connection, job_id: int) -> dict[str, str]:
    (files,) = connection.execute("SELECT files FROM job WHERE id = ?", (job_id,)).fetchone()
    return json.loads(files) if files else {}


def _roles() -> Iterator[str]:
    """Yield the names that fetched files are kept by: ``add_fetched_file``, ``fetched 2``, …"""
    yield "fetched"
    for number in count(2):
        yield f"fetched {number}"
