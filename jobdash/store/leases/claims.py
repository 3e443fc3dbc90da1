"""Claim a job for a run: find or insert it, and take its lease, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from jobdash.domain.provider_info import LOCAL
from jobdash.domain.text import names_a_secret, redact
from jobdash.store.dialects.base import Connection, greater, transaction
from jobdash.store.leases.continuation import ALWAYS, AUTO, Continuation, ResumeRequest, choose, decide
from jobdash.store.leases.lease import MOST_ROWS, Lease, add_event, set_tags
from jobdash.store.leases.resume_candidates import ResumeCandidate, agrees, is_held, started_for
from jobdash.store.leases.transitions import (
    abandoned_cancels,
    cancel,
    cancelling,
    end_attempts,
    lock_job,
    make_pending,
    reset_errors,
)
from jobdash.store.leases.work_identity import WorkIdentity
from jobdash.store.owner import Owner
from jobdash.store.public_ids import new_public_ids
from jobdash.store.sanitize import as_json, distinct, stored, stored_words

_INSERT = (
    "INSERT INTO job (public_id, provider, account, origin, name, remote_status, raw_status,"
    " succeeded, failed, created_at, done_before)"
    f" VALUES (?, '{LOCAL}', '{LOCAL}', ?, ?, 'pending', 'pending', 0, 0, ?, 0) RETURNING id"
)
_CLAIM = (
    "UPDATE job SET remote_status = 'in_progress', raw_status = 'in_progress', owner = :owner,"
    " fence = fence + 1, lease_until = now_ms() + :lease, started_at = now_ms(), finished_at = NULL, {counts}"
    " remote_metadata = coalesce(:metadata, remote_metadata)"
    " WHERE id = :id AND removed_at IS NULL AND status = 'pending'"
    " RETURNING fence, attempt, succeeded, failed, total"
)
_KNOWN = "(SELECT coalesce(max(seq), -1) + 1 FROM item WHERE job_id = job.id)"
_CLAIM_KEYED = _CLAIM.format(
    counts=(
        " succeeded = coalesce(succeeded, 0), failed = coalesce(failed, 0),"
        " done_before = coalesce(succeeded, 0) + coalesce(failed, 0),"
        # What was recorded before counts too: this run may have fewer items than an earlier one.
        f" total = {greater(':total', _KNOWN)},"
    )
)
_CLAIM_COUNTING = _CLAIM.format(counts=" succeeded = 0, failed = 0, done_before = 0, total = :total,")
_ATTEMPT = (
    "INSERT INTO attempt"
    " (job_id, fence, number, owner, actor, keyed, unit, argv, cwd, log_file, work, started_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, now_ms())"
)
_WORKER_GONE = "worker gone"
_SCRIPT = "script"
_NOTHING: Mapping[str, str] = MappingProxyType({})


# Named tuples in what a script loads: to make a dataclass takes up to 2 ms of its start.
class ClaimRequest(NamedTuple):
    """The job that a run wants, and the facts of the run."""

    name: str
    owner: Owner
    actor: str
    """``user@host``."""
    keyed: bool
    lease_ms: int
    total: int | None = None
    unit: str = "items"
    public_id: str | None = None
    """The job that the dashboard started the script for; claimed if it has this name."""
    fence: int | None = None
    """Its fence at that time; with it no other job is claimed or made instead."""
    argv: tuple[str, ...] | None = None
    cwd: str | None = None
    log_file: str | None = None
    metadata: Mapping[str, str] = _NOTHING
    tags: Mapping[str, str] = _NOTHING
    script: str | None = None
    """The path of the script of a job without a name of its own; kept with its metadata."""
    work: WorkIdentity | None = None
    """What it works on; None for code without a file."""
    resume: str = AUTO
    """Which job is continued: a mode of `continuation`, or a job's id."""
    keys: Callable[[], Iterable[str]] | None = None
    """Returns the keys of the run; None where they are not known in advance."""

    @property
    def stored_metadata(self) -> str | None:
        """The metadata as they are kept."""
        if self.script is None:
            return stored_words(self.metadata)
        others = {key: value for key, value in self.metadata.items() if key != _SCRIPT}
        return stored_words({_SCRIPT: distinct(self.script), **others})


class ResumedWork(NamedTuple):
    """The counts of a job that is continued."""

    done: int
    failed: int
    """Failed items, which are tried again."""


class Claim(NamedTuple):
    """A claimed job."""

    lease: Lease
    job_id: int
    fence: int
    public_id: str
    attempt: int
    succeeded: int
    failed: int
    total: int | None
    name: str
    """The job's name: the run's own, unless ``resume`` names a job of another."""
    choice: Continuation = Continuation()
    """Which job is continued, or why none is."""
    resumed: ResumedWork | None = None
    """None for a new job."""


