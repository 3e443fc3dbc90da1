"""What is listed, in which order, and how much of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from jobdash.domain.job import JobDetails, JobRow
from jobdash.errors import UsageError
from jobdash.operations.job_lookup import Browser, Scope, Sort, SortOrder

_PAGE = 500


class JobListing(NamedTuple):
    """A wish for jobs; read page by page, so that a million of them never stand in memory."""

    scope: Scope
    sort: Sort
    limit: int | None

    def rows(self, browser: Browser) -> Iterator[JobRow]:
        """Yield the rows, in order."""
        return islice(self._all(browser), self.limit)

    def jobs(self, browser: Browser) -> Iterator[JobDetails]:
        """Yield everything known of each row's job."""
        rows = self.rows(browser)
        while ids := [row.id for row in islice(rows, _PAGE)]:
            jobs = browser.jobs(ids)
            yield from (jobs[job_id] for job_id in ids if job_id in jobs)

    def _all(self, browser: Browser) -> Iterator[JobRow]:
        behind = None
        size = min(_PAGE, self.limit or _PAGE)
        while rows := browser.page(self.scope, self.sort, behind, size):
            yield from rows
            behind = browser.key_of(rows[-1], self.sort)


def read_scope(expr: str, *, removed: bool) -> Scope:
    """Read a filter; FilterError says where it is wrong."""
    if not expr.strip():
        return Scope(removed=removed)
    from jobdash.domain.filter.language import parse  # most lists have no filter

    return Scope(conditions=parse(expr), removed=removed)


def read_sort(text: str) -> Sort:
    """Read ``name`` or ``-created``; UsageError names the orders there are."""
    word = text.removeprefix("-")
    if word not in list(SortOrder):
        raise UsageError(f"no order {text!r}; there are {', '.join(SortOrder)}")
    return Sort(SortOrder(word), descending=text.startswith("-"))
