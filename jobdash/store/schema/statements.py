"""The statements of the writer, made of the tables; `generate` compiles them to text, which is committed.

So a command that writes starts without SQLAlchemy, and each dialect gets its own text. ``{columns}`` stands
for the assignments of an update, ``{words}`` for a list of values: both are known when it is run.
"""

from __future__ import annotations

from sqlalchemy import (
    bindparam,
    case,
    column,
    delete,
    exists,
    func,
    null,
    or_,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.sql.expression import ClauseElement

from jobdash.domain.notification import NotificationKind
from jobdash.domain.status import NOT_SUBMITTED, QUEUED_HERE, UNFINISHED, Status, Tab
from jobdash.store.merge import KNOWN_COLUMNS
from jobdash.store.records import IntentKind
from jobdash.store.rows import INTENT_COLUMNS, ROW_COLUMNS, UNFINISHED_REMOTELY
from jobdash.store.schema.account_statements import ACCOUNT_STATEMENTS
from jobdash.store.schema.base import given_columns, insert_into, table, words
from jobdash.store.schema.compilation import COLUMNS
from jobdash.store.schema.tables import (
    EventRecord,
    IntentRecord,
    ItemRecord,
    JobRecord,
    MetaRecord,
    ReviewRecord,
    TagRecord,
)

_job, _items, _tags = table(JobRecord), table(ItemRecord), table(TagRecord)
_intents, _events, _meta = table(IntentRecord), table(EventRecord), table(MetaRecord)


# Jobs

_this_job = _job.c.id == bindparam("job_key")
_known = select(*(_job.c[name] for name in KNOWN_COLUMNS))
_server = (_job.c.provider == bindparam("provider"), _job.c.origin == bindparam("origin"))
_child = _job.alias()
_parent = select(_child.c.parent_id).where(_child.c.id == bindparam("child_key")).scalar_subquery()
_loaded = [
    each.name
    for each in _job.columns
    if each.computed is None
    and each.server_default is None
    and each.name not in {"id", "family_id", "function", "fetched_on"}
]
_submitted = [
    "public_id", "provider", "account", "origin", "submit_key", "name", "remote_status", "raw_status",
    "model", "endpoint", "total", "created_at", "parent_id", "kept_succeeded", "kept_failed", "family",
    "estimated_tokens", "queued", "profile",
]  # fmt: skip


_set_reviewed = insert_into(table(ReviewRecord), ["job_id", "at", "marks"])

_JOBS: dict[str, ClauseElement] = {
    # Read before it is written: its worker does not wait for the store's lock.
    "job_row": select(*(_job.c[name] for name in ROW_COLUMNS))
    .where(_this_job)
    .with_for_update(key_share=True),
    "set_job": update(_job).where(_this_job).values(name=bindparam(COLUMNS)),
    # This ends a worker's right to write: the store refuses a worker that still holds the old fence.
    "set_job_and_fence": update(_job)
    .where(_this_job)
    .values(
        name=bindparam(COLUMNS),
        fence=_job.c.fence + 1,
        last_owner=func.coalesce(_job.c.owner, _job.c.last_owner),
        owner=null(),
        lease_until=null(),
    ),
    # A cost is computed outside of the transaction: it is written for what it was computed from.
    "set_cost": update(_job)
    .where(
        _this_job,
        _job.c.input_tokens.is_not_distinct_from(bindparam("read")),
        _job.c.output_tokens.is_not_distinct_from(bindparam("written")),
        _job.c.cached_tokens.is_not_distinct_from(bindparam("cached")),
        _job.c.model.is_not_distinct_from(bindparam("model_name")),
    )
    .values(cost=bindparam("micros"), cost_is_upper_bound=bindparam("bound"), cost_stale=null()),
    "job_files": select(_job.c.files).where(_this_job),
    "job_kept_here": select(_job.c.results_folder, _job.c.submit_key, _job.c.fetched_on).where(_this_job),
    "known_by_id": _known.where(_this_job),
    "known_by_remote_id": _known.where(_job.c.remote_id.in_(words()), *_server),
    "known_by_submit_key": _known.where(
        _job.c.submit_key.in_(words()), _job.c.remote_id.is_(None), _job.c.provider == bindparam("provider")
    ),
    # Only a submit that got no answer has no remote id: these rows are few, and lie together in the index.
    "known_by_input_file": _known.where(
        _job.c.remote_id.is_(None),
        _job.c.remote_status.in_(sorted(UNFINISHED)),
        *_server,
        func.json_extract(_job.c.files, "$.input").in_(words()),
    ),
    "mark_seen": update(_job)
    .where(
        _this_job,
        or_(
            _job.c.seen_at.is_(None), _job.c.seen_at < bindparam("asked"), _job.c.seen_at > bindparam("ahead")
        ),
    )
    .values(
        seen_at=bindparam("asked"),
        unchanged_polls=case((bindparam("unchanged"), _job.c.unchanged_polls + 1), else_=0),
    ),
    "doubt_jobs": update(_job)
    .where(_job.c.account == bindparam("account"), text(UNFINISHED_REMOTELY), _job.c.remote_id.is_not(None))
    .values(not_found_at=bindparam("marker")),
    "last_job_id": select(func.max(_job.c.id)),
    "jobs_behind": select(_job.c.id, _job.c.remote_id)
    .where(_job.c.id > bindparam("last"))
    .order_by(_job.c.id),
    "insert_listed_job": insert_into(_job, [*_loaded, "updated_at"]),
    "insert_submitted_job": insert_into(_job, _submitted).returning(column("id")),
    # Those that certainly do not exist at their provider are left out.
    "newer_of_file": select(_job.c.id).where(
        _job.c.raw_status != NOT_SUBMITTED,
        _job.c.id.in_(
            union_all(
                select(_intents.c.job_id).where(
                    _intents.c.id > bindparam("intent_seen"),
                    _intents.c.kind == IntentKind.SUBMIT,
                    _intents.c.choices.like(bindparam("mark")),
                ),
                select(_job.c.id).where(
                    _job.c.id > bindparam("job_seen"), _job.c.queued.like(bindparam("mark"))
                ),
            )
        ),
    ),
    "unset_superseded": update(_job)
    .where(_job.c.id == _parent, _job.c.superseded_by == bindparam("child_key"))
    .values(superseded_by=null()),
    "double_of_job": select(_job.c.id).where(
        _job.c.remote_id == bindparam("remote"),
        _job.c.provider == bindparam("provider"),
        _job.c.origin == select(_job.c.origin).where(_this_job).scalar_subquery(),
        _job.c.id != bindparam("job_key"),
    ),
    "submit_key_of_job": select(_job.c.submit_key).where(_this_job),
    "delete_job": delete(_job).where(_this_job),
    "insert_tag": insert_into(_tags),
    "insert_new_tag": insert_into(_tags).on_conflict_do_nothing(),
    "insert_item": insert_into(_items),
    "delete_item": delete(_items).where(
        _items.c.job_id == bindparam("job_id"),
        or_(_items.c.seq == bindparam("seq"), _items.c.key == bindparam("key")),
    ),
    "delete_items": delete(_items).where(_items.c.job_id == bindparam("job_key")),
    "delete_items_between": delete(_items).where(
        _items.c.job_id == bindparam("job_key"),
        _items.c.seq >= bindparam("first"),
        _items.c.seq < bindparam("end"),
    ),
    "insert_event": insert_into(_events),
    "set_reviewed": _set_reviewed.on_conflict_do_update(
        index_elements=["job_id"],
        set_={"at": _set_reviewed.excluded.at, "marks": _set_reviewed.excluded.marks},
    ),
}

# The queue of submits

_in_queue = (
    _job.c.account == bindparam("account"),
    _job.c.queued.is_not(None),
    _job.c.raw_status == QUEUED_HERE,
    _job.c.remote_id.is_(None),
)
_QUEUE: dict[str, ClauseElement] = {
    "queued_jobs": select(_job.c.id, _job.c.model, _job.c.estimated_tokens, _job.c.submit_key, _job.c.queued)
    .where(
        *_in_queue,
        _job.c.origin == bindparam("origin"),
        _job.c.status == str(Status.PENDING),
        _job.c.removed_at.is_(None),
    )
    .order_by(_job.c.id),
    "queued_of_model": select(_job.c.id, _job.c.queued).where(
        *_in_queue, _job.c.model.is_not_distinct_from(bindparam("model"))
    ),
    # The partial index of unfinished jobs finds them; a removed one runs on.
    "enqueued_tokens": select(func.coalesce(func.sum(_job.c.estimated_tokens), 0)).where(
        text(UNFINISHED_REMOTELY),
        _job.c.account == bindparam("account"),
        _job.c.model.is_not_distinct_from(bindparam("model")),
        _job.c.raw_status != QUEUED_HERE,
        _job.c.gone_at.is_(None),
    ),
    "sent_from_queue": select(
        _job.c.id,
        _job.c.submit_key,
        _job.c.queued,
        _job.c.remote_status,
        _job.c.remote_id,
        _job.c.errors,
        _job.c.superseded_by,
        _job.c.removed_at,
    ).where(
        _job.c.account == bindparam("account"),
        _job.c.queued.is_not(None),
        or_(_job.c.raw_status != QUEUED_HERE, _job.c.remote_id.is_not(None)),
    ),
    "queue_of_job": select(_job.c.queued, _job.c.estimated_tokens, _job.c.superseded_by).where(_this_job),
    "tags_of_job": select(_tags.c.key, _tags.c.value).where(_tags.c.job_id == bindparam("job_key")),
    "step_of_intent": select(_intents.c.target).where(
        _intents.c.id == bindparam("intent_key"), _intents.c.closed_at.is_(None)
    ),
    "renew_creation": update(_intents)
    .where(_intents.c.id == bindparam("intent_key"), _intents.c.closed_at.is_(None))
    .values(deadline=bindparam("later"), target=bindparam("step")),
}

# Intents

_this_intent = _intents.c.id == bindparam("intent_key")
_open = _intents.c.closed_at.is_(None)
_columns = [_intents.c[name] for name in INTENT_COLUMNS]
_other_unfinished = UNFINISHED_REMOTELY.replace("remote_status", "other.remote_status")
_rival_unfinished = UNFINISHED_REMOTELY.replace("remote_status", "rival.remote_status")

_INTENTS: dict[str, ClauseElement] = {
    "insert_intent": insert_into(
        _intents, [name for name in given_columns(_intents) if name not in {"closed_at", "result"}]
    ).returning(column("id")),
    "open_intent": select(_intents.c.id).where(_this_intent, _open),
    "closed_intent": select(*_columns).where(_this_intent, _intents.c.closed_at.is_not(None)),
    "close_intent": update(_intents)
    .where(_this_intent, _open)
    .values(closed_at=bindparam("now"), result=bindparam("outcome"))
    .returning(*_columns),
    "waiting_removals": select(_intents.c.id).where(
        _intents.c.job_id == bindparam("job_key"), _intents.c.kind == str(IntentKind.REMOVE), _open
    ),
    "take_over_intent": update(_intents)
    .where(
        _this_intent, _open, _intents.c.owner == bindparam("was"), _intents.c.deadline == bindparam("until")
    )
    .values(owner=bindparam("mine"), deadline=bindparam("later")),
    "renew_intent": update(_intents).where(_this_intent, _open).values(deadline=bindparam("later")),
    "shorten_intent": update(_intents)
    .where(_this_intent, _open, _intents.c.deadline > bindparam("until"))
    .values(deadline=bindparam("until")),
    "adopt_intents": update(_intents)
    .where(_intents.c.job_id == bindparam("job_key"), _open)
    .values(account=bindparam("adopter")),
    "move_intents": update(_intents)
    .where(_intents.c.job_id == bindparam("job_key"))
    .values(job_id=bindparam("target_key")),
    # Unfinished jobs are few, however long the history: the partial index finds them. A removed one runs on.
    "user_of_file": text(
        "SELECT other.public_id FROM job AS mine JOIN job AS other INDEXED BY job_unfinished"
        " ON other.origin = mine.origin AND other.provider = mine.provider AND other.id <> mine.id"
        f" WHERE mine.id = :job_key AND {_other_unfinished} AND other.gone_at IS NULL"
        " AND EXISTS (SELECT 1 FROM json_each(other.files) AS file WHERE file.value = :file) LIMIT 1"
    ),
    # What was known when the submit began is older than its batch.
    "batches_like_submit": text(
        "SELECT found.remote_id FROM job AS mine JOIN job AS found ON found.id > mine.id"
        " AND found.origin = mine.origin AND found.provider = mine.provider AND found.total = mine.total"
        " WHERE mine.id = :job_key AND found.submit_key IS NULL AND found.remote_id IS NOT NULL"
        " AND found.created_at BETWEEN :since AND :until ORDER BY found.id"
    ),
    "rivals_of_submit": text(
        "SELECT count(*) FROM job AS mine JOIN job AS rival INDEXED BY job_unfinished"
        " ON rival.origin = mine.origin AND rival.provider = mine.provider AND rival.total = mine.total"
        f" AND rival.id <> mine.id WHERE mine.id = :job_key AND {_rival_unfinished}"
        " AND rival.submit_key IS NOT NULL AND rival.remote_id IS NULL"
        " AND EXISTS (SELECT 1 FROM intent WHERE intent.job_id = rival.id AND intent.kind = 'submit'"
        " AND intent.deadline >= :since AND intent.opened_at <= :until)"
    ),
}

# Notifications

_ENDS: dict[str, ClauseElement] = {
    "notified_event": select(_meta.c.notified_event),
    "set_notified_event": update(_meta).values(notified_event=bindparam("event")),
    "last_event_id": select(func.max(_events.c.id)),
    "ends_behind": select(_events.c.job_id, _events.c.action, _events.c.at)
    .where(
        _events.c.id > bindparam("event"),
        _events.c.job_id.is_not(None),
        _events.c.action.in_(
            ["finished", "end", str(NotificationKind.STALLED), str(NotificationKind.RESULTS_GONE_SOON)]
        ),
    )
    .order_by(_events.c.id),
    # A lease that was renewed since, and ran out again, is another stall.
    "newly_stalled_jobs": select(_job.c.id).where(
        _job.c.tab == Tab.RUNNING.number,
        _job.c.status == str(Status.IN_PROGRESS),
        _job.c.lease_until < bindparam("now"),
        ~exists().where(
            _events.c.job_id == _job.c.id,
            _events.c.action == str(NotificationKind.STALLED),
            _events.c.at >= _job.c.lease_until,
        ),
    ),
    "results_newly_gone_soon": select(_job.c.id).where(
        _job.c.results_expire_at > bindparam("now"),
        _job.c.results_expire_at <= bindparam("soon"),
        _job.c.fetched_at.is_(None),
        _job.c.removed_at.is_(None),
        ~exists().where(
            _events.c.job_id == _job.c.id, _events.c.action == str(NotificationKind.RESULTS_GONE_SOON)
        ),
    ),
}

STATEMENTS = _JOBS | _QUEUE | _INTENTS | ACCOUNT_STATEMENTS | _ENDS
"""By name, every statement of the writer that is made of the tables."""
