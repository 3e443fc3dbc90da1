"""Queries for attention: the few jobs that may need it, and how long batches usually take."""

from __future__ import annotations

from jobdash.domain.attention import ENDED_WITHIN_MS, RESULTS_GONE_SOON_MS
from jobdash.domain.job import JobRow
from jobdash.domain.status import Tab
from jobdash.store.read_connection import ReadConnection

_MOST = 2_000
"""Jobs of each kind that are looked at: of unfinished ones those changed longest ago, of others those changed
last."""
_ENDED_MOST = 1_000

# Each part is one walk through an index, so that a million old jobs cost nothing.
_CANDIDATES = " UNION ".join(
    f"SELECT id FROM (SELECT id FROM job INDEXED BY {index} WHERE {where} LIMIT {_MOST})"
    for index, where in (
        *(("job_tab_updated", f"tab = {tab.number} ORDER BY updated_at")
          for tab in (Tab.RUNNING, Tab.PENDING, Tab.CANCELLING)),
        *(("job_tab_updated", f"tab = {tab.number} AND updated_at > {{since}} ORDER BY updated_at DESC")
          for tab in (Tab.FAILED, Tab.EXPIRED)),
        ("job_tab_updated",
         f"tab = {Tab.COMPLETED.number} AND updated_at > {{since}} AND failed > 0 ORDER BY updated_at DESC"),
        ("job_shown_updated",
         "shown = 1 AND updated_at > {since} AND left_behind IS NOT NULL ORDER BY updated_at DESC"),
        ("job_results_expire",
         "results_expire_at > {now} AND results_expire_at <= {soon} AND fetched_at IS NULL AND shown = 1"),
    )
)  # fmt: skip
_ENDED_BATCHES = (
    "SELECT provider, model, finished_at - created_at FROM job INDEXED BY job_tab_updated"
    f" WHERE tab = {Tab.COMPLETED.number} AND finished_at > created_at AND remote_id IS NOT NULL"
    f" ORDER BY updated_at DESC LIMIT {_ENDED_MOST}"
)


class AttentionReads(ReadConnection):
    """Reads what attention is decided by."""

    def attention_candidates(self) -> list[JobRow]:
        """Return the jobs that may need attention, those changed last first."""
        now = self._clock()
        sql = _CANDIDATES.format(now=now, since=now - ENDED_WITHIN_MS, soon=now + RESULTS_GONE_SOON_MS)
        ids = [job_id for (job_id,) in self._all(sql)]
        return sorted(self.rows(ids).values(), key=lambda row: row.updated_at, reverse=True)

    def reviewed(self) -> dict[int, int]:
        """Return, by id, when jobs were looked at last or dismissed, of the last days."""
        since = self._clock() - 2 * ENDED_WITHIN_MS
        found = self._all("SELECT job_id, at FROM review WHERE at > ?", [since])
        return dict(found)

    def ended_batches(self) -> list[tuple[str, str | None, int]]:
        """Return provider, model and duration in milliseconds of the batches that completed last."""
        return [(provider, model, duration) for provider, model, duration in self._all(_ENDED_BATCHES)]
