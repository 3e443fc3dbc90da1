"""Submit: the job and the intent before the request, and the ways in which it ends."""

from __future__ import annotations

from typing import Any

from jobdash.domain.job import JobRow
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import LABELS, NOT_SUBMITTED, QUEUED_HERE, UNCONFIRMED, Status
from jobdash.domain.text import quantity
from jobdash.store.commands.intents import LATE
from jobdash.store.commands.snapshots import SnapshotWrites
from jobdash.store.dialects.base import Connection
from jobdash.store.public_ids import new_public_ids
from jobdash.store.records import Intent, IntentKind, NewJob, Refusal
from jobdash.store.rows import CLOCKS_APART_MS
from jobdash.store.sanitize import distinct, stored, stored_error, stored_named, stored_words
from jobdash.store.statements import Statement

SUBMITTING = "submitting"
"""The raw status of a job while it is sent."""

_NEWER_OF_FILE = Statement("newer_of_file")
UNSET_SUPERSEDED = Statement("unset_superseded")
_SHORTEN_INTENT = Statement("shorten_intent")
_INSERT_JOB = Statement("insert_submitted_job")
_INSERT_TAG = Statement("insert_tag")
_DOUBLE = Statement("double_of_job")
_SUBMIT_KEY = Statement("submit_key_of_job")
_DELETE_ITEMS = Statement("delete_items")
_MOVE_INTENTS = Statement("move_intents")
_DELETE_JOB = Statement("delete_job")
_BATCHES_LIKE = Statement("batches_like_submit")
_RIVALS = Statement("rivals_of_submit")

_UNCONFIRMED = {"remote_status": str(Status.UNKNOWN), "raw_status": UNCONFIRMED}
"""The columns of a job of which it is not known whether a batch was made of it."""


def _settled(row: JobRow) -> Refusal | None:
    """Return the refusal for a submit that is not, or no longer, unanswered; None for one that is."""
    if row.removed_at is not None:
        return Refusal("was removed", row)
    if row.unconfirmed:
        return None
    what = f"is {row.remote_id}" if row.remote_id else row.raw_status
    if row.remote_id is None and row.raw_status == SUBMITTING:
        what = "is not confirmed yet"
    return Refusal(f"nothing is to be said of its submit: it {what}", row)


def _of_other_size(row: JobRow, remote: RemoteJob) -> Refusal | None:
    """Return why a batch of another number of requests cannot be that of a submit; None where it can be."""
    if None in {row.total, remote.total} or row.total == remote.total:
        return None
    sizes = f"has {remote.total:,} requests, and {row.total:,} were sent"
    return Refusal(f"{remote.remote_id} is another batch: it {sizes}", row)


