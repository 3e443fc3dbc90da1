"""Pages of jobs in every order, their counts, and the search with a filter."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from jobdash.domain.job import JobRow
from jobdash.domain.status import Tab
from jobdash.store.queries.attention import AttentionReads
from jobdash.store.rows import COLUMNS, job_row
from jobdash.store.sort_orders import (
    NEWEST,
    KeysetWalk,
    Scope,
    Sort,
    SortKey,
    key_of,
    merged,
    page_of_all,
    walks,
)


class Counts(NamedTuple):
    """How many jobs there are, by tab and by account and tab; removed ones are in none of them."""

    by_tab: dict[Tab, int]
    by_account: dict[str, dict[Tab, int]]
    revision: int
    """The store's revision they belong to."""
    folded: int = 0
    """Of all jobs, those that the head of their family stands for, where a family is one row."""
    stamp: object = None
    """Differs between two states of the jobs."""

    @property
    def total(self) -> int:
        """All jobs that are not removed."""
        return self.by_tab[Tab.ALL]

    @property
    def unfinished(self) -> int:
        """Jobs that may still change, without those their provider lost."""
        return self.by_tab[Tab.RUNNING] + self.by_tab[Tab.PENDING] + self.by_tab[Tab.CANCELLING]


class PageReads(AttentionReads):
    """Queries for a table of jobs."""

    def page(self, scope: Scope, sort: Sort, after: SortKey | None = None, limit: int = 100) -> list[JobRow]:
        """Return rows in drawn order, strictly after the key ``after``, or from the start."""
        return self._page(scope, sort, after, limit, backwards=False)

    def page_before(self, scope: Scope, sort: Sort, before: SortKey, limit: int = 100) -> list[JobRow]:
        """Return the rows just before a key, in drawn order."""
        return self._page(scope, sort, before, limit, backwards=True)[::-1]

    def page_from_end(self, scope: Scope, sort: Sort, limit: int = 100) -> list[JobRow]:
        """Return the last rows, in drawn order."""
        return self._page(scope, sort, None, limit, backwards=True)[::-1]

    def page_at(self, scope: Scope, sort: Sort, offset: int, total: int, limit: int = 100) -> list[JobRow]:
        """Return the rows from ``offset`` of ``total`` on.

        Ids are skipped on an index, from the nearer end; only the rows of the page are read.
        """
        limit = max(0, min(limit, total - offset))
        behind = total - offset - limit
        backwards = behind < offset
        ids = self._ids(scope, sort, limit, behind if backwards else offset, backwards=backwards)
        found = self.rows(ids)
        return [found[id_] for id_ in (reversed(ids) if backwards else ids) if id_ in found]

    def _page(
        self, scope: Scope, sort: Sort, behind: SortKey | None, limit: int, *, backwards: bool
    ) -> list[JobRow]:
        walked = self._walks(scope, sort, backwards=backwards)
        return [job_row(values[:-1]) for values in self._page_of(walked, COLUMNS, behind, limit)]

    def _page_of(
        self, walked: list[KeysetWalk], columns: str, behind: SortKey | None, limit: int
    ) -> list[tuple[Any, ...]]:
        """Return up to ``limit`` rows after a key of several walks; each has its key last."""
        if self._connection.dialect.in_packets and len(walked) > 1:
            return self._all(*page_of_all(walked, columns, behind, limit))
        pages = (walk.page(columns, behind, limit, sorts_arms=self._sorts_arms) for walk in walked)
        return _merged([self._all(*page) for page in pages], walked[0])[:limit]

    def _ids(
        self, scope: Scope, sort: Sort, limit: int, offset: int = 0, *, backwards: bool = False
    ) -> list[int]:
        """Return ids in an order (or against it), read from an index alone when there is no filter."""
        walked = self._walks(scope, sort, backwards=backwards)
        return [id_ for id_, _ in self._all(*merged(walked, limit, offset, sorts_arms=self._sorts_arms))]

    @property
    def _sorts_arms(self) -> bool:
        return self._connection.dialect.sorts_arms

    def _walks(self, scope: Scope, sort: Sort | None = None, *, backwards: bool = False) -> list[KeysetWalk]:
        return walks(scope, sort or Sort(), self._clock(), self.reasons_in(scope), backwards=backwards)

    def _unordered(self, scope: Scope, row_id: int | None = None) -> list[KeysetWalk]:
        return walks(scope, Sort(), self._clock(), self.reasons_in(scope, row_id), unordered=True)

    def key_of(self, row: JobRow, sort: Sort) -> SortKey:
        """Return a row's place in an order."""
        return key_of(row, sort)

    def position(self, scope: Scope, sort: Sort, key: SortKey) -> int:
        """Return how many rows are before a key; counts, so keep it off the UI thread."""
        return sum(self._value(*walk.count_in_front(key)) for walk in self._walks(scope, sort))

    def search(self, scope: Scope, sort: Sort, limit: int = 10_000) -> list[int]:
        """Return up to ``limit`` ids of a filtered scope, in drawn order.

        No index answers a search for text: the newest ``limit`` matches are collected in the order of
        the table and then sorted. Can be stopped with `interrupt`.
        """
        if not scope.scans or self.count(scope._replace(conditions=None)) <= limit:
            return self._ids(scope, sort, limit)
        found: list[tuple[Any, ...]] = []
        for walk in self._unordered(scope):
            found += self._all(*walk.newest(limit))
        found.sort(reverse=True)
        del found[limit:]
        ids = [id_ for (id_,) in found]
        return self._sorted(ids, sort)

    def _sorted(self, ids: Sequence[int], sort: Sort) -> list[int]:
        column = walks(Scope(), sort, 0)[0].key
        keyed = self._among(f"SELECT {column}, id FROM job WHERE id IN ({{values}})", ids)
        keyed.sort(reverse=sort.descending)
        return [id_ for _, id_ in keyed]

    def iter_ids(self, scope: Scope, sort: Sort = NEWEST, batch: int = 5000) -> Iterator[list[int]]:
        """Yield all ids of a scope, in an order, for a plan over it or a listing."""
        behind: SortKey | None = None
        while True:
            found = self._page_of(self._walks(scope, sort), "id", behind, batch)
            if not found:
                return
            yield [id_ for id_, _ in found]
            last_id, place = found[-1]
            behind = SortKey(place, last_id)

    def matches(self, row_id: int, scope: Scope) -> bool:
        """Return whether one job is in a scope."""
        return any(self._all(*walk.one(row_id)) for walk in self._unordered(scope, row_id))

    def counts(self) -> Counts:
        """Return the counts that triggers keep."""
        by_tab = dict.fromkeys(Tab, 0)
        by_account: dict[str, dict[Tab, int]] = {}
        tabs = {tab.number: tab for tab in Tab if tab is not Tab.ALL}
        dialect = self._connection.dialect
        kept = self._all(
            f"SELECT {dialect.revision}, {dialect.stamp}, folded, account, tab, n"
            " FROM meta LEFT JOIN tally ON tab >= 0 AND n > 0"
        )
        for *_, account, number, n in kept:
            if account is None:
                continue
            mine = by_account.setdefault(account, dict.fromkeys(Tab, 0))
            for counted in (by_tab, mine):
                counted[Tab.ALL] += n
                if number in tabs:
                    counted[tabs[number]] += n
        revision, stamp, folded, *_ = kept[0]
        return Counts(by_tab, by_account, revision, folded, stamp)

    def count(self, scope: Scope) -> int:
        """Return how many jobs a scope has: from the kept counts, or counted when there is a filter."""
        if scope.filtered:
            walked = self._unordered(scope) if scope.scans else self._walks(scope)
            return sum(self._value(*walk.count(scan=scope.scans)) for walk in walked)
        if scope.tab is not Tab.ALL:
            tally = "SELECT coalesce(sum(n), 0) FROM tally WHERE tab = ?"
            return int(self._value(tally, (scope.tab.number,)))
        lowest = -1 if scope.removed else 0
        counted = int(self._value("SELECT coalesce(sum(n), 0) FROM tally WHERE tab >= ?", (lowest,)))
        return counted - int(self._value("SELECT folded FROM meta")) if scope.folded else counted


def _merged(parts: list[list[tuple[Any, ...]]], walk: KeysetWalk) -> list[tuple[Any, ...]]:
    """Return the rows of several partitions in one order; each row has its id first and its key last."""
    if len(parts) == 1:
        return parts[0]
    return list(heapq.merge(*parts, key=lambda values: (values[-1], values[0]), reverse=walk.descending))