def claim(connection: Connection, want: ClaimRequest) -> Claim:
    """Continue the job of this run, or make a new one, and take its lease.

    A job with very many failed items is made ready in several transactions, each of which decides anew, so
    that no other writer waits long; in between it is pending. Keys are compared between two transactions: a
    script's own ``key=`` may take long. Raises `StoreError`, `LeaseRefused` when the job that this script
    was started for is no longer available, and `CannotResumeError`.
    """
    agreeing: dict[int, bool] = {}
    resumed: ResumedWork | None = None
    while True:
        with transaction(connection):
            (now,) = connection.execute("SELECT now_ms()").fetchone()
            close_abandoned(connection, want.actor, now)
            choice = find_job(connection, want, now, agreeing)
            job = choice.job
            if job is not None and resumed is None:
                resumed = ResumedWork(job.succeeded or 0, job.failed or 0)
            if choice.compare_keys is None and (job is None or _ready(connection, job, want.keyed, now)):
                return _take(connection, want, choice, now)._replace(resumed=resumed if job else None)
        if choice.compare_keys is not None:
            assert want.keys is not None
            other = choice.compare_keys.id
            agreeing[other] = agrees(connection, other, want.keys())


def close_abandoned(connection: Connection, actor: str, now: int) -> None:
    """End the jobs whose cancel is requested and whose worker is gone, on an open transaction."""
    for job_id in abandoned_cancels(connection, now):
        cancel(connection, job_id, now, _WORKER_GONE, _WORKER_GONE)
        add_event(connection, job_id, actor, "end", "cancelled", _WORKER_GONE)


def close_abandoned_cancels(connection: Connection, actor: str) -> None:
    """End the jobs whose cancel is requested and whose worker is gone; begins a transaction only for some."""
    if not cancelling(connection):  # as nearly always: an idle worker asks for nothing more
        return
    (now,) = connection.execute("SELECT now_ms()").fetchone()
    if abandoned_cancels(connection, now):
        with transaction(connection):
            close_abandoned(connection, actor, now)


def find_job(connection: Connection, want: ClaimRequest, now: int, agreeing: dict[int, bool]) -> Continuation:
    """Return the job to continue, or why there is none."""
    if want.public_id is not None:
        intended = started_for(connection, want.public_id, want.name)
        if intended is not None:
            if want.fence is not None:
                _check_unchanged(connection, intended, want)
            as_named = ResumeRequest(want.name, want.keyed, ALWAYS)
            held = is_held(connection, intended, now)
            found = decide(intended, intended, as_named, held=held, agreeing=agreeing)
            if found.job is not None:
                return found
    request = ResumeRequest(want.name, want.keyed, want.resume, want.work, want.keys)
    return choose(connection, request, now, agreeing)


def _check_unchanged(connection: Connection, job: ResumeCandidate, want: ClaimRequest) -> None:
    """Raise `LeaseRefused` when the job was changed since this script was started for it."""
    assert want.fence is not None
    if job.removed_at is not None or job.status != "pending" or job.fence != want.fence:
        raise Lease(connection, job.id, want.fence, 0, want.lease_ms, want.actor).refusal()


def _ready(connection: Connection, found: ResumeCandidate, keyed: bool, now: int) -> bool:
    """Make a job pending and its failed items unprocessed; False when that takes another transaction."""
    lock_job(connection, found.id)
    end_attempts(connection, found.id, now, _WORKER_GONE)
    if found.status != "pending":
        make_pending(connection, found.id, keyed=keyed)
    return reset_errors(connection, found.id, now, MOST_ROWS) < MOST_ROWS


def _insert(connection: Connection, want: ClaimRequest, now: int) -> int:
    (fresh,) = new_public_ids(connection)
    values = (fresh, want.owner.machine, distinct(want.name), now)
    ((job_id,),) = connection.execute(_INSERT, values).fetchall()
    return int(job_id)


def _take(connection: Connection, want: ClaimRequest, choice: Continuation, now: int) -> Claim:
    job_id = _insert(connection, want, now) if choice.job is None else choice.job.id
    statement = _CLAIM_KEYED if want.keyed else _CLAIM_COUNTING
    owner = want.owner.encode()
    values = {"owner": owner, "lease": want.lease_ms, "total": want.total, "id": job_id}
    values["metadata"] = want.stored_metadata
    ((fence, attempt, succeeded, failed, total),) = connection.execute(statement, values).fetchall()
    connection.execute(
        _ATTEMPT,
        (
            job_id,
            fence,
            attempt,
            owner,
            stored(want.actor),
            int(want.keyed),
            stored(want.unit),
            _kept_argv(want.argv),
            want.cwd,
            want.log_file,
            None if want.work is None else want.work.encode(),
        ),
    )
    set_tags(connection, job_id, want.tags.items())
    add_event(connection, job_id, want.actor, "start", "in_progress", f"attempt {attempt}")
    public, name = connection.execute("SELECT public_id, name FROM job WHERE id = ?", (job_id,)).fetchone()
    lease = Lease(connection, job_id, fence, attempt, want.lease_ms, want.actor)
    return Claim(lease, job_id, fence, public, attempt, succeeded, failed, total, name, choice)


def _kept_argv(argv: tuple[str, ...] | None) -> str | None:
    """Return a command line as it is kept; None for one with a secret in it, which could not be run again."""
    named = (word.partition("=")[0].lstrip("-") for word in argv or () if word.startswith("-") or "=" in word)
    if not argv or any(map(names_a_secret, named)):
        return None
    kept = as_json(list(argv))
    return kept if redact(kept) == kept else None
