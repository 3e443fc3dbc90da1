"""The tables, as SQLModel classes: the schema's only definition, from which ``schema.sql`` is made.

Columns have the types that every database has: integers (times are milliseconds UTC), text, JSON as text.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, Integer, PrimaryKeyConstraint, String
from sqlmodel import Field

from jobdash.domain.status import FORCE_FAILED, Status, effective_sql, is_one_of, tab_sql
from jobdash.store.rows import UNFINISHED_REMOTELY
from jobdash.store.schema.base import NOW_MS, Base, generated_column, partial_index, server_default
from jobdash.store.sort_orders import SORT_ORDERS, Listed

_COUNTS = ("total", "succeeded", "failed", "cancelled", "expired")
_PROGRESS = (
    "CASE WHEN total > 0 AND coalesce(succeeded, failed) IS NOT NULL "
    "THEN 10000 * (coalesce(succeeded, 0) + coalesce(failed, 0)) / total ELSE -1 END"
)
_TOKENS = (
    "CASE WHEN coalesce(input_tokens, output_tokens) IS NOT NULL "
    "THEN coalesce(input_tokens, 0) + coalesce(output_tokens, 0) END"
)
_LISTED = (
    f"CASE WHEN removed_at IS NOT NULL THEN {Listed.REMOVED} WHEN folded THEN {Listed.FOLDED}"
    f" ELSE {Listed.HEAD} END"
)


class JobRecord(Base, table=True):
    """One job, from whatever source; removed ones stay as tombstones."""

    __tablename__ = "job"

    id: int | None = Field(default=None, primary_key=True)
    public_id: str
    provider: str
    account: str
    origin: str
    """The provider's server: with ``provider`` and ``remote_id`` it names a job, not the account."""
    remote_id: str | None = None
    submit_key: str | None = None
    name: str

    remote_status: str
    """The provider's status as one of ours; written by answers alone, for local jobs by lease transitions."""
    raw_status: str
    cancel_requested_at: int | None = None
    cancel_reason: str | None = None
    cancel_doubt: bool = Field(default=False, sa_type=Integer, sa_column_kwargs=server_default("0"))
    verdict: str | None = None
    verdict_at: int | None = None
    verdict_reason: str | None = None

    model: str | None = None
    endpoint: str | None = None
    total: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    cancelled: int | None = None
    expired: int | None = None
    error: str | None = None
    errors: str | None = None
    usage: str | None = None
    files: str | None = None
    remote_metadata: str | None = None

    created_at: int
    started_at: int | None = None
    finished_at: int | None = None
    expires_at: int | None = None
    updated_at: int = Field(sa_column_kwargs=server_default(f"({NOW_MS})"))
    seen_at: int | None = None
    """When the request was sent whose answer is written here; times are milliseconds UTC."""
    not_found_at: int | None = None
    """The first 404 since the last answer."""
    gone_at: int | None = None
    removed_at: int | None = None
    removing: int | None = None
    """The deadline of a removal that waits for its cancel."""
    left_behind: str | None = None

    parent_id: int | None = Field(default=None, foreign_key="job.id")
    superseded_by: int | None = None
    attempt: int = Field(default=1, sa_column_kwargs=server_default("1"))
    fence: int = Field(default=0, sa_column_kwargs=server_default("0"))
    owner: str | None = None
    last_owner: str | None = None
    lease_until: int | None = None
    revision: int = Field(default=0, sa_column_kwargs=server_default("0"))

    status: str = generated_column("status", effective_sql(), String)
    tab: int = generated_column("tab", tab_sql(f"({effective_sql()})"))
    shown: int = generated_column("shown", "removed_at IS NULL")
    name_key: str = generated_column("name_key", "lower(name)", String)
    total_key: int = generated_column("total_key", "coalesce(total, -1)")
    failed_key: int = generated_column("failed_key", "coalesce(failed, -1)")
    progress_key: int = generated_column("progress_key", _PROGRESS)
    done_before: int | None = None
    """What earlier attempts had done when the present one began; not counted in its speed."""
    unchanged_polls: int = Field(default=0, sa_column_kwargs=server_default("0"))
    """How often in a row a list showed it unfinished and unchanged, since it was last asked for singly."""
    fetched_at: int | None = None
    """When its results were last fetched to this computer."""
    results_folder: str | None = None
    results_ok: int | None = None
    results_error: int | None = None
    results_cut_off: int | None = None
    results_missing: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    results_expire_at: int | None = None
    """When its provider deletes the results."""
    cached_tokens: int | None = None
    cost: int | None = None
    """Millionths of a dollar."""
    cost_is_upper_bound: bool | None = Field(default=None, sa_type=Integer)
    cost_stale: int | None = None
    """1 when the tokens or the model have changed since the cost was computed, else NULL."""
    cost_key: int = generated_column("cost_key", "coalesce(cost, -1)")
    tokens: int | None = generated_column("tokens", _TOKENS, nullable=True)
    family: str | None = None
    """The public id of the first member of its family; NULL for a job in none."""
    estimated_tokens: int | None = None
    """The input tokens it was expected to take when it was submitted."""
    queued: str | None = None
    """As JSON, how it is submitted from the queue; NULL once it was accepted, or where it never waited."""
    family_id: int | None = None
    """The id of the first member of its family, in all members alike; NULL for a job in none."""
    folded: int = Field(default=0, sa_column_kwargs=server_default("0"))
    """1: another member, its head, stands for it where a family is one row. Triggers keep both."""
    listed: int = generated_column("listed", _LISTED)
    kept_succeeded: int | None = None
    """Of a retry: how many requests of its family had an answer, and were not sent again."""
    kept_failed: int | None = None
    """Of a retry: how many requests of its family had an error, and were not sent again."""
    profile: str | None = None
    """Which of the servers with its provider's API has it; NULL for one that is not listed."""
    function: str | None = None
    """``module:name`` of the function that workers run over its items; NULL for every other job."""
    fetched_on: str | None = None
    """The host that has its fetched files; NULL in a store that is a file, which only one host uses."""
    percent: int | None = None
    """How much of it is done, where its provider says that in place of counts."""
    fetch_error: str | None = None
    """Why its account's ``auto_fetch`` could not fetch its results; NULL where it has not failed."""

    __table_args__ = (
        CheckConstraint(is_one_of("remote_status", Status), name="remote_status_known"),
        CheckConstraint(f"verdict = '{FORCE_FAILED}'", name="verdict_known"),
        CheckConstraint("cancel_doubt IN (0, 1)", name="cancel_doubt_is_boolean"),
        CheckConstraint(
            " AND ".join(f"coalesce({column}, 0) >= 0" for column in _COUNTS), name="counts_not_negative"
        ),
        # Every index ends in the row's id by itself, which breaks ties in a sort order.
        *(Index(f"job_tab_{name}", "tab", order.column) for name, order in SORT_ORDERS.items()),
        *(Index(f"job_listed_{name}", "listed", order.column) for name, order in SORT_ORDERS.items()),
        # By which a script finds its job, also one that runs an older jobdash.
        Index("job_shown_name", "shown", "name_key"),
        Index("job_public_id", "public_id", unique=True),
        Index("job_identity", "remote_id", "provider", "origin", unique=True),
        partial_index("job_submit_key", "submit_key", where="submit_key IS NOT NULL"),
        Index("job_parent", "parent_id"),
        Index("job_revision", "revision"),
        partial_index("job_cost_stale", "cost_stale", where="cost_stale IS NOT NULL"),
        partial_index("job_results_expire", "results_expire_at", where="results_expire_at IS NOT NULL"),
        partial_index("job_unfinished", "account", where=UNFINISHED_REMOTELY),
        partial_index("job_family", "family", where="family IS NOT NULL"),
        partial_index("job_family_id", "family_id", "listed", where="family_id IS NOT NULL"),
        partial_index("job_queued", "account", where="queued IS NOT NULL"),
        partial_index("job_function", "function", "tab", where="function IS NOT NULL"),
        # In the order of the table and without its long texts: what a search for a piece of text reads.
        Index("job_text", "id", "shown", "name", "public_id", "remote_id"),
        {"sqlite_autoincrement": True},
    )


