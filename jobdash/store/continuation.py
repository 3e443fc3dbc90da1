"""Which job a run continues: the newest of its name and of the same work, or none, and why.

A run continues a job by itself (``resume="auto"``) only if everything that identifies its work agrees: the
script, the function, the loop, the arguments of the command, and the keys. `decide` is pure; the queries
beside it find the jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from typing import NamedTuple

from jobdash.domain.provider_info import LOCAL
from jobdash.domain.status import Tab
from jobdash.domain.text import ascii_lower
from jobdash.store.dialects.base import Connection
from jobdash.store.lease_transitions import has_worker
from jobdash.store.owner import Owner
from jobdash.store.sanitize import distinct
from jobdash.store.work_identity import WorkIdentity

AUTO, NEVER, ALWAYS, FAILED = "auto", "never", "always", "failed"
MODES = frozenset({AUTO, NEVER, ALWAYS, FAILED})
"""The values of ``resume=`` besides a job's id."""
SHORTEST_PREFIX = 3
_SAMPLE = 2_000
"""How many known keys are compared with the new ones, spread over all of them."""
_OTHER_LINES = 20
_OLDER = 3
"""How many unfinished jobs behind the newest are looked at: each may have all keys compared with its own."""

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
        known = Owner.read(self.owner)
        return None if known is None else known.pid

    @property
    def may_be_expected(self) -> bool:
        """Whether a person may expect that the next run continues it."""
        with_failures = self.status == "completed" and bool(self.failed) and bool(self.keyed)
        return self.removed_at is None and (self.status in _LEFT or with_failures)


SAME_PROCESS = "it ended in this very process"
AT_ITS_END = "it came to its end"
_LEFT = frozenset({"pending", "in_progress", "cancelling", "failed", "cancelled"})


class ResumeRequest(NamedTuple):
    """The facts of a run that decide which job it continues."""

    name: str
    keyed: bool
    resume: str = AUTO
    work: WorkIdentity | None = None
    """None for code without a file, which never continues anything by itself."""
    keys: Callable[[], Iterable[str]] | None = None
    """Returns the keys of the run; None where they are not known in advance."""


class Continuation(NamedTuple):
    """The job to continue, or why a new one is made."""

    job: ResumeCandidate | None = None
    active: ResumeCandidate | None = None
    """The job of this work that another run holds."""
    passed_over: ResumeCandidate | None = None
    """A job that a person might expect to be continued, and that is not."""
    reason: str = ""
    """Why it is not, as a clause about that job."""
    compare_keys: ResumeCandidate | None = None
    """The job whose keys have to be compared with the new ones before anything can be decided."""


class CannotResumeError(ValueError):
    """The job that ``resume=`` names cannot be continued."""


def choose(
    connection: Connection, request: ResumeRequest, now: int, agreeing: dict[int, bool]
) -> Continuation:
    """Return the job that a run continues, or why it makes a new one.

    ``agreeing`` has, by job id, whether a job's keys agree with the new ones, as far as they were compared.
    Raises `CannotResumeError` when ``resume`` names a job that is not available.
    """
    if request.resume == NEVER:
        return Continuation()
    if request.resume not in MODES:
        return Continuation(_named(connection, request, now))
    if request.resume == ALWAYS:
        newest = next(_by_name(connection, request.name), None)
        return decide(newest, newest, request, held=is_held(connection, newest, now), agreeing=agreeing)
    newest = next(_by_name(connection, request.name), None)
    same = None if newest is None or request.work is None else _same_work(connection, request)
    front = same or newest
    retried = None if same is None else _retried(connection, request)
    if retried is not None and retried != same:
        found = decide(retried, newest, request, held=False, agreeing=agreeing)
        if found.job is not None or found.compare_keys is not None:
            return found
    if newest is None and request.work is not None and request.work.line is not None:
        newest = _of_another_line(connection, request)
    if same is None and is_held(connection, newest, now):  # no person expects it to be continued
        newest = None
    found = decide(same, newest, request, held=is_held(connection, same, now), agreeing=agreeing)
    if found.job is not None or found.compare_keys is not None or front is None:
        return found
    return _hidden(connection, request, front, now, agreeing) or found


