"""Getting a job to work on: look, decide, insert or claim, in one transaction.

The newest job of a name alone decides, removed ones included.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from jobdash.domain.provider import LOCAL
from jobdash.domain.text import names_a_secret, redact
from jobdash.store.fence import MOST_ROWS, Hold, add_event, immediate, pid_of
from jobdash.store.fence_acts import (
    abandoned_cancels,
    cancelled,
    end_attempts,
    errors_to_waiting,
    has_worker,
    pending_again,
)
from jobdash.store.ids import public_id
from jobdash.store.owner import Owner
from jobdash.store.texts import as_json, distinct, stored, stored_named, stored_words

_FOUND = (
    "SELECT id, public_id, status, removed_at, owner, fence,"
    " (SELECT keyed FROM attempt WHERE job_id = job.id ORDER BY fence DESC LIMIT 1)"
    " FROM job"
)
# Removed jobs too: both halves of the index on (shown, name_key). A piece of JSON with its quotes is found as
# a text only where it is one: inside another text they would be escaped.
_NEWEST = (
    f"{_FOUND} WHERE shown IN (0, 1) AND name_key = lower(?1) AND name = ?1 AND provider = '{LOCAL}'"
    " AND (?2 IS NULL OR instr(remote_metadata, ?2) > 0) ORDER BY id DESC LIMIT 1"
)
_NAMED = f"{_FOUND} WHERE public_id = ? AND name = ? AND provider = '{LOCAL}'"
_INSERT = (
    "INSERT INTO job (public_id, provider, account, origin, name, remote_status, raw_status,"
    " succeeded, failed, created_at, done_before)"
    f" VALUES (?, '{LOCAL}', '{LOCAL}', ?, ?, 'pending', 'pending', 0, 0, ?, 0)"
)
_TAKEN = "SELECT 1 FROM job WHERE public_id = ?"
_CLAIM = (
    "UPDATE job SET remote_status = 'in_progress', raw_status = 'in_progress', owner = ?, fence = fence + 1,"
    " lease_until = now_ms() + ?, started_at = now_ms(), finished_at = NULL, {counts}"
    " remote_metadata = coalesce(?, remote_metadata)"
    " WHERE id = ? AND removed_at IS NULL AND status = 'pending'"
    " RETURNING fence, attempt, succeeded, failed, total"
)
_CLAIM_KEYED = _CLAIM.format(
    counts=(
        " succeeded = coalesce(succeeded, 0), failed = coalesce(failed, 0),"
        " done_before = coalesce(succeeded, 0) + coalesce(failed, 0),"
        # What was recorded before counts too: this run may be given less than an earlier one.
        " total = max(?, (SELECT coalesce(max(seq), -1) + 1 FROM item WHERE job_id = job.id)),"
    )
)
_CLAIM_COUNTING = _CLAIM.format(counts=" succeeded = 0, failed = 0, done_before = 0, total = ?,")
_ATTEMPT = (
    "INSERT INTO attempt (job_id, fence, number, owner, actor, keyed, unit, argv, cwd, log_file, started_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, now_ms())"
)
_TAG = (
    "INSERT INTO job_tag (job_id, key, value) VALUES (?, ?, ?)"
    " ON CONFLICT (job_id, key) DO UPDATE SET value = excluded.value"
)
_WORKER_GONE = "worker gone"
_SCRIPT = "script"
_NOTHING: Mapping[str, str] = MappingProxyType({})


# Named tuples in what a script loads: to make a dataclass takes up to 2 ms of its start.
class Wanted(NamedTuple):
    """The job a run asks for, and what it says of itself."""

    name: str
    owner: Owner
    actor: str
    """``user@host``."""
    keyed: bool
    lease_ms: int
    total: int | None = None
    unit: str = "items"
    public_id: str | None = None
    """A job to be taken if it has this name: a start from the dashboard means that very one."""
    fence: int | None = None
    """The fence it had then; with it no other job is taken, and none is made in its place."""
    argv: tuple[str, ...] | None = None
    cwd: str | None = None
    log_file: str | None = None
    metadata: Mapping[str, str] = _NOTHING
    tags: Mapping[str, str] = _NOTHING
    script: str | None = None
    """The whole path of the script of a job without a name of its own: only its jobs are meant."""

    @property
    def words(self) -> str | None:
        """The metadata as they are kept."""
        if self.script is None:
            return stored_words(self.metadata)
        others = {word: value for word, value in self.metadata.items() if word != _SCRIPT}
        return stored_words({_SCRIPT: distinct(self.script), **others})

    @property
    def mark(self) -> str | None:
        """The piece of the kept metadata that tells jobs of this script."""
        return None if self.script is None else as_json({_SCRIPT: stored(distinct(self.script))})[1:-1]


class Claimed(NamedTuple):
    """A job that is now held."""

    hold: Hold
    job_id: int
    fence: int
    public_id: str
    attempt: int
    succeeded: int
    failed: int
    total: int | None
    other_pid: int | None = None
    """The process of another run of this name that goes on; None when there is none."""
    left: str | None = None
    """The public id of a job that waits for its script and cannot be gone on with: its items were kept and
    this run only counts, or the other way round."""


_UNFINISHED = frozenset({"pending", "in_progress", "cancelling"})


class _Found(NamedTuple):
    id: int
    public_id: str
    status: str
    removed_at: int | None
    owner: str | None
    fence: int
    keyed: int | None


def claim(connection: sqlite3.Connection, want: Wanted) -> Claimed:
    """Join the newest job of a name, or make a new one, and hold it.

    A job with very many failed items is made ready in several transactions, each of which looks and decides
    anew, so that no other writer waits long; in between it is pending. Raises ``sqlite3.Error``, and
    `Refused` when this script was started for a job that is not to be had any more.
    """
    while True:
        with immediate(connection):
            got = _claim_once(connection, want)
        if got is not None:
            return got


def _claim_once(connection: sqlite3.Connection, want: Wanted) -> Claimed | None:
    """Look, decide and claim; None when the job found is not ready yet, and some of it has been done."""
    (now,) = connection.execute("SELECT now_ms()").fetchone()
    _close_abandoned(connection, want.actor, now)
    found, other_pid, left = look(connection, want, now)
    if found is None:
        job_id, known_as = _insert(connection, want, now), None
    else:
        job_id, known_as = found.id, found.public_id
        if not _ready(connection, found, want.keyed, now):
            return None
    return _take(connection, want, job_id, known_as, other_pid)._replace(left=left)


def _close_abandoned(connection: sqlite3.Connection, actor: str, now: int) -> None:
    """Close whatever was told to stop and has no worker any more to do so."""
    for job_id in abandoned_cancels(connection, now):
        end_attempts(connection, job_id, now, _WORKER_GONE)
        cancelled(connection, job_id, now, _WORKER_GONE)
        add_event(connection, job_id, actor, "end", "cancelled", _WORKER_GONE)


def look(
    connection: sqlite3.Connection, want: Wanted, now: int
) -> tuple[_Found | None, int | None, str | None]:
    """Return the job to join, None for a new one; the process that holds the newest, if one does; the public
    id of the newest, if it waits in vain."""
    name = distinct(want.name)
    if want.public_id is not None:
        meant = _row(connection, _NAMED, (want.public_id, name))
        if meant is not None and want.fence is not None:
            _check_still_meant(connection, meant, want)
        if meant is not None and _joinable(connection, meant, want, now):
            return meant, None, None
    newest = _row(connection, _NEWEST, (name, want.mark))
    if newest is None or newest.removed_at is not None:
        return None, None, None
    if _joinable(connection, newest, want, now):
        return newest, None, None
    if _held(connection, newest, now):
        return None, pid_of(newest.owner), None
    return None, None, newest.public_id if newest.status in _UNFINISHED else None


def _check_still_meant(connection: sqlite3.Connection, meant: _Found, want: Wanted) -> None:
    """Raise `Refused` unless the job still is what it was when this script was started for it."""
    assert want.fence is not None
    if meant.removed_at is not None or meant.status != "pending" or meant.fence != want.fence:
        raise Hold(connection, meant.id, want.fence, 0, want.lease_ms, want.actor).truth()


def _row(connection: sqlite3.Connection, query: str, values: tuple[object, ...]) -> _Found | None:
    row = connection.execute(query, values).fetchone()
    return None if row is None else _Found(*row)


def _held(connection: sqlite3.Connection, found: _Found, now: int) -> bool:
    return found.status in {"in_progress", "cancelling"} and has_worker(connection, found.id, now)


def _joinable(connection: sqlite3.Connection, found: _Found, want: Wanted, now: int) -> bool:
    if found.removed_at is not None or found.status in {"completed", "expired"}:
        return False
    # A job whose items are kept and one that only counts would contradict each other's numbers.
    if found.keyed is not None and bool(found.keyed) != want.keyed:
        return False
    return not _held(connection, found, now)


def _ready(connection: sqlite3.Connection, found: _Found, keyed: bool, now: int) -> bool:
    """Make a job pending, its failed items unprocessed; whether it can be claimed in this transaction."""
    end_attempts(connection, found.id, now, _WORKER_GONE)
    if found.status != "pending":
        pending_again(connection, found.id, keyed=keyed)
    return errors_to_waiting(connection, found.id, now, MOST_ROWS) < MOST_ROWS


def _insert(connection: sqlite3.Connection, want: Wanted, now: int) -> int:
    known_as = public_id()
    while connection.execute(_TAKEN, (known_as,)).fetchone():
        known_as = public_id()
    made = connection.execute(_INSERT, (known_as, want.owner.machine, distinct(want.name), now))
    assert made.lastrowid is not None
    return made.lastrowid


def _take(
    connection: sqlite3.Connection, want: Wanted, job_id: int, known_as: str | None, other_pid: int | None
) -> Claimed:
    statement = _CLAIM_KEYED if want.keyed else _CLAIM_COUNTING
    owner = want.owner.encode()
    values = (owner, want.lease_ms, want.total, want.words, job_id)
    ((fence, attempt, succeeded, failed, total),) = connection.execute(statement, values).fetchall()
    connection.execute(
        _ATTEMPT,
        (
            job_id,
            fence,
            attempt,
            owner,
            stored(want.actor),
            want.keyed,
            stored(want.unit),
            _kept_argv(want.argv),
            want.cwd,
            want.log_file,
        ),
    )
    tags = ((job_id, stored(key), stored_named(key, value)) for key, value in want.tags.items())
    connection.executemany(_TAG, tags)
    add_event(connection, job_id, want.actor, "start", "in_progress", f"attempt {attempt}")
    if known_as is None:
        (known_as,) = connection.execute("SELECT public_id FROM job WHERE id = ?", (job_id,)).fetchone()
    hold = Hold(connection, job_id, fence, attempt, want.lease_ms, want.actor)
    return Claimed(hold, job_id, fence, known_as, attempt, succeeded, failed, total, other_pid)


def _kept_argv(argv: tuple[str, ...] | None) -> str | None:
    """Return a command line as it is kept; one with a key in it could only be run with the key cut out."""
    named = (word.partition("=")[0].lstrip("-") for word in argv or () if word.startswith("-") or "=" in word)
    if not argv or any(map(names_a_secret, named)):
        return None
    kept = as_json(list(argv))
    return kept if redact(kept) == kept else None