class TagRecord(Base, table=True):
    """One tag of a job."""

    __tablename__ = "job_tag"
    __table_args__ = (Index("job_tag_key", "key", "value"), Index("job_tag_value", "value"))

    job_id: int = Field(primary_key=True, foreign_key="job.id", ondelete="CASCADE")
    key: str = Field(primary_key=True)
    value: str


class AccountRecord(Base, table=True):
    """One account: the result of its last poll, and when it is polled next."""

    __tablename__ = "account"

    name: str = Field(primary_key=True)
    provider: str
    asked_at: int | None = None
    ok_at: int | None = None
    error: str | None = None
    error_kind: str | None = None
    next_poll_at: int = Field(default=0, sa_column_kwargs=server_default("0"))
    retry_after_until: int | None = None
    discovered: int = Field(default=0, sa_column_kwargs=server_default("0"))
    first_sync_done: bool = Field(default=False, sa_type=Integer, sa_column_kwargs=server_default("0"))
    claimed_until: int | None = None
    """Until when a process may be polling it now; None when none is."""
    failing_since: int | None = None
    """When the first of the polls was that have failed since the last good one; None after a good one."""
    reviewed_error: str | None = None
    """The error that a person dismissed, without its details; None once a poll has succeeded."""
    fingerprint: str | None = None
    """What tells its key from others, and nothing of the key: an HMAC of it with the store's secret."""
    polled_by: str | None = None
    """Who registered its key, or polled it last: ``user@host``."""


