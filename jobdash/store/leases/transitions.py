"""Changes of a local job's state from outside its script; statements inside an open transaction.

Each that ends a worker's right to write raises the fence; the worker is refused at its next write.
"""

from __future__ import annotations

from jobdash.domain.provider_info import LOCAL
from jobdash.domain.status import FORCE_FAILED, Status, Tab
from jobdash.store.dialects.base import Connection
from jobdash.store.owner import Owner

_END_LEASE = "fence = fence + 1, last_owner = coalesce(owner, last_owner), owner = NULL, lease_until = NULL"
_CANCELLING = (
    f"SELECT id, owner, lease_until FROM job WHERE tab = {Tab.CANCELLING.number} AND provider = '{LOCAL}'"
)
_LEASED = (
    f"SELECT id, owner, lease_until FROM job WHERE tab IN ({Tab.RUNNING.number}, {Tab.PENDING.number})"
    # Their account has the same name, and an index.
    f" AND account = '{LOCAL}' AND provider = '{LOCAL}' AND owner IS NOT NULL AND lease_until >= ?"
)


def lock_job(connection: Connection, job_id: int) -> None:
    """Let a worker's writes to a job wait for the end of the transaction: they do not wait for the store."""
    if lock := connection.dialect.lock_job:
        connection.execute(f"SELECT 1 FROM job WHERE id = ?{lock}", (job_id,)).fetchall()


def has_worker(connection: Connection, job_id: int, now: int) -> bool:
    """Whether a worker holds the job that is not provably dead: its lease runs beyond ``now`` (ms UTC)."""
    owner, lease_until = connection.execute(
        "SELECT owner, lease_until FROM job WHERE id = ?", (job_id,)
    ).fetchone()
    return is_held_by(owner, lease_until, now)


def is_held_by(owner: str | None, lease_until: int | None, now: int) -> bool:
    """Whether an owner has a lease that runs beyond ``now``, and is not provably dead."""
    if owner is None or lease_until is None or lease_until < now:
        return False
    known = Owner.read(owner)
    # Nothing can be proven of an owner that another version wrote.
    return known is None or not known.provably_dead()


def cancelling(connection: Connection) -> list[tuple[int, str | None, int | None]]:
    """Return the jobs whose cancel is requested: their id, owner and lease."""
    return connection.execute(_CANCELLING).fetchall()


def abandoned_cancels(connection: Connection, now: int) -> list[int]:
    """Return the ids of jobs whose cancel is requested and whose worker is gone."""
    found = cancelling(connection)
    return [job_id for job_id, owner, lease_until in found if not is_held_by(owner, lease_until, now)]


def leases_of_dead(connection: Connection, now: int) -> list[int]:
    """Return the ids of jobs whose lease still runs, although the process that holds it is provably dead."""
    found = connection.execute(_LEASED, (now,)).fetchall()
    return [job_id for job_id, owner, lease_until in found if not is_held_by(owner, lease_until, now)]


def end_lease(connection: Connection, job_id: int, now: int) -> None:
    """Expire a lease."""
    connection.execute("UPDATE job SET lease_until = ? WHERE id = ?", (now - 1, job_id))


def cancel_or_request(connection: Connection, job_id: int, now: int, reason: str, actor: str) -> str:
    """Request a cancel of a job's worker, or end a job without one as cancelled; return what was done."""
    (status,) = connection.execute("SELECT status FROM job WHERE id = ?", (job_id,)).fetchone()
    if status != Status.PENDING and has_worker(connection, job_id, now):
        connection.execute(
            "UPDATE job SET cancel_requested_at = ?, cancel_reason = ? WHERE id = ?", (now, reason, job_id)
        )
        return "its worker was asked to stop"
    cancel(connection, job_id, now, f"cancelled by {actor}", reason)
    return "no process ran it" if status == Status.PENDING else "its worker was not heard of"


def cancel(connection: Connection, job_id: int, now: int, how: str, reason: str) -> None:
    """End a job as cancelled, and the lease of its worker; ``how`` its run ended."""
    columns = (
        "cancel_requested_at = coalesce(cancel_requested_at, :now),"
        " cancel_reason = coalesce(cancel_reason, :text)"
    )
    _end(connection, job_id, Status.CANCELLED, now, how, columns, reason)


