"""Cancel: the intent before the request, and the four ways in which it ends. Force-fail."""

from __future__ import annotations

from jobdash.domain.job import JobRow
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import FORCE_FAILED, UNFINISHED, Status
from jobdash.store.commands.snapshots import SnapshotWrites
from jobdash.store.dialects.base import Connection
from jobdash.store.records import Intent, IntentKind, Precondition, Refusal, UndoKind
from jobdash.store.rows import UNFINISHED_REMOTELY
from jobdash.store.sanitize import stored

DEFAULT_REASON = "Cancelled by user"
_RUNNING = ", ".join(f"'{word}'" for word in sorted(UNFINISHED - {Status.CANCELLING, Status.UNKNOWN}))
_UNANSWERED = (
    f"SELECT id FROM job INDEXED BY job_unfinished WHERE {UNFINISHED_REMOTELY} AND account = ? AND origin = ?"
    f" AND cancel_doubt = 1 AND remote_status IN ({_RUNNING}) AND removed_at IS NULL AND gone_at IS NULL"
    " AND not_found_at IS NULL AND seen_at > cancel_requested_at + ? AND NOT EXISTS (SELECT 1 FROM intent"
    f" WHERE intent.job_id = job.id AND intent.closed_at IS NULL AND intent.kind = '{IntentKind.CANCEL}')"
)


class CancelWrites(SnapshotWrites):
    """The store's part of a cancel.

    The closing methods return the job as it is afterwards, or None when the intent was closed elsewhere (by a
    reconciling sync); ``action`` is for the log: ``cancel``, or ``reconcile``.
    """

    def begin_cancel(
        self,
        job_id: int,
        *,
        fence: int,
        accept: Precondition | None,
        deadline: int,
        bulk: str | None = None,
        reason: str | None = None,
    ) -> Intent | Refusal:
        """Write a cancel before its request is sent; on disk when this returns.

        ``fence`` is that of the plan, ``accept`` checks the job once more, ``deadline`` (milliseconds UTC) is
        when the request has certainly ended.
        """
        with self._transaction(durable=True) as connection:
            row = self._checked(connection, job_id, fence, accept)
            if isinstance(row, Refusal):
                return row
            now = self._clock()
            self._set(
                connection,
                job_id,
                cancel_requested_at=now,
                cancel_reason=stored(reason or DEFAULT_REASON),
                cancel_doubt=0,
            )
            self._make_due(connection, row.account)
            earlier = row.cancel_requested_at
            return self._open(connection, now, IntentKind.CANCEL, row, deadline, bulk=bulk, earlier=earlier)

    def close_cancel(
        self,
        intent_id: int,
        *,
        result: str = "done",
        detail: str = "",
        remote: RemoteJob | None = None,
        asked_at: int | None = None,
        action: str = "cancel",
    ) -> JobRow | None:
        """End a cancel that was answered: it is accepted, or the job had ended already.

        The answer is used also where another process took this one for dead and closed the intent.
        """
        with self._transaction() as connection:
            intent = self._close(connection, intent_id, self._clock(), result)
            if intent is None:
                return self._close_late(connection, intent_id, result, remote, asked_at, action)
            self._apply_answer(connection, intent, remote, asked_at)
            return self._log_cancel(connection, intent, action, result, detail)

    def _close_late(
        self,
        connection: Connection,
        intent_id: int,
        result: str,
        remote: RemoteJob | None,
        asked_at: int | None,
        action: str,
    ) -> JobRow | None:
        """Use the answer to a cancel whose intent is closed already; None for a reconciling process."""
        intent = self._closed(connection, intent_id)
        if intent is None or action != "cancel":
            return None
        row = self._row_now(connection, intent.job_id)
        accepted = result == "done"  # else the job had ended by itself
        if accepted and row.cancel_requested_at is None and row.remote_status in UNFINISHED:
            self._set(connection, row.id, cancel_requested_at=intent.opened_at, cancel_doubt=0)
        elif row.cancel_requested_at == intent.opened_at:
            self._set(connection, row.id, cancel_doubt=0)
        self._apply_answer(connection, intent, remote, asked_at)
        return self._log_cancel(connection, intent, action, result, "answered after it was given up")

    def withdraw_cancel(
        self,
        intent_id: int,
        reason: str,
        *,
        remote: RemoteJob | None = None,
        asked_at: int | None = None,
        action: str = "cancel",
    ) -> JobRow | None:
        """End a cancel that was certainly not applied: the job is again what it was before."""
        with self._transaction() as connection:
            intent = self._close(connection, intent_id, self._clock(), "withdrawn")
            if intent is None:
                return None
            job_id = intent.job_id
            if self._row_now(connection, job_id).cancel_requested_at == intent.opened_at:
                earlier = intent.earlier_cancel_requested_at
                again = {"cancel_requested_at": earlier, "cancel_doubt": int(earlier is not None)}
                self._set(connection, job_id, **again if earlier else {**again, "cancel_reason": None})
            self._apply_answer(connection, intent, remote, asked_at)
            return self._log_cancel(connection, intent, action, "failed", reason)

    def leave_cancelling(
        self,
        intent_id: int,
        reason: str,
        *,
        remote: RemoteJob | None = None,
        asked_at: int | None = None,
        action: str = "cancel",
    ) -> JobRow | None:
        """End a cancel whose result is unknown: the job stays ``cancelling``, in doubt."""
        with self._transaction() as connection:
            intent = self._close(connection, intent_id, self._clock(), "no answer")
            if intent is None:
                return None
            self._set(connection, intent.job_id, cancel_doubt=1)
            self._apply_answer(connection, intent, remote, asked_at)
            return self._log_cancel(connection, intent, action, "failed", reason)

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
                    row = self._row_now(connection, job_id)
                    self._add_event(connection, self._clock(), "reconcile", row, "failed", reason)
                    withdrawn.append(row)
        return withdrawn

    def _apply_answer(
        self, connection: Connection, intent: Intent, remote: RemoteJob | None, asked_at: int | None
    ) -> None:
        if remote is not None:
            self._apply_to(
                connection, intent.job_id, remote, intent.opened_at if asked_at is None else asked_at
            )

    def _log_cancel(
        self, connection: Connection, intent: Intent, action: str, result: str, detail: str
    ) -> JobRow:
        row = self._row_now(connection, intent.job_id)
        self._add_event(connection, self._clock(), action, row, result, detail, bulk=intent.bulk)
        # A sync that reconciles plans its next poll by itself.
        if action == "cancel" and row.remote_status in UNFINISHED:
            self._make_due(connection, row.account)
        return row

    def force_fail(
        self,
        job_id: int,
        *,
        fence: int,
        accept: Precondition | None,
        reason: str | None = None,
        bulk: str | None = None,
    ) -> JobRow | Refusal:
        """Declare a job failed here; on disk when this returns. The job then has a new fence.

        The cancel at the provider follows.
        """
        with self._transaction(durable=True) as connection:
            row = self._checked(connection, job_id, fence, accept)
            if isinstance(row, Refusal):
                return row
            now = self._clock()
            kept = stored(reason) if reason else None
            self._set_and_fence(connection, job_id, verdict=FORCE_FAILED, verdict_at=now, verdict_reason=kept)
            self._add_event(connection, now, UndoKind.FORCE_FAIL, row, "done", reason or "", bulk=bulk)
            return self._row_now(connection, job_id)
