"""The items of a local job, in pages and as counts, and the attempts that made them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from jobdash.domain.provider_info import LOCAL
from jobdash.domain.status import Tab
from jobdash.store.read_connection import ReadConnection
from jobdash.store.rows import ATTEMPT_COLUMNS, ITEM_COLUMNS, attempt_row, counts_by_outcome, item_rows

if TYPE_CHECKING:  # a list of jobs, the leanest of all commands, does without
    from jobdash.domain.failures import FailedRequests
    from jobdash.domain.items import Attempt, ItemErrors, ItemRow, ItemStatus, WorkerCounts

_ERRORS_READ = 10_000
_MOST_GROUPS = 100
_PAGE = 1_000
_DONE = ("ok", "error", "skipped")


class ItemReads(ReadConnection):
    """Queries for the screen of a local job, and for its results.

    Items are in the order of ``seq``, which is counted without a gap: a page costs the same at every place.
    """

    def items(
        self, job_id: int, outcome: ItemStatus | None = None, after: int = -1, limit: int = 100
    ) -> list[ItemRow]:
        """Return the items (of one outcome) strictly after a ``seq``, or from the start."""
        return self._items(job_id, outcome, "seq > ? ORDER BY seq", after, limit)

    def items_before(
        self, job_id: int, outcome: ItemStatus | None = None, before: int | None = None, limit: int = 100
    ) -> list[ItemRow]:
        """Return the items just before a ``seq``, or the last ones, in the order of ``seq``."""
        place = 2**63 - 1 if before is None else before
        return self._items(job_id, outcome, "seq < ? ORDER BY seq DESC", place, limit)[::-1]

    def items_at(
        self, job_id: int, outcome: ItemStatus | None, offset: int, total: int, limit: int = 100
    ) -> list[ItemRow]:
        """Return up to ``limit`` items from ``offset`` of ``total`` on, without reading those before.

        Of all items the place is the ``seq``; of one outcome it is counted on the index, from the nearer end.
        """
        if outcome is None:
            return self.items(job_id, None, offset - 1, limit)
        limit = max(0, min(limit, total - offset))
        if not limit:
            return []
        behind = total - offset - limit
        if behind < offset:
            last = self._seq_at(job_id, outcome, behind, "DESC")
            return [] if last is None else self.items_before(job_id, outcome, last + 1, limit)
        first = self._seq_at(job_id, outcome, offset, "ASC")
        return [] if first is None else self.items(job_id, outcome, first - 1, limit)

    def item_position(self, job_id: int, outcome: ItemStatus | None, seq: int) -> int:
        """Return how many items (of one outcome) are before a ``seq``; of one outcome it counts."""
        if outcome is None:
            return seq
        sql = "SELECT count(*) FROM item INDEXED BY item_outcome WHERE job_id = ? AND outcome = ? AND seq < ?"
        return int(self._value(sql, (job_id, str(outcome), seq)))

    def item_counts(self, job_id: int) -> dict[ItemStatus, int]:
        """Return how many items a job has of each outcome.

        They are computed from the job's own counts, which every item changes in its transaction. Where those
        are not of items (of a run without keys), the items are counted.
        """
        found = self._all(
            "SELECT coalesce(succeeded, 0), coalesce(failed, 0),"
            " coalesce((SELECT max(seq) + 1 FROM item WHERE job_id = job.id), 0),"
            " (SELECT count(*) FROM item INDEXED BY item_outcome"
            "   WHERE job_id = job.id AND outcome = 'skipped'),"
            " coalesce((SELECT keyed FROM attempt WHERE job_id = job.id ORDER BY fence DESC LIMIT 1), 0)"
            " FROM job WHERE id = ?",
            (job_id,),
        )
        if not found or not found[0][2]:
            return counts_by_outcome({})
        succeeded, failed, rows, skipped, keyed = found[0]
        ok, waiting = succeeded - skipped, rows - succeeded - failed
        if not keyed or ok < 0 or waiting < 0:
            sql = "SELECT outcome, count(*) FROM item WHERE job_id = ? GROUP BY outcome"
            return counts_by_outcome(dict(self._all(sql, (job_id,))))
        return counts_by_outcome({"waiting": waiting, "ok": ok, "error": failed, "skipped": skipped})

    def have_items(self, job_ids: Sequence[int]) -> set[int]:
        """Return which jobs have items that are done, whose outcomes can be fetched."""
        done = " OR ".join(
            f"EXISTS (SELECT 1 FROM item WHERE job_id = job.id AND outcome = '{outcome}')"
            for outcome in _DONE
        )
        found = self._among(f"SELECT id FROM job WHERE id IN ({{values}}) AND ({done})", job_ids)
        return {job_id for (job_id,) in found}

    def iter_items(self, job_id: int, *, waiting: bool = False) -> Iterator[ItemRow]:
        """Yield a job's items in order, page by page; those not processed yet only if ``waiting``."""
        after = -1
        while page := self.items(job_id, None, after, _PAGE):
            for item in page:
                if waiting or item.outcome in _DONE:
                    yield item
            after = page[-1].seq

    def item_errors(self, job_id: int, most: int = _ERRORS_READ) -> ItemErrors:
        """Return a job's errors, grouped by type and message; reads the first ``most`` of them."""
        from jobdash.domain.items import ItemErrorGroup, ItemErrors

        sql = (
            "SELECT error_type, error, seq FROM item INDEXED BY item_outcome"
            " WHERE job_id = :job AND outcome = 'error' ORDER BY seq LIMIT :most"
        )
        grouped = self._all(
            "SELECT error_type, error, number, first,"
            " (SELECT key FROM item WHERE job_id = :job AND seq = first)"
            " FROM (SELECT error_type, error, count(*) AS number, min(seq) AS first"
            f" FROM ({sql}) AS examined GROUP BY error_type, error) AS grouped ORDER BY number DESC, first",
            {"job": job_id, "most": most + 1},
        )
        examined = sum(count for _, _, count, *_ in grouped)
        groups = tuple(ItemErrorGroup(*values) for values in grouped[:_MOST_GROUPS])
        complete = examined <= most and len(groups) == len(grouped)
        return ItemErrors(groups, min(examined, most), complete)

    def failed_requests(self, job_id: int) -> FailedRequests:
        """Return how many failed requests of a batch are kept, and the first keys of each group."""
        from jobdash.domain.failures import KEYS_OF_A_GROUP, FailedRequests

        keys: dict[tuple[str | None, str], list[str]] = defaultdict(list)
        failed = "FROM item INDEXED BY item_outcome WHERE job_id = ? AND outcome = 'error'"
        sql = f"SELECT error_type, error, key {failed} ORDER BY seq LIMIT ?"
        for code, message, key in self._all(sql, (job_id, _ERRORS_READ)):
            some = keys[code, message or ""]
            if len(some) < KEYS_OF_A_GROUP:
                some.append(key)
        kept = int(self._value(f"SELECT count(*) {failed}", (job_id,))) if keys else 0
        return FailedRequests(kept, {group: tuple(some) for group, some in keys.items()})

    def attempts(self, job_id: int, limit: int = 100) -> list[Attempt]:
        """Return the runs of a job, newest first."""
        sql = f"SELECT {ATTEMPT_COLUMNS} FROM attempt WHERE job_id = ? ORDER BY fence DESC LIMIT ?"
        return [attempt_row(values) for values in self._all(sql, (job_id, limit))]

    def last_attempts(self, job_ids: Sequence[int]) -> dict[int, Attempt]:
        """Return the newest run of each of these jobs; those that were never run are left out."""
        sql = (
            f"SELECT job_id, {ATTEMPT_COLUMNS} FROM attempt AS this WHERE job_id IN ({{values}})"
            " AND fence = (SELECT max(fence) FROM attempt WHERE job_id = this.job_id)"
        )
        return {job_id: attempt_row(values) for job_id, *values in self._among(sql, job_ids)}

    def owners(self, job_ids: Sequence[int]) -> dict[int, str]:
        """Return, as the store keeps it, the process that holds each job, or held it last."""
        sql = (
            "SELECT id, coalesce(owner, last_owner) FROM job WHERE id IN ({values})"
            " AND coalesce(owner, last_owner) IS NOT NULL"
        )
        return dict(self._among(sql, job_ids))

    def held_by(self, owners: Iterable[str]) -> dict[str, list[tuple[int, str]]]:
        """Return, by owner, the id and name of each job that one of these processes holds now."""
        found: dict[str, list[tuple[int, str]]] = defaultdict(list)
        sql = (
            "SELECT owner, id, name FROM job"
            f" WHERE tab IN ({Tab.RUNNING.number}, {Tab.CANCELLING.number}) AND provider = '{LOCAL}'"
            " AND owner IN ({values}) ORDER BY id"
        )
        for owner, job_id, name in self._among(sql, sorted(set(owners))):
            found[owner].append((job_id, name))
        return found

    def abandoned_cancels(self) -> list[int]:
        """Return the ids of local jobs whose cancel is requested and whose worker is gone."""
        from jobdash.store.leases.transitions import abandoned_cancels

        return abandoned_cancels(self._connection, self._clock())

    def leases(self, now: int) -> tuple[int, int]:
        """Return how many local jobs a worker holds at ``now`` (ms UTC), and how many have lost theirs."""
        live, lost = self._all(
            "SELECT count(CASE WHEN lease_until >= ? THEN 1 END),"
            " count(CASE WHEN coalesce(lease_until, 0) < ? THEN 1 END) FROM job"
            f" WHERE tab IN ({Tab.RUNNING.number}, {Tab.CANCELLING.number}) AND provider = '{LOCAL}'",
            (now, now),
        )[0]
        return live, lost

    def held_until(self, now: int) -> list[int]:
        """Return until when local jobs are held by processes that are not provably dead, ms UTC."""
        from jobdash.store.leases.transitions import is_held_by

        leases = self._all(
            "SELECT owner, lease_until FROM job WHERE lease_until >= ?"
            f" AND tab IN ({Tab.RUNNING.number}, {Tab.CANCELLING.number}) AND provider = '{LOCAL}'",
            (now,),
        )
        return [until for owner, until in leases if is_held_by(owner, until, now)]

    def worker_counts(self) -> WorkerCounts:
        """Return who runs jobs of functions, and how many wait for a worker."""
        from jobdash.domain.items import WorkerCounts

        now = self._clock()
        ((workers, parts),) = self._all(
            "SELECT count(DISTINCT owner), count(*) FROM part WHERE owner IS NOT NULL AND lease_until >= ?",
            (now,),
        )
        ((waiting, jobs),) = self._all(
            f"SELECT count(CASE WHEN tab = {Tab.PENDING.number} THEN 1 END), count(*) FROM job"
            " WHERE function IS NOT NULL AND shown = 1"
        )
        return WorkerCounts(workers, parts, waiting, jobs)

    def _items(
        self, job_id: int, outcome: ItemStatus | None, where: str, place: int, limit: int
    ) -> list[ItemRow]:
        if outcome is None:
            sql = f"SELECT {ITEM_COLUMNS} FROM item WHERE job_id = ? AND {where} LIMIT ?"
            return item_rows(self._all(sql, (job_id, place, limit)))
        sql = (
            f"SELECT {ITEM_COLUMNS} FROM item INDEXED BY item_outcome"
            f" WHERE job_id = ? AND outcome = ? AND {where} LIMIT ?"
        )
        return item_rows(self._all(sql, (job_id, str(outcome), place, limit)))

    def _seq_at(self, job_id: int, outcome: ItemStatus, offset: int, direction: str) -> int | None:
        sql = (
            "SELECT seq FROM item INDEXED BY item_outcome WHERE job_id = ? AND outcome = ?"
            f" ORDER BY seq {direction} LIMIT 1 OFFSET ?"
        )
        found = self._all(sql, (job_id, str(outcome), offset))
        return found[0][0] if found else None
