"""The queue of submits: batches that wait on this computer until there is room at their provider."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace

from jobdash.domain.job import JobRow
from jobdash.domain.status import QUEUED_HERE, Status
from jobdash.store.commands.submit import SUBMITTING, UNSET_SUPERSEDED, SubmitWrites
from jobdash.store.dialects.base import Connection
from jobdash.store.public_ids import new_public_ids
from jobdash.store.records import (
    ActionRequest,
    Intent,
    IntentKind,
    NewJob,
    QueuedOptions,
    Refusal,
    SettledQueue,
    TakenSubmit,
)
from jobdash.store.sanitize import stored
from jobdash.store.statements import Statement

NEVER_SENT = "never sent"
"""The raw status of a batch that was cancelled in the queue."""
NO_ROOM = "token_limit_exceeded"
"""The code of a batch that its provider had no room for."""
CREATING = "create"
"""The target of a submit's intent from when on a batch may have been created."""
_BEING_SENT = "is being sent now; cancel it when its provider has it"
_MOST_DOUBLINGS = 5
_UNDECIDED = frozenset({Status.PENDING, Status.VALIDATING, Status.UNKNOWN})
"""The statuses in which its provider may still refuse a batch for want of room."""

_QUEUED = Statement("queued_jobs")
_OF_MODEL = Statement("queued_of_model")
_ENQUEUED = Statement("enqueued_tokens")
_SENT = Statement("sent_from_queue")
_OF_JOB = Statement("queue_of_job")
_TAGS = Statement("tags_of_job")
_STEP = Statement("step_of_intent")
_RENEW_CREATION = Statement("renew_creation")