def _hidden(
    connection: Connection,
    request: ResumeRequest,
    front: ResumeCandidate,
    now: int,
    agreeing: dict[int, bool],
) -> Continuation | None:
    """Return the unfinished job with these keys that a newer one with other keys, ``front``, stands before.

    Only the newest decides, but a person may expect that one to go on. None if there is none.
    """
    if not request.keyed or request.keys is None or agreeing.get(front.id):
        return None
    root = None if request.work is None else request.work.root
    for row in connection.execute(_OLDER_LEFT, {**_named_so(request.name), "before": front.id}).fetchall():
        older = ResumeCandidate(*row)
        work = WorkIdentity.decode(older.work)
        if is_held(connection, older, now) or (work is not None and work.root == root):
            continue
        if older.id not in agreeing:
            return Continuation(compare_keys=older)
        if not agreeing[older.id]:
            continue
        if front.id not in agreeing:
            return Continuation(compare_keys=front)
        if agreeing[front.id]:
            return None
        same_loop = work is not None and request.work is not None and work.is_same_loop(request.work)
        reason = _why_not(older, request, agreeing) if same_loop else _difference(work, request)
        newer = f"a newer job with other keys, {front.public_id}, stands before it"
        return Continuation(passed_over=older, reason=reason or newer)
    return None


def decide(
    same: ResumeCandidate | None,
    newest: ResumeCandidate | None,
    request: ResumeRequest,
    *,
    held: bool,
    agreeing: dict[int, bool],
) -> Continuation:
    """Decide about the newest job of the same work (``same``) and the newest of the name.

    ``held`` is whether a living worker holds ``same``.
    """
    if same is not None:
        if held:
            return Continuation(active=same)
        reason = _why_not(same, request, agreeing)
        if reason is None:
            return Continuation(compare_keys=same)
        if not reason:
            return Continuation(same)
        return Continuation(passed_over=same, reason=reason) if same.may_be_expected else Continuation()
    if newest is None or not newest.may_be_expected:
        return Continuation()
    if newest.status == "completed" and request.resume != FAILED:
        return Continuation()
    return Continuation(passed_over=newest, reason=_difference(WorkIdentity.decode(newest.work), request))


def _why_not(job: ResumeCandidate, request: ResumeRequest, agreeing: dict[int, bool]) -> str | None:
    """Return why a job of the same work is not continued; "" if it is, None if its keys decide."""
    if job.removed_at is not None:
        return "it was removed"
    if job.status in {"completed", "expired"} and not (
        request.resume == FAILED and job.failed and job.keyed and job.status == "completed"
    ):
        return AT_ITS_END
    if job.keyed is not None and bool(job.keyed) != request.keyed:
        # The counts of a job that keeps its items and of one that only counts would contradict each other.
        return f"it {'has keys' if job.keyed else 'only counts'}, and this run {_has_keys(request.keyed)}"
    if request.resume == ALWAYS:
        return ""
    work, mine = WorkIdentity.decode(job.work), request.work
    if work is not None and mine is not None and work.root == mine.root:
        return SAME_PROCESS
    if work is not None and mine is not None and work.given != mine.given:
        return f"its function, {work.function}, was given something else"
    if request.keyed and request.keys is not None:
        agrees = agreeing.get(job.id)
        if agrees is None:
            return None
        if not agrees:
            return "fewer than half of its keys are among those of this run"
    return ""


def _has_keys(keyed: bool) -> str:
    return "has key=" if keyed else "has no key="


def _difference(theirs: WorkIdentity | None, request: ResumeRequest) -> str:
    """Return how the work of another job of this name differs, as a clause about that job."""
    mine = request.work
    if mine is None:
        return "code without a file continues nothing by itself"
    if theirs is None:
        return "what it worked on is not known"
    if theirs.root == mine.root:
        return SAME_PROCESS
    if theirs.script != mine.script:
        return f"it is of another script, {theirs.script}"
    if theirs.place != mine.place:
        return f"it is of another loop, in {theirs.function} of {theirs.file}"
    if theirs.arguments != mine.arguments:
        return "its command had other arguments"
    if theirs.line != mine.line:
        return f"it is of another line, {theirs.line}"
    if theirs.item != mine.item:
        return (
            f"it belongs to another item, {theirs.item}" if theirs.item else "it was no loop inside an item"
        )
    return f"it was loop {theirs.turn + 1} of its kind in its run, and this is loop {mine.turn + 1}"


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


