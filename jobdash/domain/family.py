"""A family of jobs: the parts of one file, a batch with what was sent again of it, or both."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from jobdash.domain.job import JobRow
from jobdash.domain.status import Status

_PRESSING = (
    Status.IN_PROGRESS,
    Status.FINALIZING,
    Status.VALIDATING,
    Status.CANCELLING,
    Status.PENDING,
    Status.UNKNOWN,
    Status.FAILED,
    Status.EXPIRED,
    Status.CANCELLED,
    Status.COMPLETED,
)
"""What the status of a family is, where members differ: the first of these that one of them has."""
_RANK = {status: place for place, status in enumerate(_PRESSING)}
_PART = re.compile(r" \(\d+/\d+\)$")


class FamilyMember(NamedTuple):
    """A job with its place in a family."""

    row: JobRow
    parent_id: int | None
    """The row id of the batch it was sent again from."""
    superseded_by: int | None
    """The row id of the batch that does what it left undone."""


class JobFamily(NamedTuple):
    """The members of a family that are not removed, oldest first."""

    members: tuple[JobRow, ...]
    row: JobRow
    """What one row shows of all: the row of the head, with the values of the whole family."""
    unknown_costs: int
    """How many of its batches are in no sum of costs."""

    @property
    def head(self) -> JobRow:
        """The member that stands for all."""
        return self.members[0]

    @property
    def size(self) -> int:
        """The number of its members."""
        return len(self.members)

    @property
    def revision(self) -> int:
        """The revision of the last change of a member."""
        return max(row.revision for row in self.members)

    def statuses(self) -> Counter[Status]:
        """Return how many members have each status, the most pressing first."""
        return Counter(sorted((row.status for row in self.members), key=_RANK.__getitem__))


def job_family(members: Sequence[FamilyMember]) -> JobFamily:
    """Return the family of these members, oldest first.

    A request counts once: what was sent again is in the total of the first batch, and the newest of a chain
    has what failed and the status. Costs and tokens are those of every member, which each cost its own.
    """
    ids = {member.row.id for member in members}
    rows = [member.row for member in members]
    # A store that another program wrote may have a chain without an end.
    first = [member.row for member in members if member.parent_id not in ids] or rows
    last = [member.row for member in members if member.superseded_by not in ids] or rows
    head, pressing = rows[0], min(last, key=lambda row: (row.gone, _RANK[row.status]))
    total = None if any(row.total is None for row in first) else _sum(first, lambda row: row.total)
    succeeded, failed = _sum(rows, lambda row: row.succeeded), _sum(last, lambda row: row.failed)
    if succeeded is not None and total is not None:
        # An answer that was cut off is a success to its provider, and may have been sent again all the same.
        left = sum(max(0, row.total - (row.succeeded or 0)) for row in last if row.total is not None)
        succeeded = min(succeeded, max(0, total - left))
    running = _sum((row for row in rows if not row.terminal), lambda row: row.done)
    whole = replace(
        pressing,
        id=head.id,
        public_id=head.public_id,
        remote_id=head.remote_id,
        name=family_name(head),
        account=head.account,
        model=head.model,
        created_at=head.created_at,
        total=total,
        succeeded=succeeded,
        failed=failed,
        cancelled=_sum(last, lambda row: row.cancelled),
        expired=_sum(last, lambda row: row.expired),
        done_before=max(0, (succeeded or 0) + (failed or 0) - (running or 0)),
        input_tokens=_sum(rows, lambda row: row.input_tokens),
        output_tokens=_sum(rows, lambda row: row.output_tokens),
        cached_tokens=_sum(rows, lambda row: row.cached_tokens),
        cost=_sum(rows, lambda row: row.cost),
        cost_is_upper_bound=any(row.cost_is_upper_bound for row in rows),
    )
    unknown = sum(row.remote_id is not None and row.cost is None for row in rows)
    return JobFamily(tuple(rows), whole, unknown)


def family_name(head: JobRow) -> str:
    """Return what a family is called: its first part's name, without the number of the part."""
    return _PART.sub("", head.name) if head.family else head.name


def whole_families(
    rows: Sequence[JobRow], families: Mapping[int, JobFamily]
) -> tuple[list[JobRow], list[JobRow]]:
    """Return the first job of each family whose members are all given, and the jobs beside these."""
    given = Counter(row.family_id for row in rows if row.family_id is not None)
    whole = {family_id for family_id, number in given.items() if number == families[family_id].size > 1}
    firsts = {row.family_id: row for row in reversed(rows) if row.family_id in whole}
    return list(firsts.values())[::-1], [row for row in rows if row.family_id not in whole]


def _sum(rows: Iterable[JobRow], read: Callable[[JobRow], int | None]) -> int | None:
    """Return the sum of what is known; None where nothing is."""
    known = [value for row in rows if (value := read(row)) is not None]
    return sum(known) if known else None
