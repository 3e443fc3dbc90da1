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
_PART = r" \(\d+/\d+\)$"


class _Chain(NamedTuple):
    """A batch, and what was sent again of it: each the retry of the one before."""

    rows: tuple[JobRow, ...]

    @property
    def first(self) -> JobRow:
        """The batch that has all requests."""
        return self.rows[0]

    @property
    def last(self) -> JobRow:
        """The one that has the status, and what failed."""
        return self.rows[-1]

    @property
    def total(self) -> int | None:
        """How many requests it has; those of the retry, where the first failed before they were counted."""
        first = self.first
        refused = first.remote_status is Status.FAILED and not first.done
        return self.rows[1].total if first.total is None and refused and len(self.rows) > 1 else first.total

    def counts(self) -> tuple[int | None, int | None]:
        """Return how many requests succeeded and failed; each counts once.

        A retry knows what it left out. Of one that an older jobdash made only the sums are known, which have
        an answer twice where it was sent again.
        """
        last, total, kept = self.last, self.first.total, self.last.kept_succeeded
        if kept is None or self.first.parent_id is not None:
            succeeded = _sum(self.rows, lambda row: row.succeeded)
            if total is not None and succeeded is not None and len(self.rows) > 1:
                left = last.failed or 0 if last.total is None else max(0, last.total - (last.succeeded or 0))
                succeeded = min(succeeded, max(0, total - left))
            return succeeded, last.failed
        failed = (last.failed or 0) + (last.kept_failed or 0)
        if last.status is Status.COMPLETED and total is not None and last.total is not None:
            # What had neither an answer nor an error, and was left out, has none now.
            failed += max(0, total - kept - (last.kept_failed or 0) - last.total)
        return kept + (last.succeeded or 0), failed


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


def job_family(members: Sequence[JobRow]) -> JobFamily:
    """Return the family of these members, oldest first.

    A request counts once: what was sent again is in the total of the first batch, and the newest of a chain
    has what failed and the status. Costs and tokens are those of every member, which each cost its own.
    """
    rows, chains = tuple(members), _chains(members)
    head, last = rows[0], [chain.last for chain in chains]
    pressing = min(last, key=lambda row: (row.gone, _RANK[row.status]))
    totals = [chain.total for chain in chains]
    succeeded, failed = (_added(counts) for counts in zip(*(chain.counts() for chain in chains), strict=True))
    under_way = sum(row.done or 0 for row in last if not row.terminal)
    whole = replace(
        pressing,
        id=head.id,
        public_id=head.public_id,
        remote_id=head.remote_id,
        name=family_name(head, parts=len(chains) > 1),
        account=head.account,
        model=head.model,
        created_at=head.created_at,
        total=None if None in totals else _added(totals),
        succeeded=succeeded,
        failed=failed,
        cancelled=_sum(last, lambda row: row.cancelled),
        expired=_sum(last, lambda row: row.expired),
        done_before=(succeeded or 0) + (failed or 0) - under_way,
        input_tokens=_sum(rows, lambda row: row.input_tokens),
        output_tokens=_sum(rows, lambda row: row.output_tokens),
        cached_tokens=_sum(rows, lambda row: row.cached_tokens),
        cost=_sum(rows, lambda row: row.cost),
        cost_is_upper_bound=any(row.cost_is_upper_bound for row in rows),
    )
    unknown = sum(row.remote_id is not None and row.cost is None for row in rows)
    return JobFamily(rows, whole, unknown)


def _chains(members: Sequence[JobRow]) -> list[_Chain]:
    """Return the batches that are no retry of another member, each with its retries.

    A retry that was never sent is in none.
    """
    by_id = {row.id: row for row in members}
    # A store that another program wrote may have a chain without a beginning.
    firsts = [row for row in members if row.parent_id not in by_id] or members[:1]
    found: list[_Chain] = []
    for first in firsts:
        rows = {first.id: first}
        following = by_id.get(first.superseded_by or 0)
        while following is not None and following.id not in rows:
            rows[following.id] = following
            following = by_id.get(following.superseded_by or 0)
        found.append(_Chain(tuple(rows.values())))
    return found


def family_name(head: JobRow, *, parts: bool) -> str:
    """Return what a family is called: of the parts of a file without the number of the part."""
    return re.sub(_PART, "", head.name) if parts else head.name


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
    return _added(map(read, rows))


def _added(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
