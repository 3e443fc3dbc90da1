"""The parts of a function's job: its items in runs, each claimed, fenced and ended by one worker at a time.

The job's fence shuts out the workers of all parts at once, the part's own that of one. A part is named by its
key, ``<public id>.<job's fence>.<number>.<part's fence>``, which names one claim for ever: an engine may
deliver it twice, late, or never, and the store decides.

DB-API only: this runs in a worker, which loads a person's module and nothing of a database toolkit.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from jobdash.domain.provider_info import LOCAL
from jobdash.domain.status import Tab
from jobdash.domain.text import quantity
from jobdash.store.dialects.base import Connection, chunks, placeholders, transaction
from jobdash.store.leases.lease import MOST_ROWS, ItemWrite, add_event, set_tags
from jobdash.store.leases.part_lease import OWNER, PartLease, PartPlace
from jobdash.store.leases.transitions import cancel_or_request, is_held_by
from jobdash.store.owner import Owner
from jobdash.store.public_ids import new_public_ids
from jobdash.store.sanitize import distinct, stored

MOST_LOST = 3
"""An item at which so many workers in a row were lost is given up: it would end all workers one by one."""
_ALONE_FROM = MOST_LOST - 1
"""From this many lost workers on a part is done alone, so that the next loss is certainly due to its item."""
_OPEN_TABS = (Tab.RUNNING.number, Tab.PENDING.number)

_INSERT = (
    "INSERT INTO job (public_id, provider, account, origin, name, remote_status, raw_status,"
    " succeeded, failed, total, created_at, done_before, function, removed_at)"
    f" VALUES (?, '{LOCAL}', '{LOCAL}', ?, ?, 'pending', 'pending', 0, 0, ?, now_ms(), 0, ?, now_ms())"
    " RETURNING id"
)
_INSERT_ITEM = (
    "INSERT INTO item (job_id, seq, key, outcome, attempt, at, given)"
    " VALUES (?, ?, ?, 'waiting', 1, now_ms(), ?)"
)
_INSERT_PART = "INSERT INTO part (job_id, number, first, behind) VALUES (?, ?, ?, ?)"
_SHOW = "UPDATE job SET removed_at = NULL, created_at = now_ms() WHERE id = ?"
_DUE = (
    "SELECT job.public_id, job.fence, part.number, part.fence FROM job JOIN part ON part.job_id = job.id"
    f" WHERE job.function IN ({{functions}}) AND job.tab IN ({placeholders(_OPEN_TABS)})"
    " AND part.done_at IS NULL AND (part.owner IS NULL OR part.lease_until < now_ms())"
    f" ORDER BY CASE WHEN part.lost < {_ALONE_FROM} THEN 0 ELSE 1 END, job.id, part.number LIMIT ?"
)
_OPEN = (
    "SELECT 1 FROM job JOIN part ON part.job_id = job.id WHERE job.function IN ({functions})"
    " AND job.tab IN (?, ?, ?) AND part.done_at IS NULL LIMIT 1"
)
_HOLDERS = "SELECT DISTINCT owner, now_ms() FROM part WHERE owner IS NOT NULL AND lease_until >= now_ms()"
_EXPIRE = "UPDATE part SET lease_until = ? WHERE owner = ? AND lease_until >= ?"
_JOB = (
    "SELECT id, attempt, name, function FROM job"
    " WHERE public_id = ? AND fence = ? AND removed_at IS NULL AND status IN ('pending', 'in_progress')"
)
_PART = (
    "SELECT first, behind, owner, lease_until, lost FROM part"
    " WHERE job_id = ? AND number = ? AND fence = ? AND done_at IS NULL"
)
_CLAIM_PART = (
    "UPDATE part SET fence = fence + 1, lost = ?, owner = ?, lease_until = now_ms() + ?"
    " WHERE job_id = ? AND number = ? RETURNING fence"
)
_LEAVE = (
    "UPDATE part SET lost = lost - 1, lease_until = now_ms() - 1 WHERE owner = ? AND lease_until >= now_ms()"
)
_HOLD_JOB = (
    "UPDATE job SET remote_status = 'in_progress', raw_status = 'in_progress', owner = ?,"
    " lease_until = now_ms() + ? WHERE id = ?"
)
_BEGIN_ATTEMPT = (
    "UPDATE job SET started_at = now_ms(), finished_at = NULL,"
    " done_before = coalesce(succeeded, 0) + coalesce(failed, 0) WHERE id = ?"
)
_ATTEMPT = (
    "INSERT INTO attempt (job_id, fence, number, owner, actor, keyed, unit, started_at)"
    " VALUES (?, ?, ?, ?, ?, 1, 'items', now_ms()) ON CONFLICT (job_id, fence) DO NOTHING"
)
_HAS_ATTEMPT = "SELECT 1 FROM attempt WHERE job_id = ? AND fence = ?"
_REOPEN = (
    "UPDATE part SET done_at = NULL, owner = NULL, lease_until = NULL, lost = 0 WHERE job_id = ? AND EXISTS"
    " (SELECT 1 FROM item WHERE item.job_id = part.job_id AND item.seq >= part.first"
    " AND item.seq < part.behind AND item.outcome = 'waiting')"
)
_ENDED = (
    "SELECT public_id FROM job WHERE function IS NOT NULL AND public_id IN ({ids})"
    f" AND (removed_at IS NOT NULL OR tab NOT IN ({placeholders(_OPEN_TABS)}))"
)

_CANCELLABLE = (
    "SELECT id FROM job WHERE public_id = ? AND removed_at IS NULL AND status IN ('pending', 'in_progress')"
)
_OUTCOMES = (
    "SELECT seq, key, outcome, detail, error_type, error FROM item"
    " WHERE job_id = (SELECT id FROM job WHERE public_id = ?) AND seq > ? ORDER BY seq LIMIT ?"
)


class PartKey(NamedTuple):
    """Names one claim of one part: what an engine carries, and nothing else."""

    public_id: str
    fence: int
    """The job's."""
    number: int
    part_fence: int
    """The part's fence before the claim."""

    def __str__(self) -> str:
        return f"{self.public_id}.{self.fence}.{self.number}.{self.part_fence}"

    @classmethod
    def read(cls, text: str) -> PartKey | None:
        """Return the key that a text is; None for any other text."""
        job, *numbers = text.split(".")
        if len(numbers) != 3 or not all(number.isascii() and number.isdecimal() for number in numbers):
            return None
        return cls(job, *map(int, numbers))


