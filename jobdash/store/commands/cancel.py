"""Cancel: the intent before the request, and how it ends. Force-fail."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from jobdash.domain.job import JobRow
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import FORCE_FAILED, UNFINISHED, Status
from jobdash.store.commands.base import CANCELLED_BY_USER
from jobdash.store.commands.intents import LATE
from jobdash.store.commands.snapshots import SnapshotWrites
from jobdash.store.records import ActionRequest, Intent, IntentKind, Refusal, UndoKind
from jobdash.store.rows import UNFINISHED_REMOTELY
from jobdash.store.sanitize import stored

_RUNNING = ", ".join(f"'{word}'" for word in sorted(UNFINISHED - {Status.CANCELLING, Status.UNKNOWN}))
_UNANSWERED = (
    f"SELECT id FROM job INDEXED BY job_unfinished WHERE {UNFINISHED_REMOTELY} AND account = ? AND origin = ?"
    f" AND cancel_doubt = 1 AND remote_status IN ({_RUNNING}) AND removed_at IS NULL AND gone_at IS NULL"
    " AND not_found_at IS NULL AND seen_at > cancel_requested_at + ? AND NOT EXISTS (SELECT 1 FROM intent"
    f" WHERE intent.job_id = job.id AND intent.closed_at IS NULL AND intent.kind = '{IntentKind.CANCEL}')"
)


class CancelResult(StrEnum):
    """How a cancel ended."""

    DONE = "done"
    """The provider has accepted it."""
    SKIPPED = "skipped"
    """The job had ended already."""
    WITHDRAWN = "withdrawn"
    """It was certainly not applied: the job is again what it was before."""
    NO_ANSWER = "no answer"
    """That is unknown: the job stays ``cancelling``, in doubt."""

    @property
    def failed(self) -> bool:
        """Whether it was not carried out, as far as is known."""
        return self in {CancelResult.WITHDRAWN, CancelResult.NO_ANSWER}


class CancelWrites(SnapshotWrites):
    """The store's part of a cancel."""

    def begin_cancel(self, request: ActionRequest, *, deadline: int) -> Intent | Refusal:
        """Write a cancel before its request is sent; on disk when this returns.

        ``deadline`` (milliseconds UTC) is when the request has certainly ended.
        """
        with self._transaction(durable=True) as connection:
            if isinstance(row := self._checked(connection, request), Refusal):
                return row
            now = self._clock()
            why = stored(request.reason or CANCELLED_BY_USER)
            self._set(connection, row.id, cancel_requested_at=now, cancel_reason=why, cancel_doubt=0)
            self._make_due(connection, row.account)
            earlier, bulk = row.cancel_requested_at, request.bulk
            return self._open(connection, now, IntentKind.CANCEL, row, deadline, bulk=bulk, earlier=earlier)

    def close_cancel(
        self,
        intent_id: int,
        result: CancelResult = CancelResult.DONE,
        detail: str = "",
        *,
        remote: RemoteJob | None = None,
        asked_at: int | None = None,
        action: str = "cancel",
    ) -> JobRow | None:
        """End a cancel; return the job as it is afterwards.

        ``remote`` is the provider's answer; ``action`` is for the log: ``cancel``, or ``reconcile``. None
        when the intent was closed elsewhere, by a reconciling sync that took this process for dead; but an
        answer to this process is used all the same.
        """
        with self._transaction() as connection:
            intent = self._close(connection, intent_id, self._clock(), result)
            late = intent is None and action == "cancel" and not result.failed
            if late:
                intent = self._closed(connection, intent_id)
            if intent is None:
                return None
            if late or result.failed:
                row = self._row_now(connection, intent.job_id)
                if columns := _columns_after(intent, result, row):
                    self._set(connection, row.id, **columns)
            if remote is not None:
                since = intent.opened_at if asked_at is None else asked_at
                self._apply_to(connection, intent.job_id, remote, since)
            word = "failed" if result.failed else result
            return self._log_answer(connection, intent, action, word, LATE if late else detail)

    def withdraw_unanswered(self, account: str, origin: str, reason: str, after_ms: int) -> list[JobRow]:
        """Withdraw the cancels without an answer whose jobs the provider showed running long after.

        ``after_ms`` milliseconds after its request, a cancel has been applied or never will be. Returns the
        jobs, which may be cancelled again.
        """
        found = self._reading.execute(_UNANSWERED, (account, origin, after_ms)).fetchall()
        withdrawn: list[JobRow] = []
        for (job_id,) in found:
            with self._transaction() as connection:
                one = f"{_UNANSWERED} AND id = ?"
                if connection.execute(one, (account, origin, after_ms, job_id)).fetchone():
                    self._set(
                        connection, job_id, cancel_requested_at=None, cancel_reason=None, cancel_doubt=0
                    )
                    withdrawn.append(self._logged(connection, job_id, "reconcile", "failed", reason))
        return withdrawn

    def force_fail(self, request: ActionRequest) -> JobRow | Refusal:
        """Declare a job failed here; on disk when this returns. The job then has a new fence.

        The cancel at the provider follows.
        """
        with self._transaction(durable=True) as connection:
            if isinstance(row := self._checked(connection, request), Refusal):
                return row
            now, what, reason = self._clock(), UndoKind.FORCE_FAIL, request.reason or ""
            kept = stored(reason) if reason else None
            self._set_and_fence(connection, row.id, verdict=FORCE_FAILED, verdict_at=now, verdict_reason=kept)
            return self._logged(connection, row.id, what, "done", reason, at=now, bulk=request.bulk)


def _columns_after(intent: Intent, result: CancelResult, row: JobRow) -> dict[str, Any]:
    """Return what a cancel that failed, or that was answered too late, changes in its job."""
    if result is CancelResult.NO_ANSWER:
        return {"cancel_doubt": 1}
    if result is CancelResult.DONE and row.cancel_requested_at is None and row.remote_status in UNFINISHED:
        return {"cancel_requested_at": intent.opened_at, "cancel_doubt": 0}
    if row.cancel_requested_at != intent.opened_at:
        return {}
    if not result.failed:
        return {"cancel_doubt": 0}
    earlier = intent.earlier_cancel_requested_at
    again = {"cancel_requested_at": earlier, "cancel_doubt": int(earlier is not None)}
    return again if earlier else {**again, "cancel_reason": None}
