"""The jobs that a run might continue, as the store has them: by name, work or id, and their keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge
from typing import NamedTuple

from jobdash.domain.provider_info import LOCAL
from jobdash.domain.status import Tab
from jobdash.domain.text import ascii_lower
from jobdash.store.dialects.base import Connection
from jobdash.store.leases.transitions import has_worker
from jobdash.store.leases.work_identity import WorkIdentity
from jobdash.store.owner import pid_of
from jobdash.store.sanitize import distinct

_SAMPLE = 2_000
"""How many known keys are compared with the new ones, spread over all of them."""
_OTHER_LINES = 20
_OLDER = 3
"""How many unfinished jobs after the newest are checked: all keys may be compared with those of each."""
_LEFT_TABS = (Tab.RUNNING, Tab.PENDING, Tab.CANCELLING, Tab.FAILED, Tab.CANCELLED)
_COLUMNS = (
    "SELECT job.id, public_id, job.name, status, removed_at, job.owner, job.fence, succeeded, failed, total,"
    " last.keyed, last.owner, last.work FROM job LEFT JOIN attempt AS last ON last.job_id = job.id"
    " AND last.fence = (SELECT max(fence) FROM attempt WHERE job_id = job.id)"
)
_SCRIPTS = f"provider = '{LOCAL}' AND function IS NULL"
_NAMED = f"name_key = :key AND job.name = :name AND {_SCRIPTS}"
_OF_NAME = f"{_COLUMNS} WHERE shown = :shown AND {_NAMED}"
_BY_NAME = f"{_OF_NAME} ORDER BY job.id DESC"
_OF_WORK = (
    "substr(last.work, 1, length(:head)) = :head"
    " AND substr(last.work, length(last.work) - length(:tail) + 1) = :tail"
)
_SAME_WORK = f"{_OF_NAME} AND {_OF_WORK} ORDER BY job.id DESC LIMIT 1"
_RETRIED = (
    f"{_COLUMNS} WHERE tab = {Tab.PENDING.number} AND {_NAMED} AND {_OF_WORK} ORDER BY job.id DESC LIMIT 1"
)
_BY_ID = f"{_COLUMNS} WHERE public_id >= ? AND public_id < ? AND {_SCRIPTS} LIMIT 2"
_STARTED_FOR = f"{_COLUMNS} WHERE public_id = ? AND job.name = ? AND {_SCRIPTS}"
_OF_A_LOOP = (
    f"{_COLUMNS} WHERE shown = 1 AND name_key >= ? AND name_key < ? AND {_SCRIPTS}"
    f" ORDER BY job.id DESC LIMIT {_OTHER_LINES}"
)
_OLDER_LEFT = (
    f"{_COLUMNS} WHERE tab IN ({', '.join(str(tab.number) for tab in _LEFT_TABS)}) AND {_NAMED}"
    " AND job.id < :before AND last.keyed <> 0"
    f" ORDER BY job.id DESC LIMIT {_OLDER}"
)
_NUMBER = "SELECT coalesce(max(seq), -1) + 1 FROM item WHERE job_id = ?"
_KEYS = "SELECT key FROM item WHERE job_id = ? AND seq % ? = 0"
_LEFT = frozenset({"pending", "in_progress", "cancelling", "failed", "cancelled"})


class ResumeCandidate(NamedTuple):
    """A job that a run might continue."""

    id: int
    public_id: str
    name: str
    status: str
    removed_at: int | None
    owner: str | None
    fence: int
    succeeded: int | None
    failed: int | None
    total: int | None
    keyed: int | None
    """Whether its last run had keys; None for a job that was never run."""
    last_owner: str | None
    """The process of its last run."""
    work: str | None
    """The work of its last run, see `WorkIdentity.encode`."""

    @property
    def pid(self) -> int | None:
        """The process that holds it; None where that is unknown."""
        return pid_of(self.owner)

    @property
    def may_be_expected(self) -> bool:
        """Whether a person may expect that the next run continues it."""
        with_failures = self.status == "completed" and bool(self.failed) and bool(self.keyed)
        return self.removed_at is None and (self.status in _LEFT or with_failures)


def by_id(connection: Connection, prefix: str) -> list[ResumeCandidate]:
    """Return the jobs of scripts whose id begins so, two at most; removed ones too."""
    return [ResumeCandidate(*row) for row in connection.execute(_BY_ID, (prefix, f"{prefix}\x7f"))]


def older_left(connection: Connection, name: str, before: int) -> list[ResumeCandidate]:
    """Return the newest unfinished jobs of a name with keys that are older than a job."""
    rows = connection.execute(_OLDER_LEFT, {**_named_so(name), "before": before}).fetchall()
    return [ResumeCandidate(*row) for row in rows]


def started_for(connection: Connection, public_id: str, name: str) -> ResumeCandidate | None:
    """Return the job that the dashboard started a script for, if it has this name."""
    row = connection.execute(_STARTED_FOR, (public_id, distinct(name))).fetchone()
    return None if row is None else ResumeCandidate(*row)


def _named_so(name: str) -> dict[str, object]:
    """Return the values of `_NAMED`: the name, and as the column ``name_key`` has it."""
    kept = distinct(name)
    return {"name": kept, "key": ascii_lower(kept)}


def _of_work(name: str, work: WorkIdentity) -> dict[str, object]:
    head, tail = work.loop_pattern()
    return {**_named_so(name), "head": head, "tail": tail}


def by_name(connection: Connection, name: str) -> Iterator[ResumeCandidate]:
    """Yield the jobs of a name, removed ones too, newest first; reads no more of them than are wanted."""
    # Each half of the index on (shown, name_key) has them in this order; both at once would be sorted first.
    halves = [connection.execute(_BY_NAME, {**_named_so(name), "shown": shown}) for shown in (1, 0)]
    try:
        yield from map(ResumeCandidate._make, merge(*halves, key=lambda row: -row[0]))
    finally:
        for half in halves:
            half.close()


def same_work(connection: Connection, name: str, work: WorkIdentity) -> ResumeCandidate | None:
    """Return the newest job of this name and work, removed or not.

    One query: a loop inside each of thousands of items has as many jobs of one name.
    """
    values = _of_work(name, work)
    found = (
        row
        for shown in (1, 0)
        for row in connection.execute(_SAME_WORK, {**values, "shown": shown}).fetchall()
    )
    newest = max(found, default=None)
    return None if newest is None else ResumeCandidate(*newest)


def retried(connection: Connection, name: str, work: WorkIdentity) -> ResumeCandidate | None:
    """Return the newest job of this name and work that waits for a run since it was retried."""
    row = connection.execute(_RETRIED, _of_work(name, work)).fetchone()
    return None if row is None else ResumeCandidate(*row)


def of_another_line(
    connection: Connection, name: str, work: WorkIdentity, *, keyed: bool
) -> ResumeCandidate | None:
    """Return the newest job of the same unnamed loop, whose line has moved since."""
    stem, _, _ = distinct(name).rpartition(":")
    stem = ascii_lower(stem)
    for row in connection.execute(_OF_A_LOOP, (f"{stem}:", f"{stem};")).fetchall():
        found = ResumeCandidate(*row)
        theirs = WorkIdentity.decode(found.work)
        if theirs is not None and theirs.line is not None and theirs.place == work.place:
            return found if theirs.root != work.root and bool(found.keyed) == keyed else None
    return None


def is_held(connection: Connection, job: ResumeCandidate | None, now: int) -> bool:
    """Whether a living worker holds a job; False for None."""
    return (
        job is not None
        and job.removed_at is None
        and job.status in {"in_progress", "cancelling"}
        and has_worker(connection, job.id, now)
    )


def agrees(connection: Connection, job_id: int, keys: Iterable[str]) -> bool:
    """Whether at least half of a job's known keys, or of a sample of them, are among ``keys``.

    A job without known keys agrees with all. Stops reading ``keys`` as soon as it is sure.
    """
    (number,) = connection.execute(_NUMBER, (job_id,)).fetchone()
    known = {key for (key,) in connection.execute(_KEYS, (job_id, max(1, number // _SAMPLE)))}
    wanted = (len(known) + 1) // 2
    if not wanted:
        return True
    for key in keys:
        if key in known:
            known.remove(key)
            wanted -= 1
            if not wanted:
                return True
    return False
