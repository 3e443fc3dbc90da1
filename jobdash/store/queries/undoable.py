"""What can still be taken back: found in the log, checked against the jobs as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jobdash.domain.job import LOCAL, UNDO_MS, JobRow
from jobdash.store.records import Undoable, UndoKind
from jobdash.store.rows import ROW_COLUMNS, job_row

_ROW = ", ".join(f"job.{column}" for column in ROW_COLUMNS)
_STILL_SO = {
    UndoKind.REMOVAL: "job.removed_at = event.at",
    # The worker of a local job is gone for good: that is retried, not taken back.
    UndoKind.FORCE_FAIL: (
        f"job.verdict_at = event.at AND job.removed_at IS NULL AND job.provider <> '{LOCAL}'"
    ),
    UndoKind.WAITING_REMOVAL: (
        "job.removed_at IS NULL AND EXISTS (SELECT 1 FROM intent WHERE intent.job_id = job.id"
        " AND intent.kind = 'remove' AND intent.closed_at IS NULL AND intent.opened_at = event.at)"
    ),
}
_ARMS = " OR ".join(f"(event.action = '{what}' AND {test})" for what, test in _STILL_SO.items())
# An action and its event are one transaction and carry one time, so a job that was removed, taken back and
# removed again belongs to its last removal alone.
_SQL = (
    f"SELECT event.action, event.bulk, event.at, {_ROW} FROM event JOIN job ON job.id = event.job_id"
    f" WHERE event.actor = ? AND event.at >= ? AND ({_ARMS})"
)

Query = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]


def last_undoable(query: Query, actor: str, now: int, job_id: int | None = None) -> Undoable | None:
    """Return the newest action of ``actor`` of the last 24 hours that can be taken back.

    With a job's id: the newest that concerns this job, and of it this job alone.
    """
    since = now - UNDO_MS
    only = "" if job_id is None else " AND event.job_id = ?"
    of_job = [] if job_id is None else [job_id]
    newest = query(f"{_SQL}{only} ORDER BY event.id DESC LIMIT 1", [actor, since, *of_job])
    if not newest:
        return None
    action, bulk, at = newest[0][:3]
    if bulk is None:
        return Undoable(UndoKind(action), None, at, (_row(newest[0]),))
    together = f"{_SQL} AND event.bulk = ? AND event.action = ?{only} ORDER BY event.id"
    found = query(together, [actor, since, bulk, action, *of_job])
    return Undoable(UndoKind(action), bulk, at, tuple(map(_row, found)))


def _row(values: Sequence[Any]) -> JobRow:
    return job_row(values[3:])
