"""The states of a job, its effective status, and what each action accepts."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Status(StrEnum):
    """The status of a job of any source; ``unknown`` is any word we do not know."""

    PENDING = "pending"
    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.EXPIRED, Status.CANCELLED})
UNFINISHED = frozenset(Status) - TERMINAL

FORCE_FAILED = "force_failed"
"""The only verdict there is: a person declared the job failed, whatever its status at the provider."""

UNCONFIRMED = "unconfirmed"
"""The raw status of a batch whose submit got no answer, where nothing shows what came of it."""

NOT_SUBMITTED = "not submitted"
"""The raw status of a job that certainly never became a batch."""

QUEUED_HERE = "queued here"
"""The raw status of a batch that waits on this computer until there is room at its provider."""

LABELS = {status: status.value for status in Status} | {
    Status.IN_PROGRESS: "running",
    Status.UNKNOWN: "unknown?",
}
"""The word a person reads for each status."""


LATE_CANCEL = "finished before the cancel took effect"
"""Of a job that was asked to stop, and is completed."""


def label(word: str) -> str:
    """Return the word a person reads for a status as it is kept; any other word unchanged."""
    return LABELS[Status(word)] if word in set(Status) else word


def ended_text(status: Status, done: int, total: int | None) -> str:
    """Return ``Job was cancelled: 25 of 100 done, 75 not processed``."""
    verb = "was cancelled" if status is Status.CANCELLED else LABELS[status]
    if total is None:
        return f"Job {verb}: {done:,} done"
    return f"Job {verb}: {done:,} of {total:,} done, {max(0, total - done):,} not processed"


def effective(remote_status: Status, cancel_requested_at: int | None, verdict: str | None) -> Status:
    """Return the status a row shows, from the three facts that writers may set.

    The store holds the same function as a generated column made by `effective_sql`.
    """
    if verdict == FORCE_FAILED:
        return Status.FAILED
    if remote_status in TERMINAL:
        return remote_status
    if cancel_requested_at is not None:
        return Status.CANCELLING
    return remote_status


def is_one_of(expression: str, words: Iterable[str]) -> str:
    """Return the SQL condition that an expression is one of some words.

    For the schema: SQLite makes a temporary table of some 90 KB for each ``IN`` of more than two words,
    every time that a row is written whose generated columns, indexes or constraints hold it.
    """
    return "(" + " OR ".join(f"{expression} = '{word}'" for word in sorted(words)) + ")"


def effective_sql() -> str:
    """Return `effective` as an SQL expression over the columns of the same names."""
    return (
        f"CASE WHEN verdict = '{FORCE_FAILED}' THEN '{Status.FAILED}' "
        f"WHEN {is_one_of('remote_status', TERMINAL)} THEN remote_status "
        f"WHEN cancel_requested_at IS NOT NULL THEN '{Status.CANCELLING}' "
        "ELSE remote_status END"
    )


class Tab(StrEnum):
    """The tabs of the main screen, in the order of their keys ``0`` … ``7``."""

    ALL = "all"
    RUNNING = "running"
    PENDING = "pending"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def number(self) -> int:
        """The tab's key and its value in the store's ``tab`` column (All is the sum, stored nowhere)."""
        return list(Tab).index(self)


TAB_OF: dict[Status, Tab] = {
    Status.VALIDATING: Tab.RUNNING,
    Status.IN_PROGRESS: Tab.RUNNING,
    Status.FINALIZING: Tab.RUNNING,
    Status.UNKNOWN: Tab.RUNNING,
    Status.PENDING: Tab.PENDING,
    Status.CANCELLING: Tab.CANCELLING,
    Status.COMPLETED: Tab.COMPLETED,
    Status.FAILED: Tab.FAILED,
    Status.CANCELLED: Tab.CANCELLED,
    Status.EXPIRED: Tab.EXPIRED,
}

TAB_GONE = 0
"""The ``tab`` value of a job its provider lost: only All shows it."""
TAB_REMOVED = -1
"""The ``tab`` value of a removed job: no tab shows it."""


def tab_number(status: Status, *, gone: bool, removed: bool) -> int:
    """Return the store's ``tab`` value of a row; equal to `tab_sql`."""
    if removed:
        return TAB_REMOVED
    if gone and status in UNFINISHED:
        return TAB_GONE
    return TAB_OF[status].number


def tab_sql(status: str) -> str:
    """Return `tab_number` as an SQL expression, given the expression of the effective status."""
    ended, going = _arms(TERMINAL), _arms(UNFINISHED)
    return (
        f"CASE WHEN removed_at IS NOT NULL THEN {TAB_REMOVED} ELSE CASE ({status}) {ended} "
        f"ELSE CASE WHEN gone_at IS NOT NULL THEN {TAB_GONE} ELSE CASE ({status}) {going} END END END END"
    )


def _arms(words: frozenset[Status]) -> str:
    return " ".join(f"WHEN '{word}' THEN {TAB_OF[word].number}" for word in sorted(words))


class Completeness(StrEnum):
    """How well a completed job went; None where the counts are unknown."""

    OK = "ok"
    PARTIAL = "partial"
    ALL_FAILED = "all_failed"


def outcome_of(status: Status, succeeded: int | None, failed: int | None) -> Completeness | None:
    """Derive the outcome of a completed job from its counts."""
    if status is not Status.COMPLETED or failed is None:
        return None
    if failed == 0:
        return Completeness.OK
    return Completeness.PARTIAL if succeeded else Completeness.ALL_FAILED