class NewFunctionJob(NamedTuple):
    """A function's job about to be made."""

    function: str
    """``module:name``."""
    name: str
    actor: str
    machine: str
    """Where it is submitted."""
    items: Sequence[tuple[str, str]]
    """Each item's key, which no other has, and the item as JSON."""
    parts: int
    tags: tuple[tuple[str, str], ...] = ()


class ClaimedPart(NamedTuple):
    """A part that this worker holds."""

    lease: PartLease
    job_id: int
    fence: int
    public_id: str
    name: str
    function: str
    number: int
    lost: int
    """How many workers in a row were lost at it before this one."""


def insert_job(connection: Connection, job: NewFunctionJob) -> str:
    """Make a function's job with its items and parts, which waits for workers; return its public id.

    Its items are written in runs, so that no other writer waits long. Until the last of them it is hidden,
    and has no parts: workers see all of its items or none.
    """
    with transaction(connection):
        (fresh,) = new_public_ids(connection)
        values = (fresh, job.machine, distinct(job.name), len(job.items), job.function)
        ((job_id,),) = connection.execute(_INSERT, values).fetchall()
    for start in range(0, len(job.items), MOST_ROWS):
        some = enumerate(job.items[start : start + MOST_ROWS], start)
        with transaction(connection, job_id):
            connection.executemany(_INSERT_ITEM, [(job_id, seq, key, given) for seq, (key, given) in some])
    with transaction(connection):
        runs = enumerate(_runs(len(job.items), job.parts))
        connection.executemany(
            _INSERT_PART, [(job_id, number, first, behind) for number, (first, behind) in runs]
        )
        set_tags(connection, job_id, job.tags)
        connection.execute(_SHOW, (job_id,))
        add_event(connection, job_id, job.actor, "submit", "pending", quantity(len(job.items), "item"))
    return fresh


def _runs(items: int, parts: int) -> Iterable[tuple[int, int]]:
    """Yield where each part begins and ends; their lengths differ by one at most."""
    parts = max(1, min(parts, items))
    for number in range(parts):
        yield items * number // parts, items * (number + 1) // parts


def due(connection: Connection, functions: Sequence[str], limit: int) -> list[PartKey]:
    """Return the parts of these functions that no worker holds, the oldest job's first.

    Those that are to be done alone come last: by then their worker has nothing else to do.
    """
    found: list[PartKey] = []
    for some in chunks(functions):
        query = _DUE.format(functions=placeholders(some))
        found += [PartKey(*row) for row in connection.execute(query, (*some, *_OPEN_TABS, limit)).fetchall()]
    return found[:limit]