class IntentRecord(Base, table=True):
    """A change at a provider, written before the request is sent."""

    __tablename__ = "intent"
    __table_args__ = (
        CheckConstraint(
            is_one_of("kind", ("submit", "upload", "cancel", "delete", "remove")), name="kind_known"
        ),
        partial_index("intent_open", "account", where="closed_at IS NULL"),
        partial_index("intent_open_job", "job_id", where="closed_at IS NULL"),
    )

    id: int | None = Field(default=None, primary_key=True)
    kind: str
    account: str
    job_id: int = Field(foreign_key="job.id")
    owner: str
    actor: str
    opened_at: int
    deadline: int
    earlier_cancel_requested_at: int | None = None
    target: str | None = None
    choices: str | None = None
    bulk: str | None = None
    closed_at: int | None = None
    result: str | None = None


class EventRecord(Base, table=True):
    """One line of the log; appended, never changed."""

    __tablename__ = "event"
    __table_args__ = (Index("event_job", "job_id"), Index("event_at", "at"), Index("event_bulk", "bulk"))

    id: int | None = Field(default=None, primary_key=True)
    at: int
    actor: str
    face: str
    action: str
    job_id: int | None = None
    """No foreign key: events are kept longer than jobs."""
    job_public_id: str | None = None
    job_name: str | None = None
    account: str | None = None
    result: str
    detail: str = Field(sa_column_kwargs=server_default("''"))
    bulk: str | None = None