def _named(connection: Connection, request: ResumeRequest, now: int) -> ResumeCandidate:
    """Return the job that ``resume`` names by its id or a prefix of it. Raises `CannotResumeError`."""
    prefix = request.resume.lower()
    if len(prefix) < SHORTEST_PREFIX or not (prefix.isascii() and prefix.isalnum()):
        raise CannotResumeError(
            f"resume takes auto, never, always, failed or a job's id, not {request.resume!r}"
        )
    found = [ResumeCandidate(*row) for row in connection.execute(_BY_ID, (prefix, f"{prefix}\x7f"))]
    if not found:
        raise CannotResumeError(f"resume={request.resume!r}: no job of a script has this id")
    if len(found) > 1:
        ids = ", ".join(job.public_id for job in found)
        raise CannotResumeError(f"resume={request.resume!r} is ambiguous: {ids}")
    (job,) = found
    if job.removed_at is not None:
        raise CannotResumeError(
            f"resume={request.resume!r}: the job was removed; jobdash undo {job.public_id} brings it back"
        )
    if job.keyed is not None and bool(job.keyed) != request.keyed:
        raise CannotResumeError(
            f"resume={request.resume!r}: the job {'has keys' if job.keyed else 'only counts'},"
            f" and this run {_has_keys(request.keyed)}"
        )
    if is_held(connection, job, now):
        raise CannotResumeError(f"resume={request.resume!r}: another run is at this job")
    return job


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


def _by_name(connection: Connection, name: str) -> Iterator[ResumeCandidate]:
    """Yield the jobs of a name, removed ones too, newest first; reads no more of them than are wanted."""
    # Each half of the index on (shown, name_key) has them in this order; both at once would be sorted first.
    halves = [connection.execute(_BY_NAME, {**_named_so(name), "shown": shown}) for shown in (1, 0)]
    try:
        yield from map(ResumeCandidate._make, merge(*halves, key=lambda row: -row[0]))
    finally:
        for half in halves:
            half.close()


def _same_work(connection: Connection, request: ResumeRequest) -> ResumeCandidate | None:
    """Return the newest job of this name and work, removed or not.

    One query: a loop inside each of thousands of items has as many jobs of one name.
    """
    assert request.work is not None
    values = _of_work(request.name, request.work)
    found = (
        row
        for shown in (1, 0)
        for row in connection.execute(_SAME_WORK, {**values, "shown": shown}).fetchall()
    )
    newest = max(found, default=None)
    return None if newest is None else ResumeCandidate(*newest)


def _retried(connection: Connection, request: ResumeRequest) -> ResumeCandidate | None:
    """Return the newest job of this name and work that waits for a run since it was retried."""
    assert request.work is not None
    row = connection.execute(_RETRIED, _of_work(request.name, request.work)).fetchone()
    return None if row is None else ResumeCandidate(*row)


def _of_another_line(connection: Connection, request: ResumeRequest) -> ResumeCandidate | None:
    """Return the newest job of the same unnamed loop, whose line has moved since."""
    assert request.work is not None
    stem, _, _ = distinct(request.name).rpartition(":")
    stem = ascii_lower(stem)
    for row in connection.execute(_OF_A_LOOP, (f"{stem}:", f"{stem};")).fetchall():
        found = ResumeCandidate(*row)
        work = WorkIdentity.decode(found.work)
        if work is not None and work.line is not None and work.place == request.work.place:
            return found if work.root != request.work.root and bool(found.keyed) == request.keyed else None
    return None


def is_held(connection: Connection, job: ResumeCandidate | None, now: int) -> bool:
    """Whether a living worker holds a job; False for None."""
    return (
        job is not None
        and job.removed_at is None
        and job.status in {"in_progress", "cancelling"}
        and has_worker(connection, job.id, now)
    )