def has_open_parts(connection: Connection, functions: Sequence[str]) -> bool:
    """Whether some part of these functions is not done, with a worker or without."""
    for some in chunks(functions):
        query = _OPEN.format(functions=placeholders(some))
        if connection.execute(query, (*some, *_OPEN_TABS, Tab.CANCELLING.number)).fetchone():
            return True
    return False


def expire_leases_of_dead(connection: Connection) -> int:
    """Expire the leases of workers that are provably dead, as only their machine can; return of how many."""
    holders = connection.execute(_HOLDERS).fetchall()
    dead = {owner: now for owner, now in holders if not is_held_by(owner, now, now)}
    if dead:
        with transaction(connection):
            connection.executemany(_EXPIRE, [(now - 1, owner, now) for owner, now in dead.items()])
    return len(dead)


def ended(connection: Connection, jobs: Sequence[str]) -> list[str]:
    """Return those of some jobs, by public id, that an engine may forget: they ended or were removed."""
    found: list[str] = []
    for some in chunks(jobs):
        query = _ENDED.format(ids=placeholders(some))
        found += [public for (public,) in connection.execute(query, (*some, *_OPEN_TABS))]
    return found


def claim_part(
    connection: Connection,
    key: PartKey,
    owner: Owner,
    actor: str,
    lease_ms: int,
    functions: Container[str],
    alone: Callable[[], bool] = lambda: True,
) -> ClaimedPart | None:
    """Take the lease of a part; None when the key is of no claim any more: done, held, or shut out.

    None, too, for a part of none of these ``functions``, which is left as it is, and for one at which workers
    were lost when ``alone`` says that this one does other parts as well.
    """
    with transaction(connection):
        job = connection.execute(_JOB, (key.public_id, key.fence)).fetchone()
        if job is None:
            return None
        job_id, attempt, name, function = job
        if function not in functions:
            return None
        part = connection.execute(_PART, (job_id, key.number, key.part_fence)).fetchone()
        (now,) = connection.execute("SELECT now_ms()").fetchone()
        if part is None or is_held_by(part[2], part[3], now):
            return None
        first, behind, before, _, lost = part
        lost += before is not None  # who gives a part back is no owner any more
        if lost >= _ALONE_FROM and not alone():
            return None
        encoded = owner.encode()
        begins = not connection.execute(_HAS_ATTEMPT, (job_id, key.fence)).fetchone()
        # The job's row first, as in every write of a worker: two that wait for each other would deadlock.
        connection.execute(_HOLD_JOB, (OWNER, lease_ms, job_id))
        values = (lost, encoded, lease_ms, job_id, key.number)
        ((fence,),) = connection.execute(_CLAIM_PART, values).fetchall()
        if begins:
            connection.execute(_BEGIN_ATTEMPT, (job_id,))
            connection.execute(_ATTEMPT, (job_id, key.fence, attempt, encoded, stored(actor)))
            add_event(connection, job_id, actor, "start", "in_progress", f"attempt {attempt}")
    place = PartPlace(job_id, key.fence, key.number, fence, first, behind)
    lease = PartLease(connection, place, attempt, lease_ms, actor)
    return ClaimedPart(lease, job_id, key.fence, key.public_id, name, function, key.number, lost)


def leave_parts(connection: Connection, owner: Owner) -> None:
    """Let others take at once what a worker holds that ends by itself: it does not count as lost."""
    with transaction(connection):
        connection.execute(_LEAVE, (owner.encode(),))


def reopen(connection: Connection, job_id: int) -> None:
    """Let parts be claimed again that have items without an outcome, on an open transaction."""
    connection.execute(_REOPEN, (job_id,))


def cancel_job(connection: Connection, public_id: str, actor: str, reason: str) -> None:
    """Cancel a job: its workers are asked to stop, or it ends at once; nothing if it has ended."""
    with transaction(connection):
        (now,) = connection.execute("SELECT now_ms()").fetchone()
        found = connection.execute(_CANCELLABLE, (public_id,)).fetchone()
        if found is not None:
            detail = cancel_or_request(connection, found[0], now, stored(reason), actor)
            add_event(connection, found[0], actor, "cancel", "done", detail)


def item_writes(connection: Connection, public_id: str) -> Iterator[ItemWrite]:
    """Yield each item of a job as it is kept, in order; its outcome is ``waiting`` where it has none yet."""
    last = -1
    while rows := connection.execute(_OUTCOMES, (public_id, last, MOST_ROWS)).fetchall():
        yield from (ItemWrite(*outcome) for _, *outcome in rows)
        last = rows[-1][0]
