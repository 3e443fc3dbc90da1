"""Undo: the clearing of a field, for jobs that still are what the action made of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from jobdash.domain.job import JobRow
from jobdash.domain.status import UNFINISHED
from jobdash.store.commands.intents import IntentWrites
from jobdash.store.dialects.sqlite import chunks
from jobdash.store.records import Undoable, UndoKind, UndoOutcome

_ROWS_A_TRANSACTION = 1000
_CLEARED: dict[UndoKind, dict[str, Any]] = {
    UndoKind.REMOVAL: {"removed_at": None},
    UndoKind.FORCE_FAIL: {"verdict": None, "verdict_at": None, "verdict_reason": None},
    UndoKind.WAITING_REMOVAL: {"removing": None},
}


class UndoWrites(IntentWrites):
    """Takes back what `Reader.last_undoable` found."""

    def undo(self, action: Undoable, *, bulk: str | None = None) -> list[UndoOutcome]:
        """Take an action back, job by job; jobs that changed since it was looked at are left alone."""
        outcomes: list[UndoOutcome] = []
        for some in chunks(action.jobs, _ROWS_A_TRANSACTION):
            with self._transaction(durable=True) as connection:
                outcomes += [self._undo(connection, action.what, seen, bulk) for seen in some]
        return outcomes

    def _undo(self, connection: Connection, what: UndoKind, seen: JobRow, bulk: str | None) -> UndoOutcome:
        row = self._row(connection, seen.id)
        if row is None or _mark(row) != _mark(seen):
            return UndoOutcome(row or seen, "was changed meanwhile")
        now = self._clock()
        if what is UndoKind.WAITING_REMOVAL:
            self._close_waiting(connection, row.id, now, "undone")
        self._set(connection, row.id, **_CLEARED[what])
        self._add_event(connection, now, "undo", row, "done", f"took back: {what}", bulk=bulk)
        after = self._row_now(connection, row.id)
        if after.remote_status in UNFINISHED:
            self._make_due(connection, after.account)
        return UndoOutcome(after, None)


def _mark(row: JobRow) -> tuple[object, ...]:
    return row.fence, row.removed_at, row.verdict, row.removing