class AttemptRecord(Base, table=True):
    """One run of a local job by a script; ``(job_id, fence)`` names it for ever."""

    __tablename__ = "attempt"
    __table_args__ = ({"sqlite_with_rowid": False},)

    job_id: int = Field(primary_key=True, foreign_key="job.id")
    fence: int = Field(primary_key=True)
    number: int
    """As the job's ``attempt`` was when this run began."""
    owner: str
    actor: str
    keyed: bool = Field(sa_type=Integer)
    """Its items have keys: they are kept, and the next run skips those that are done."""
    unit: str = Field(sa_column_kwargs=server_default("'items'"))
    argv: str | None = None
    """The command line as a JSON list, where it can be started again."""
    cwd: str | None = None
    log_file: str | None = None
    started_at: int
    ended_at: int | None = None
    ended: str | None = None
    """How the run ended, in one sentence."""
    work: str | None = None
    """The script, function, line and arguments, by which the next run finds its job; see `continuation`."""


class ItemRecord(Base, table=True):
    """One item of a local job by its key; rows of one job lie together, in the order of ``seq``."""

    __tablename__ = "item"
    __table_args__ = (
        CheckConstraint(is_one_of("outcome", ("waiting", "ok", "error", "skipped")), name="outcome_known"),
        Index("item_key", "job_id", "key", unique=True),
        Index("item_outcome", "job_id", "outcome", "seq"),
        {"sqlite_with_rowid": False},
    )

    job_id: int = Field(primary_key=True, foreign_key="job.id")
    seq: int = Field(primary_key=True)
    """Counted from 0 without a gap, so that a far jump in a long list is one lookup."""
    key: str
    outcome: str
    attempt: int
    """The attempt that wrote it."""
    detail: str | None = None
    """The item's detail as the script gave it, as JSON."""
    error_type: str | None = None
    error: str | None = None
    at: int
    given: str | None = None
    """The item itself as JSON, for the worker that runs it; NULL where a script has it."""


class PartRecord(Base, table=True):
    """A run of items of a function's job, which one worker does at a time."""

    __tablename__ = "part"
    __table_args__ = (
        # Not by the lease, which is renewed all the time.
        partial_index("part_held", "owner", where="owner IS NOT NULL"),
        {"sqlite_with_rowid": False},
    )

    job_id: int = Field(primary_key=True, foreign_key="job.id", ondelete="CASCADE")
    number: int = Field(primary_key=True)
    first: int
    """The ``seq`` of its first item; it ends before that of the next part."""
    behind: int
    """The ``seq`` after its last item."""
    fence: int = Field(default=0, sa_column_kwargs=server_default("0"))
    """Raised by each claim: the worker before it is refused from then on."""
    owner: str | None = None
    lease_until: int | None = None
    done_at: int | None = None
    lost: int = Field(default=0, sa_column_kwargs=server_default("0"))
    """How many workers in a row held it and were lost without the outcome of an item."""


class TallyRecord(Base, table=True):
    """How many jobs an account has in a tab; kept by triggers, so that no query counts."""

    __tablename__ = "tally"

    account: str = Field(primary_key=True)
    tab: int = Field(primary_key=True)
    n: int


class ReviewRecord(Base, table=True):
    """When a person last reviewed a job that needed attention, or dismissed it."""

    __tablename__ = "review"

    job_id: int = Field(primary_key=True, foreign_key="job.id", ondelete="CASCADE")
    at: int
    marks: str | None = None
    """What there was to see and has no time of its own, as a JSON list; NULL where none were kept."""


class MetaRecord(Base, table=True):
    """The one row that holds the store's revision, and what is known of the whole store."""

    __tablename__ = "meta"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: int = Field(primary_key=True)
    revision: int
    notified_event: int | None = None
    """The newest event that notifications were sent of; None where none ever were."""
    folded: int = Field(default=0, sa_column_kwargs=server_default("0"))
    """How many jobs a head stands for besides itself; kept by triggers."""
    secret: str | None = None
    """Random text, made with the store, that goes into the fingerprint of each key."""


class VersionRecord(Base, table=True):
    """Alembic's own table, declared here so that a fresh store has it too."""

    __tablename__ = "alembic_version"
    __table_args__ = (PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),)

    version_num: str = Field(primary_key=True, max_length=32)


METADATA = Base.metadata
"""All tables."""