def force_fail(connection: Connection, job_id: int, now: int, how: str, reason: str | None) -> None:
    """End a job as failed by a person's verdict; ``how`` its run ended."""
    columns = f"verdict = '{FORCE_FAILED}', verdict_at = :now, verdict_reason = :text"
    _end(connection, job_id, Status.FAILED, now, how, columns, reason)


def fail_lost(connection: Connection, job_id: int, now: int, error: str) -> None:
    """End a job as failed whose worker is gone."""
    _end(connection, job_id, Status.FAILED, now, error, "error = :text", error)


def _end(
    connection: Connection, job_id: int, status: Status, now: int, how: str, columns: str, text: str | None
) -> None:
    end_attempts(connection, job_id, now, how)
    connection.execute(
        "UPDATE job SET remote_status = :status, raw_status = :status, finished_at = :now,"
        f" {columns}, {_END_LEASE} WHERE id = :id",
        {"status": str(status), "now": now, "text": text, "id": job_id},
    )


def remove(connection: Connection, job_id: int, now: int) -> None:
    """Hide a job that has ended; its items stay, hidden with it."""
    connection.execute(f"UPDATE job SET removed_at = ?, {_END_LEASE} WHERE id = ?", (now, job_id))


def reset_errors(connection: Connection, job_id: int, now: int, most: int) -> int:
    """Make up to ``most`` failed items of a job unprocessed again; return how many."""
    found = connection.execute(
        "SELECT seq FROM item WHERE job_id = ? AND outcome = 'error' ORDER BY seq LIMIT ?", (job_id, most)
    ).fetchall()
    connection.executemany(
        "UPDATE item SET outcome = 'waiting', detail = NULL, error_type = NULL, error = NULL, at = ?"
        " WHERE job_id = ? AND seq = ?",
        [(now, job_id, seq) for (seq,) in found],
    )
    connection.execute(
        "UPDATE job SET failed = CASE WHEN failed > ? THEN failed - ? ELSE 0 END WHERE id = ?",
        (len(found), len(found), job_id),
    )
    return len(found)


def make_pending(connection: Connection, job_id: int, *, keyed: bool) -> None:
    """Make an ended job pending for its script's next run, which starts from zero without keys."""
    counts = "" if keyed else " succeeded = 0, failed = 0, done_before = 0,"
    connection.execute(
        f"UPDATE job SET remote_status = :word, raw_status = :word,{counts} attempt = attempt + 1,"
        " cancel_requested_at = NULL, cancel_reason = NULL, cancel_doubt = 0, verdict = NULL,"
        " verdict_at = NULL, verdict_reason = NULL, error = NULL, finished_at = NULL,"
        # Its last process has given it up, and may be at something else.
        " fence = fence + 1, last_owner = NULL, owner = NULL, lease_until = NULL WHERE id = :id",
        {"word": str(Status.PENDING), "id": job_id},
    )


def end_attempts(connection: Connection, job_id: int, now: int, how: str) -> None:
    """Write how the present run ended, before the fence is raised; its worker can no longer do so."""
    connection.execute(
        "UPDATE attempt SET ended_at = ?, ended = ? WHERE job_id = ? AND ended_at IS NULL", (now, how, job_id)
    )


def is_starting(connection: Connection, job_id: int, now: int) -> bool:
    """Whether a pending job's script is being started, and has not claimed the job yet."""
    owner, until = connection.execute("SELECT owner, lease_until FROM job WHERE id = ?", (job_id,)).fetchone()
    return until is not None and until >= now and (owner is None or is_held_by(owner, until, now))


def set_starting(connection: Connection, job_id: int, owner: Owner | None, until: int | None) -> None:
    """Write until when (ms UTC) a pending job is being started, and as which process once there is one.

    The process that starts the script is not the owner, which a force-fail may stop.
    """
    connection.execute(
        "UPDATE job SET owner = ?, lease_until = ? WHERE id = ?",
        (None if owner is None else owner.encode(), until, job_id),
    )
