"""Which job a run continues: the newest of its name and of the same work, or none, and why.

A run continues a job by itself (``resume="auto"``) only if everything that identifies its work agrees: the
script, the function, the loop, the arguments of the command, and the keys. `decide` is pure;
`resume_candidates` finds the jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from jobdash.store.dialects.base import Connection
from jobdash.store.leases import resume_candidates as candidates
from jobdash.store.leases.resume_candidates import ResumeCandidate, is_held
from jobdash.store.leases.work_identity import WorkIdentity

AUTO, NEVER, ALWAYS, FAILED = "auto", "never", "always", "failed"
MODES = frozenset({AUTO, NEVER, ALWAYS, FAILED})
"""The values of ``resume=`` besides a job's id."""
SHORTEST_PREFIX = 3
"""Characters of a job's id that ``resume=`` needs."""
SAME_PROCESS = "it ended in this very process"
AT_ITS_END = "it came to its end"


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
    name, work = request.name, request.work
    newest = next(candidates.by_name(connection, name), None)
    if request.resume == ALWAYS:
        return decide(newest, newest, request, held=is_held(connection, newest, now), agreeing=agreeing)
    same = None if newest is None or work is None else candidates.same_work(connection, name, work)
    front = same or newest
    retried = None if same is None or work is None else candidates.retried(connection, name, work)
    if retried is not None and retried != same:
        found = decide(retried, newest, request, held=False, agreeing=agreeing)
        if found.job is not None or found.compare_keys is not None:
            return found
    if newest is None and work is not None and work.line is not None:
        newest = candidates.of_another_line(connection, name, work, keyed=request.keyed)
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
    for older in candidates.older_left(connection, request.name, front.id):
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


def _named(connection: Connection, request: ResumeRequest, now: int) -> ResumeCandidate:
    """Return the job that ``resume`` names by its id or a prefix of it. Raises `CannotResumeError`."""
    prefix = request.resume.lower()
    if len(prefix) < SHORTEST_PREFIX or not (prefix.isascii() and prefix.isalnum()):
        raise CannotResumeError(
            f"resume takes auto, never, always, failed or a job's id, not {request.resume!r}"
        )
    found = candidates.by_id(connection, prefix)
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
