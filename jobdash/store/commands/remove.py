"""Removal: hide the record, keep what could not be deleted, let a removal wait for a cancel; undo."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from jobdash.domain.job import JobRow
from jobdash.domain.status import UNFINISHED
from jobdash.store.commands.intents import TAKEN_BACK, IntentWrites
from jobdash.store.dialects.base import Connection, chunks
from jobdash.store.merge import kept_files
from jobdash.store.records import ActionRequest, Intent, IntentKind, Refusal, Undoable, UndoKind, UndoOutcome
from jobdash.store.sanitize import as_json, stored_error
from jobdash.store.statements import Statement

NOT_CONFIRMED = "the cancel was not confirmed in time; the job stays"
_OVERDUE = (
    "SELECT intent.id, intent.account, intent.deadline, coalesce(account.asked_at, 0)"
    " FROM intent INDEXED BY intent_open LEFT JOIN account ON account.name = intent.account"
    f" WHERE intent.closed_at IS NULL AND intent.kind = '{IntentKind.REMOVE}' AND intent.deadline < ?"
)
_ROWS_A_TRANSACTION = 1000
_CLEARED: dict[UndoKind, dict[str, Any]] = {
    UndoKind.REMOVAL: {"removed_at": None},
    UndoKind.FORCE_FAIL: {"verdict": None, "verdict_at": None, "verdict_reason": None},
    UndoKind.WAITING_REMOVAL: {"removing": None},
}
_FILES = Statement("job_files")


class RemoveWrites(IntentWrites):
    """The store's part of remove, of cancel & delete, and of undo."""

    def hide(
        self, request: ActionRequest, *, detail: str = "", waiting: int | None = None
    ) -> JobRow | Refusal:
        """Remove a job: its row stays as a tombstone, because its provider lists the job for ever.

        ``waiting`` is the intent of a waiting removal that ends with it.
        """
        with self._transaction(durable=True) as connection:
            if isinstance(row := self._checked(connection, request), Refusal):
                return row
            now = self._clock()
            if waiting is not None and self._close(connection, waiting, now, "done") is None:
                return Refusal(TAKEN_BACK, row)
            self._close_waiting(connection, row.id, now, "removed otherwise")
            self._set_and_fence(connection, row.id, removed_at=now, removing=None)
            what, bulk = UndoKind.REMOVAL, request.bulk
            return self._logged(connection, row.id, what, "done", detail, at=now, bulk=bulk)

    def set_left_behind(self, job_id: int, what: str | None) -> JobRow:
        """Write what could not be deleted, which the row then shows; None when nothing is left."""
        with self._transaction() as connection:
            self._set(connection, job_id, left_behind=None if what is None else stored_error(what))
            return self._row_now(connection, job_id)

    def remote_files(self, job_id: int, observed: Mapping[str, str]) -> dict[str, str | None]:
        """Return what a provider keeps of a job by role, None for what was deleted; see `kept_files`.

        ``observed`` are the files that its last answer names.
        """
        with self._transaction() as connection:
            return kept_files(_files(connection, job_id), observed)

    def set_deleted(self, job_id: int, role: str) -> None:
        """Write that a file of the job (or its `BATCH`) was deleted at its provider."""
        with self._transaction() as connection:
            files = kept_files(_files(connection, job_id), {})
            self._set(connection, job_id, files=as_json({**files, role: None}))

    def begin_waiting_removal(
        self, request: ActionRequest, *, choices: dict[str, Any], deadline: int
    ) -> Intent | Refusal:
        """Let a removal wait until the provider confirms the cancel; the sync that finds it carries it out.

        ``choices`` (JSON) are its options, ``deadline`` (milliseconds UTC) is when to give up.
        """
        with self._transaction(durable=True) as connection:
            if isinstance(row := self._checked(connection, request), Refusal):
                return row
            now, bulk = self._clock(), request.bulk
            self._close_waiting(connection, row.id, now, "asked again")
            self._set(connection, row.id, removing=deadline)
            self._add_event(connection, now, UndoKind.WAITING_REMOVAL, row, "waiting", bulk=bulk)
            self._make_due(connection, row.account)
            return self._open(connection, now, IntentKind.REMOVE, row, deadline, bulk=bulk, choices=choices)

    def end_waiting_removal(self, intent_id: int, reason: str) -> JobRow | None:
        """Give up a waiting removal: the job stays. None when it was ended elsewhere."""
        with self._transaction() as connection:
            now = self._clock()
            intent = self._close(connection, intent_id, now, reason)
            if intent is None:
                return None
            self._set(connection, intent.job_id, removing=None)
            what, bulk = UndoKind.REMOVAL, intent.bulk
            return self._logged(connection, intent.job_id, what, "failed", reason, at=now, bulk=bulk)

    def give_up_removals(self, polled: Collection[str]) -> list[JobRow]:
        """Give up the waiting removals that no sync will end any more; return their jobs.

        These are those whose deadline has passed and whose account is none of ``polled``, or was polled since
        then: such a sync would have found the cancel confirmed. To be called periodically: it begins a
        transaction only when there is one.
        """
        overdue = self._reading.execute(_OVERDUE, (self._clock(),)).fetchall()
        given_up = [
            intent_id
            for intent_id, account, deadline, asked_at in overdue
            if account not in polled or asked_at > deadline
        ]
        ended = [self.end_waiting_removal(intent_id, NOT_CONFIRMED) for intent_id in given_up]
        return [row for row in ended if row is not None]

    def undo(self, action: Undoable, *, bulk: str | None = None) -> list[UndoOutcome]:
        """Take an action back, job by job; jobs that were changed since are left alone."""
        outcomes: list[UndoOutcome] = []
        for some in chunks(action.jobs, _ROWS_A_TRANSACTION):
            with self._transaction(durable=True) as connection:
                outcomes += [self._undo(connection, action.what, seen, bulk) for seen in some]
        return outcomes

    def _undo(self, connection: Connection, what: UndoKind, seen: JobRow, bulk: str | None) -> UndoOutcome:
        row = self._row(connection, seen.id)
        if row is None or _version(row) != _version(seen):
            return UndoOutcome(row or seen, "was changed meanwhile")
        now = self._clock()
        if what is UndoKind.WAITING_REMOVAL:
            self._close_waiting(connection, row.id, now, "undone")
        self._set(connection, row.id, **_CLEARED[what])
        detail = f"took back: {what}"
        after = self._logged(connection, row.id, "undo", "done", detail, at=now, bulk=bulk)
        if after.remote_status in UNFINISHED:
            self._make_due(connection, after.account)
        return UndoOutcome(after, None)


def _version(row: JobRow) -> tuple[object, ...]:
    return row.fence, row.removed_at, row.verdict, row.removing


def _files(connection: Connection, job_id: int) -> str | None:
    found = _FILES.run(connection, job_key=job_id).fetchone()
    return None if found is None else found[0]