class SubmitWrites(SnapshotWrites):
    """The store's part of a submit; a retry at a provider is one with a parent."""

    def begin_submit(
        self, new: NewJob, *, deadline: int, bulk: str | None = None
    ) -> tuple[JobRow, Intent] | Refusal:
        """Write a pending job and the intent to submit it; on disk when this returns.

        Refused when its requests were sent already; see `_sent_already`.
        """
        with self._transaction(durable=True) as connection:
            if refusal := self._sent_already(connection, new):
                return refusal
            now = self._clock()
            row = self._insert_linked(connection, new, now)
            digest = {"digest": new.digest} if new.digest else None
            kind = IntentKind.SUBMIT
            return row, self._open(connection, now, kind, row, deadline, bulk=bulk, choices=digest)

    def _sent_already(self, connection: Connection, new: NewJob) -> Refusal | None:
        """Return why a job must not be sent; None where it may be.

        Either its parent has a retry that may exist at its provider: what that was answered is not known to
        the caller, who has to plan again. Or the same file was sent since a person was asked about it.
        """
        self._make_due(connection, new.account)  # first, so that other submits to it wait on a server
        parent = None if new.parent_id is None else self._row(connection, new.parent_id)
        retry = None if parent is None else parent.superseded_by
        if retry is not None and (child := self._row(connection, retry)) is not None:
            state = f"still {LABELS[child.status]}" if child.unfinished else LABELS[child.status]
            return Refusal(f"its requests were sent again as {child.public_id}, {state}", child)
        if new.seen is None or not new.digest:
            return None
        mark = f'%"digest": "{new.digest}"%'
        found = _NEWER_OF_FILE.run(
            connection, mark=mark, job_seen=new.seen.job, intent_seen=new.seen.intent
        ).fetchone()
        if found is None:
            return None
        row = self._row_now(connection, found[0])
        return Refusal(f"the identical file was sent meanwhile, as {row.public_id}", row)

    def _insert_linked(
        self, connection: Connection, new: NewJob, now: int, *, queued: str | None = None
    ) -> JobRow:
        """Write a new job, and on its parent, if it is a retry, that its requests are sent again."""
        parent = None if new.parent_id is None else self._row(connection, new.parent_id)
        # That of the batch it is sent again from, or else the one that this begins.
        family = None if parent is None else parent.family or parent.public_id
        row = self._insert_new(connection, new, now, family=family, queued=queued)
        if parent is not None:
            self._set(connection, parent.id, superseded_by=row.id, family=row.family)
        return row

    def set_uploaded_file(self, job_id: int, file_id: str) -> None:
        """Write the id of an uploaded file, so that it can be deleted if no batch is made of it."""
        with self._transaction(durable=True) as connection:
            self._set(connection, job_id, files=stored_words({"input": file_id}))

    def close_submit(
        self, intent_id: int, remote: RemoteJob, asked_at: int, *, action: str = "submit"
    ) -> JobRow | None:
        """End a submit that made a batch; None when the intent was closed elsewhere.

        The answer to the process that submitted is used also when the submit was given up meanwhile. The job
        stays unconfirmed where the batch is known to be another job's.
        """
        with self._transaction() as connection:
            intent = self._close(connection, intent_id, self._clock(), "done")
            late = intent is None
            intent = intent or self._given_up(connection, intent_id, action)
            if intent is None:
                return None
            row = self._row_now(connection, intent.job_id)
            if refusal := self._take_in(connection, row, remote):
                self._set(connection, row.id, **_UNCONFIRMED, error=stored_error(refusal.reason))
                return self._log_answer(connection, intent, action, "failed", refusal.reason)
            self._apply_to(connection, intent.job_id, remote, asked_at)
            self._log_retry(connection, intent)
            return self._log_answer(connection, intent, action, "done", LATE if late else "")

    def fail_submit(self, intent_id: int, reason: str) -> JobRow | None:
        """End a submit that certainly made no batch: the job failed, and its parent may be retried again.

        None when the intent was closed elsewhere, unless the submit was only given up.
        """
        return self._end_submit(intent_id, reason, "submit", self._never_sent(reason))

    def _never_sent(self, reason: str) -> dict[str, Any]:
        """Return the columns of a job whose submit made no batch."""
        return {
            "remote_status": str(Status.FAILED),
            "raw_status": NOT_SUBMITTED,
            "error": stored_error(reason),
            "finished_at": self._clock(),
        }

    def set_listing_deadline(self, intent_id: int, until: int) -> None:
        """Bring forward the deadline of a dead process's submit, by which a list shows its batch, if any.

        A later deadline changes nothing.
        """
        with self._transaction() as connection:
            _SHORTEN_INTENT.run(connection, intent_key=intent_id, until=until)

    def batches_like(self, intent: Intent) -> tuple[tuple[str, ...], int]:
        """Return the batches that a submit with a provider that keeps no key may have made, and its rivals.

        The first are the remote ids of batches with its number of requests, made while it was under way and
        of no other submit; the second is how many other submits without an answer may have made them.
        """
        span = {"since": intent.opened_at - CLOCKS_APART_MS, "until": intent.deadline + CLOCKS_APART_MS}
        with self._transaction() as connection:
            found = _BATCHES_LIKE.run(connection, job_key=intent.job_id, **span).fetchall()
            (rivals,) = _RIVALS.run(connection, job_key=intent.job_id, **span).fetchone()
            return tuple(remote_id for (remote_id,) in found), rivals

    def leave_unconfirmed(self, intent_id: int, reason: str) -> JobRow | None:
        """End a submit whose result is unknown; a sync that finds its key confirms it later."""
        return self._end_submit(intent_id, reason, "reconcile", _UNCONFIRMED)

    def _end_submit(self, intent_id: int, reason: str, action: str, columns: dict[str, Any]) -> JobRow | None:
        with self._transaction() as connection:
            intent = self._close(connection, intent_id, self._clock(), reason)
            intent = intent or self._given_up(connection, intent_id, action)
            if intent is None:
                return None
            if self._row_now(connection, intent.job_id).remote_id is None:
                self._set(connection, intent.job_id, **columns)
                if columns["remote_status"] == Status.FAILED:
                    UNSET_SUPERSEDED.run(connection, child_key=intent.job_id)
            return self._log_answer(connection, intent, action, "failed", reason)

    def adopt_batch(self, job_id: int, remote: RemoteJob, asked_at: int) -> JobRow | Refusal:
        """Write which batch an unconfirmed job is, as a person says; on disk when this returns.

        Refused when it was confirmed meanwhile, and for a batch that cannot be its own.
        """
        with self._transaction(durable=True) as connection:
            row = self._row_now(connection, job_id)
            refusal = _settled(row) or _of_other_size(row, remote) or self._take_in(connection, row, remote)
            if refusal is not None:
                return refusal
            self._apply_to(connection, job_id, remote, asked_at)
            self._make_due(connection, row.account)
            return self._logged(connection, job_id, "adopt", "done", f"it is {remote.remote_id}")

    def disown_batches(self, job_id: int, reason: str) -> JobRow | Refusal:
        """Write that an unconfirmed job made no batch, as a person says: it failed, and may be sent again.

        Refused when it was confirmed meanwhile.
        """
        with self._transaction(durable=True) as connection:
            refusal = _settled(self._row_now(connection, job_id))
            if refusal is not None:
                return refusal
            self._set(connection, job_id, **self._never_sent(reason))
            UNSET_SUPERSEDED.run(connection, child_key=job_id)
            return self._logged(connection, job_id, "adopt", "failed", reason)

    def _given_up(self, connection: Connection, intent_id: int, action: str) -> Intent | None:
        """Return an unconfirmed submit, for the late answer to the process that sent it; None for others."""
        intent = self._closed(connection, intent_id) if action == "submit" else None
        if intent is None:
            return None
        row = self._row_now(connection, intent.job_id)
        return intent if row.remote_id is None and row.raw_status == UNCONFIRMED else None

    def _log_retry(self, connection: Connection, intent: Intent) -> None:
        """Log on the parent, if there is one, as what its requests were sent again."""
        row = self._row_now(connection, intent.job_id)
        if row.parent_id is not None:
            detail = f"{quantity(row.total or 0, 'request')} sent again as {row.public_id}"
            self._logged(connection, row.parent_id, "retry", "done", detail, bulk=intent.bulk)

    def _insert_new(
        self,
        connection: Connection,
        new: NewJob,
        now: int,
        *,
        public_id: str | None = None,
        family: str | None = None,
        queued: str | None = None,
    ) -> JobRow:
        """Write a new job: one about to be sent, or one that waits as ``queued`` says."""
        public_id = public_id or new_public_ids(connection)[0]
        made = _INSERT_JOB.run(
            connection,
            public_id=public_id,
            provider=new.provider,
            account=new.account,
            origin=new.origin,
            submit_key=new.key,
            name=stored(new.name),
            remote_status=str(Status.PENDING),
            raw_status=QUEUED_HERE if queued else SUBMITTING,
            model=new.model and stored(new.model),
            endpoint=new.endpoint and stored(new.endpoint),
            total=new.total,
            created_at=now,
            parent_id=new.parent_id,
            kept_succeeded=new.kept_succeeded,
            kept_failed=new.kept_failed,
            family=family,
            estimated_tokens=new.estimated_tokens,
            queued=queued,
            profile=new.profile,
        )
        ((job_id,),) = made.fetchall()
        words = [
            {"job_id": job_id, "key": distinct(key), "value": stored_named(key, value)}
            for key, value in new.tags.items()
        ]
        _INSERT_TAG.run_many(connection, words)
        return self._row_now(connection, job_id)

    def _take_in(self, connection: Connection, row: JobRow, remote: RemoteJob) -> Refusal | None:
        """Delete the row that a sync made of a submit's batch, where its provider dropped our key.

        The older row stays: its id was printed. Refused for a row that is more than a sync's: what another
        submit has made, or what was sent again meanwhile.
        """
        place = {"job_key": row.id, "remote": remote.remote_id, "provider": row.provider}
        found = _DOUBLE.run(connection, **place).fetchone()
        if found is None:
            return None
        double = self._row_now(connection, found[0])
        (key,) = _SUBMIT_KEY.run(connection, job_key=double.id).fetchone()
        if key is not None:
            return Refusal(f"{remote.remote_id} is the batch of another submit, {double.public_id}", row)
        if double.superseded_by is not None:
            child = self._row_now(connection, double.superseded_by)
            sent = f"{remote.remote_id} is {double.public_id}, and was sent again as {child.public_id}"
            return Refusal(sent, row)
        _DELETE_ITEMS.run(connection, job_key=double.id)
        _MOVE_INTENTS.run(connection, job_key=double.id, target_key=row.id)
        _DELETE_JOB.run(connection, job_key=double.id)
        return None