class QueueWrites(SubmitWrites):
    """Writes what waits in the queue, takes it out for one sender, and puts it back."""

    def enqueue(self, parts: Sequence[tuple[NewJob, QueuedOptions]]) -> list[JobRow] | Refusal:
        """Write jobs that wait to be sent, several of them as one family; on disk when this returns.

        Refused when requests of one were sent already; see `_sent_already`.
        """
        with self._transaction(durable=True) as connection:
            for new, _ in parts:
                if refusal := self._sent_already(connection, new):
                    return refusal
            now = self._clock()
            if len(parts) == 1:
                ((new, options),) = parts
                row = self._insert_linked(connection, new, now, queued=_encoded(options))
                self._add_event(connection, now, "queue", row, "done", bulk=options.bulk)
                return [row]
            ids = new_public_ids(connection, len(parts))
            rows = [
                self._insert_new(
                    connection, new, now, public_id=public_id, family=ids[0], queued=_encoded(options)
                )
                for public_id, (new, options) in zip(ids, parts, strict=True)
            ]
            for row in rows:
                self._add_event(connection, now, "queue", row, "done")
            return rows

    def take_queued(
        self, account: str, origin: str, limit: int | None, *, deadline: int
    ) -> TakenSubmit | None:
        """Take the next batch of an account that there is room for, and write the intent to send it.

        ``limit`` is how many tokens may be enqueued for one model, None where that is not known. One batch
        has room wherever nothing else is enqueued. On disk when this returns.
        """
        with self._transaction(durable=True) as connection:
            now = self._clock()
            for job_id, model, tokens, key, text in _QUEUED.run(
                connection, account=account, origin=origin
            ).fetchall():
                options = _decoded(text)
                if options.not_before > now or not self._has_room(
                    connection, account, model, tokens or 0, _lower(limit, options.limit)
                ):
                    continue
                self._set(connection, job_id, raw_status=SUBMITTING)
                row = self._row_now(connection, job_id)
                digest = {"digest": options.digest}
                intent = self._open(
                    connection, now, IntentKind.SUBMIT, row, deadline, bulk=options.bulk, choices=digest
                )
                tags: dict[str, str] = dict(_TAGS.run(connection, job_key=job_id).fetchall())
                return TakenSubmit(row, intent, key, options, tags)
        return None

    def _has_room(
        self, connection: Connection, account: str, model: str | None, tokens: int, limit: int | None
    ) -> bool:
        if limit is None:
            return True
        used = self._enqueued(connection, account, model)
        return used == 0 or used + tokens <= limit

    @staticmethod
    def _enqueued(connection: Connection, account: str, model: str | None) -> int:
        (used,) = _ENQUEUED.run(connection, account=account, model=model).fetchone()
        return int(used)

    def renew_creation(self, intent_id: int, deadline: int) -> bool:
        """Move a submit's deadline, and write that its batch is created now; False when it was closed."""
        with self._transaction(durable=True) as connection:
            renewed = _RENEW_CREATION.run(connection, intent_key=intent_id, later=deadline, step=CREATING)
            return renewed.rowcount == 1

    def return_to_queue(
        self, intent: Intent, reason: str, wait_ms: int, *, no_room: bool = False
    ) -> JobRow | None:
        """Put a batch back that certainly was not created; None when its intent was closed elsewhere.

        It waits ``wait_ms``, with ``no_room`` all that wait for its model do.
        """
        with self._transaction(durable=True) as connection:
            return self._return(connection, intent, reason, wait_ms, no_room=no_room)

    def return_interrupted(self, intent: Intent, reason: str) -> JobRow | None:
        """Put a batch back whose process died before it could create it; None for any other."""
        with self._transaction(durable=True) as connection:
            step = _STEP.run(connection, intent_key=intent.id).fetchone()
            if step is None or step[0] == CREATING:
                return None
            return self._return(connection, intent, reason, 0, action="reconcile")

    def _return(
        self,
        connection: Connection,
        intent: Intent,
        reason: str,
        wait_ms: int,
        *,
        no_room: bool = False,
        action: str = "submit",
    ) -> JobRow | None:
        now = self._clock()
        text, tokens, _ = _OF_JOB.run(connection, job_key=intent.job_id).fetchone()
        if text is None or self._close(connection, intent.id, now, reason) is None:
            return None
        options = _decoded(text)
        options = replace(options, tries=options.tries + 1, not_before=now + wait_ms)
        self._set(connection, intent.job_id, raw_status=QUEUED_HERE, queued=_encoded(options))
        row = self._row_now(connection, intent.job_id)
        if no_room:
            self._learn_limit(connection, row, tokens or 0, now + wait_ms)
        self._add_event(connection, now, action, row, "queued", reason)
        return row

    def _learn_limit(self, connection: Connection, row: JobRow, tokens: int, not_before: int) -> None:
        """Postpone all queued batches for a refused one's model, and lower their limit below its tokens."""
        refused = self._enqueued(connection, row.account, row.model) + tokens
        for job_id, text in _OF_MODEL.run(connection, account=row.account, model=row.model).fetchall():
            options = _decoded(text)
            limit = _lower(options.limit, max(1, refused - 1))
            waits = max(options.not_before, not_before)
            self._set(connection, job_id, queued=_encoded(replace(options, limit=limit, not_before=waits)))

    def settle_queue(self, account: str) -> SettledQueue:
        """Close the batches that their provider decided on; return what is left to do outside the store."""
        done: list[str] = []
        refused: list[tuple[int, str]] = []
        with self._transaction() as connection:
            for job_id, key, text, status, remote_id, errors, superseded, removed in _SENT.run(
                connection, account=account
            ).fetchall():
                if status in _UNDECIDED and removed is None:
                    continue
                no_room = status == Status.FAILED and remote_id is not None and NO_ROOM in (errors or "")
                if no_room and superseded is None and removed is None:
                    refused.append((job_id, key))
                    continue
                self._set(connection, job_id, queued=None)
                if not _decoded(text).keep_input:
                    done.append(key)
        return SettledQueue(tuple(done), tuple(refused))

    def requeue(self, job_id: int, key: str, wait_ms: int) -> JobRow | None:
        """Queue a batch again that its provider had no room for, as a new job; the refused one stays failed.

        None when another process did. ``wait_ms`` is multiplied with the number of tries.
        """
        with self._transaction(durable=True) as connection:
            text, tokens, superseded = _OF_JOB.run(connection, job_key=job_id).fetchone()
            if text is None or superseded is not None:
                return None
            now, old, options = self._clock(), self._row_now(connection, job_id), _decoded(text)
            wait = wait_ms * 2 ** min(options.tries, _MOST_DOUBLINGS)
            options = replace(options, tries=options.tries + 1, not_before=now + wait)
            new = NewJob(
                old.account,
                old.provider,
                old.origin,
                old.name,
                key,
                old.model,
                old.endpoint,
                old.total,
                dict(_TAGS.run(connection, job_key=job_id).fetchall()),
                parent_id=job_id,
                kept_succeeded=old.kept_succeeded,
                kept_failed=old.kept_failed,
                estimated_tokens=tokens,
                profile=old.profile,
            )
            row = self._insert_linked(connection, new, now, queued=_encoded(options))
            self._set(connection, job_id, queued=None)
            self._learn_limit(connection, row, tokens or 0, now + wait)
            self._make_due(connection, row.account)
            detail = f"no room at its provider for {old.public_id}"
            self._add_event(connection, now, "queue", row, "done", detail)
            return row

    def forget_queued(self, job_id: int) -> None:
        """Leave a refused batch as it is: its input is not there any more."""
        with self._transaction() as connection:
            self._set(connection, job_id, queued=None)

    def cancel_queued(self, request: ActionRequest) -> JobRow | Refusal:
        """Cancel a batch that waits in the queue, without a request. Refused once it is being sent."""
        with self._transaction(durable=True) as connection:
            if isinstance(row := self._checked(connection, request), Refusal):
                return row
            if not row.queued_here:
                return Refusal(_BEING_SENT, row)
            now = self._clock()
            self._set(
                connection,
                row.id,
                remote_status=str(Status.CANCELLED),
                raw_status=NEVER_SENT,
                finished_at=now,
                cancel_reason=request.reason and stored(request.reason),
                queued=None,
            )
            UNSET_SUPERSEDED.run(connection, child_key=row.id)  # its requests may be sent again
            return self._logged(connection, row.id, "cancel", "done", NEVER_SENT, at=now, bulk=request.bulk)


def _encoded(options: QueuedOptions) -> str:
    return json.dumps(asdict(options))


def _decoded(text: str | None) -> QueuedOptions:
    """Read options; unknown ones of a newer jobdash are left out."""
    values = json.loads(text) if text else None
    if not isinstance(values, dict):
        return QueuedOptions()
    known = {field.name for field in fields(QueuedOptions)}
    return QueuedOptions(**{name: value for name, value in values.items() if name in known})


def _lower(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
