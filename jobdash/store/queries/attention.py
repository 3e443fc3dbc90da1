"""Queries for attention: the few jobs that may need it, and how long batches usually take."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from jobdash.domain.job import JobRow
from jobdash.domain.status import Tab
from jobdash.store.read_connection import ReadConnection
from jobdash.store.sort_orders import Listed, Scope

if TYPE_CHECKING:  # a plain list does without
    from jobdash.domain.attention import Attention, Review, UsualTimes

_MOST = 2_000
"""The most jobs of each kind that are read: of unfinished ones those changed longest ago, of others those
changed last."""
_ENDED_MOST = 1_000

_NOT_SENT_AGAIN = "superseded_by IS NULL"
_LEFT_UNDONE = "(left_behind IS NOT NULL OR fetch_error IS NOT NULL)"

# Each part is one walk through an index, so that a million old jobs cost nothing.
_CANDIDATES = " UNION ".join(
    f"SELECT id FROM (SELECT id FROM job INDEXED BY {index} WHERE {where} LIMIT {_MOST}) AS arm"
    for index, where in (
        *(("job_tab_updated", f"tab = {tab.number} ORDER BY updated_at")
          for tab in (Tab.RUNNING, Tab.PENDING, Tab.CANCELLING)),
        *(("job_tab_updated",
           f"tab = {tab.number} AND updated_at > {{since}} AND {more} ORDER BY updated_at DESC")
          for tab, more in ((Tab.FAILED, _NOT_SENT_AGAIN), (Tab.EXPIRED, _NOT_SENT_AGAIN),
                            (Tab.COMPLETED, f"{_NOT_SENT_AGAIN} AND failed > 0"))),
        *(("job_listed_updated",
           f"listed = {part} AND updated_at > {{since}} AND {_LEFT_UNDONE} ORDER BY updated_at DESC")
          for part in (Listed.HEAD, Listed.FOLDED)),
        ("job_results_expire",
         "results_expire_at > {now} AND results_expire_at <= {soon} AND fetched_at IS NULL AND shown = 1"),
    )
)  # fmt: skip
_ENDED_BATCHES = (
    "SELECT provider, model, finished_at - created_at FROM job INDEXED BY job_tab_updated"
    f" WHERE tab = {Tab.COMPLETED.number} AND finished_at > created_at AND remote_id IS NOT NULL"
    f" ORDER BY updated_at DESC LIMIT {_ENDED_MOST}"
)


_KEPT_MS = 1_000
"""Milliseconds for which a result is reused while nothing is written: a listing asks for it page by page."""


class AttentionReads(ReadConnection):
    """Reads which jobs need attention."""

    _found: tuple[tuple[int, int], dict[int, Attention]] | None = None
    _usual: tuple[int, UsualTimes] | None = None

    def needing_attention(self) -> dict[int, Attention]:
        """Return by id the jobs that need attention, of each kind at most `_MOST`."""
        from jobdash.domain.attention import ENDED_WITHIN_MS, RESULTS_GONE_SOON_MS

        now = self._clock()
        key = (self.data_version(), now // _KEPT_MS)
        if self._found is None or self._found[0] != key:
            sql = _CANDIDATES.format(now=now, since=now - ENDED_WITHIN_MS, soon=now + RESULTS_GONE_SOON_MS)
            rows = self.rows([job_id for (job_id,) in self._all(sql)])
            self._found = key, self.attention_of(rows.values())
        return self._found[1]

    def attention_version(self) -> tuple[object, int]:
        """Return a number that changes when a job does, or is reviewed; not with time alone."""
        stamp = self._connection.dialect.stamp
        ((jobs, reviewed),) = self._all(f"SELECT {stamp}, (SELECT max(at) FROM review)")
        return jobs, reviewed or 0

    def attention_of(self, rows: Iterable[JobRow]) -> dict[int, Attention]:
        """Return by id those of some jobs that need attention."""
        from jobdash.domain.attention import NEVER_REVIEWED, attention_of, causes_of

        now = self._clock()
        some = [row for row in rows if any(True for _ in causes_of(row, now, self._usual_times))]
        reviews = self._reviews([row.id for row in some])
        found = (
            attention_of(row, now, self._usual_times, reviews.get(row.id, NEVER_REVIEWED)) for row in some
        )
        return {each.row.id: each for each in found if each is not None}

    def reasons_in(self, scope: Scope, row_id: int | None = None) -> Mapping[int, Collection[str]]:
        """Return by id the reasons to look at jobs, at all or at one, where the filter asks for them."""
        if scope.conditions is None or not scope.conditions.attention:
            return {}
        found = (
            self.needing_attention() if row_id is None else self.attention_of(self.rows([row_id]).values())
        )
        return {job_id: each.reasons for job_id, each in found.items()}

    def _reviews(self, ids: Sequence[int]) -> dict[int, Review]:
        from jobdash.domain.attention import Review

        found = self._among("SELECT job_id, at, marks FROM review WHERE job_id IN ({values})", ids)
        return {
            job_id: Review(at, frozenset(json.loads(marks)) if marks else None) for job_id, at, marks in found
        }

    def _usual_times(self) -> UsualTimes:
        from jobdash.domain.attention import usual_times

        version = self.data_version()
        if self._usual is None or self._usual[0] != version:
            self._usual = version, usual_times(self._all(_ENDED_BATCHES))
        return self._usual[1]
