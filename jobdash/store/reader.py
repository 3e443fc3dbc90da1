"""All reads of the faces, through the DB-API: no SQLAlchemy stands between a start and its first rows."""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobdash.domain.clock import Clock, system_clock
from jobdash.domain.job import AccountHealth, Event, Job, JobRow
from jobdash.domain.status import Status, Tab
from jobdash.errors import StoreError
from jobdash.store.engine import connect_reader, translated
from jobdash.store.orders import Key, Order, Scope, Sort, Values, Walk, key_of, walks
from jobdash.store.records import Counts, Intent, IntentKind, Undoable
from jobdash.store.rows import INTENT_COLUMNS, ROW_COLUMNS, UNFINISHED_REMOTELY, intent, job_row
from jobdash.store.undoable import last_undoable

__all__ = ["Interrupted", "Key", "Order", "Reader", "Scope", "Sort"]

_COLUMNS = ", ".join(ROW_COLUMNS)
_DETAILS = (
    "origin, cancel_reason, verdict_reason, attempt, parent_id, superseded_by, usage, errors, files,"
    " remote_metadata, seen_at, submit_key"
)
_IDS_A_QUERY = 500
"""SQLite's oldest limit of parameters is 999."""


class Interrupted(StoreError):
    """A query was stopped by `Reader.interrupt`."""


class Reader:
    """One read-only connection to a store.

    Every method is one consistent look at the store, raises `StoreError` when it cannot be read, and may be
    called from any one thread at a time; `interrupt` from any thread at any time.
    """

    def __init__(self, path: Path, clock: Clock = system_clock) -> None:
        self._path = path
        self._clock = clock
        self._connection = connect_reader(path)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def interrupt(self) -> None:
        """Stop the query that runs now, if one does: it raises `Interrupted`."""
        self._connection.interrupt()

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            with translated(self._path):
                return self._connection.execute(sql, values).fetchall()
        except StoreError as error:
            code = getattr(error.__cause__, "sqlite_errorcode", None)
            if code == sqlite3.SQLITE_INTERRUPT:
                raise Interrupted from None
            raise

    def _value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        return self._all(sql, values)[0][0]

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[JobRow]:
        return [job_row(values) for values in self._all(sql, values)]

    # What changed

    def data_version(self) -> int:
        """Return a number that moves when another connection has committed; 3 µs."""
        return int(self._value("PRAGMA data_version"))

    def revision(self) -> int:
        """Return the revision of the last change of any job."""
        return int(self._value("SELECT revision FROM meta"))

    def schema_version(self) -> str:
        """Return the store's schema version: it moves when a newer jobdash upgrades it under us."""
        return str(self._value("SELECT version_num FROM alembic_version"))

    def changed_since(self, revision: int, limit: int = 1000) -> list[JobRow]:
        """Return jobs changed after a revision, removed ones too, oldest change first."""
        return self._rows(
            f"SELECT {_COLUMNS} FROM job WHERE revision > ? ORDER BY revision LIMIT ?", (revision, limit)
        )

    # How many

    def counts(self) -> Counts:
        """Return the kept counts, without counting."""
        by_tab = dict.fromkeys(Tab, 0)
        by_account: dict[str, dict[Tab, int]] = {}
        tabs = {tab.number: tab for tab in Tab if tab is not Tab.ALL}
        kept = self._all(
            "SELECT meta.revision, account, tab, n FROM meta LEFT JOIN tally ON tab >= 0 AND n > 0"
        )
        for _, account, number, n in kept:
            if account is None:
                continue
            mine = by_account.setdefault(account, dict.fromkeys(Tab, 0))
            for counted in (by_tab, mine):
                counted[Tab.ALL] += n
                if number in tabs:
                    counted[tabs[number]] += n
        return Counts(by_tab, by_account, revision=kept[0][0])

    def count(self, scope: Scope) -> int:
        """Return how many jobs a scope has: from the kept counts, or counted when there is a filter."""
        if scope.filtered:
            return sum(self._value(*walk.count(scan=scope.scans)) for walk in self._walks(scope))
        if scope.tab is not Tab.ALL:
            tally = "SELECT coalesce(sum(n), 0) FROM tally WHERE tab = ?"
            return int(self._value(tally, (scope.tab.number,)))
        lowest = -1 if scope.removed else 0
        return int(self._value("SELECT coalesce(sum(n), 0) FROM tally WHERE tab >= ?", (lowest,)))

    def status_counts(self, scope: Scope) -> dict[Status, int]:
        """Return how many jobs of a scope have each status; statuses nobody has are left out."""
        counted: Counter[Status] = Counter()
        for walk in self._walks(scope):
            for status, n in self._all(*walk.count_by_status(scan=scope.scans)):
                counted[Status(status)] += n
        return {status: counted[status] for status in Status if counted[status]}

    def accounts(self) -> list[AccountHealth]:
        """Return what the last polls told, by account name."""
        return [
            AccountHealth(*(*values[:-1], bool(values[-1])))
            for values in self._all(
                "SELECT name, provider, asked_at, ok_at, error, error_kind, next_poll_at, retry_after_until,"
                " discovered, first_sync_done FROM account ORDER BY name"
            )
        ]

    # Pages

    def page(self, scope: Scope, sort: Sort, after: Key | None = None, limit: int = 100) -> list[JobRow]:
        """Return rows in drawn order, strictly behind ``after``, or from the start."""
        return self._page(scope, sort, after, limit, backwards=False)

    def page_before(self, scope: Scope, sort: Sort, before: Key, limit: int = 100) -> list[JobRow]:
        """Return the rows just in front of a key, in drawn order."""
        return self._page(scope, sort, before, limit, backwards=True)[::-1]

    def page_from_end(self, scope: Scope, sort: Sort, limit: int = 100) -> list[JobRow]:
        """Return the last rows, in drawn order."""
        return self._page(scope, sort, None, limit, backwards=True)[::-1]

    def page_at(self, scope: Scope, sort: Sort, offset: int, total: int, limit: int = 100) -> list[JobRow]:
        """Return the rows from a far place on: ``offset`` of ``total``.

        Ids are skipped on an index, from the nearer end; only the rows of the page are read.
        """
        limit = max(0, min(limit, total - offset))
        behind = total - offset - limit
        backwards = behind < offset
        ids = self._ids(scope, sort, limit, behind if backwards else offset, backwards=backwards)
        found = self.rows(ids)
        return [found[id_] for id_ in (reversed(ids) if backwards else ids) if id_ in found]

    def _page(
        self, scope: Scope, sort: Sort, behind: Key | None, limit: int, *, backwards: bool
    ) -> list[JobRow]:
        walked = self._walks(scope, sort, backwards=backwards)
        found = _merged([self._all(*walk.page(_COLUMNS, behind, limit)) for walk in walked], walked[0])
        return [job_row(values[:-1]) for values in found[:limit]]

    def _ids(
        self, scope: Scope, sort: Sort, limit: int, offset: int = 0, *, backwards: bool = False
    ) -> list[int]:
        """Return ids in an order (or against it), read from an index alone when there is no filter."""
        walked = self._walks(scope, sort, backwards=backwards)
        if len(walked) == 1:
            return [id_ for id_, _ in self._all(*walked[0].page("id", None, limit, offset))]
        found = _merged([self._all(*walk.page("id", None, offset + limit)) for walk in walked], walked[0])
        return [id_ for id_, _ in found[offset : offset + limit]]

    def _walks(self, scope: Scope, sort: Sort | None = None, *, backwards: bool = False) -> list[Walk]:
        return walks(scope, sort or Sort(), self._clock(), backwards=backwards)

    def key_of(self, row: JobRow, sort: Sort) -> Key:
        """Return a row's place in an order."""
        return key_of(row, sort)

    def position(self, scope: Scope, sort: Sort, key: Key) -> int:
        """Return how many rows are in front of a key; counts, so keep it off the UI thread."""
        return sum(self._value(*walk.count_in_front(key)) for walk in self._walks(scope, sort))

    def search(self, scope: Scope, sort: Sort, limit: int = 10_000) -> list[int]:
        """Return up to ``limit`` ids of a filtered scope, in drawn order.

        A piece of text is answered by no index: the newest ``limit`` matches are collected in the order of
        the table and then sorted. Can be stopped with `interrupt`.
        """
        if not scope.scans or self.count(replace(scope, conditions=None)) <= limit:
            return self._ids(scope, sort, limit)
        found: list[tuple[Any, ...]] = []
        for walk in self._walks(scope, sort):
            found += self._all(*walk.newest(limit))
        found.sort(reverse=True)
        del found[limit:]
        ids = [id_ for (id_,) in found]
        return self._sorted(ids, sort)

    def _sorted(self, ids: Sequence[int], sort: Sort) -> list[int]:
        column = walks(Scope(), sort, 0)[0].key
        keyed: list[tuple[Any, ...]] = []
        for some in _chunks(ids):
            keyed += self._all(f"SELECT {column}, id FROM job WHERE id IN ({_marks(some)})", some)
        keyed.sort(reverse=sort.descending)
        return [id_ for _, id_ in keyed]

    def iter_ids(self, scope: Scope, batch: int = 5000) -> Iterator[list[int]]:
        """Yield all ids of a scope, newest first, for a plan over it."""
        sort = Sort()
        behind: Key | None = None
        while True:
            walked = self._walks(scope, sort)
            found = _merged([self._all(*walk.page("id", behind, batch)) for walk in walked], walked[0])
            if not found:
                return
            yield [id_ for id_, _ in found[:batch]]
            behind = Key(found[:batch][-1][1], found[:batch][-1][0])

    # Single jobs

    def rows(self, ids: Sequence[int]) -> dict[int, JobRow]:
        """Return rows by id, removed ones too; ids nobody has are left out."""
        found: dict[int, JobRow] = {}
        for some in _chunks(ids):
            sql = f"SELECT {_COLUMNS} FROM job WHERE id IN ({_marks(some)})"
            found |= {row.id: row for row in self._rows(sql, some)}
        return found

    def matches(self, row_id: int, scope: Scope) -> bool:
        """Return whether one job is in a scope."""
        return any(self._all(*walk.one(row_id)) for walk in self._walks(scope))

    def by_public(self, prefix: str) -> list[JobRow]:
        """Return the jobs whose public id begins so (in either case), removed ones too."""
        low = prefix.lower()
        return self._rows(
            f"SELECT {_COLUMNS} FROM job WHERE public_id >= ? AND public_id < ? ORDER BY public_id",
            (low, low + "\x7f"),
        )

    def by_remote(self, remote_id: str) -> list[JobRow]:
        """Return the jobs a provider calls so, removed ones too."""
        return self._rows(f"SELECT {_COLUMNS} FROM job WHERE remote_id = ?", (remote_id,))

    def by_submit_key(self, key: str) -> list[JobRow]:
        """Return the jobs that were submitted under a key."""
        return self._rows(f"SELECT {_COLUMNS} FROM job WHERE submit_key = ?", (key,))

    def job(self, job_id: int) -> Job | None:
        """Return everything known of a job, removed or not."""
        found = self._all(f"SELECT {_COLUMNS}, {_DETAILS} FROM job WHERE id = ?", (job_id,))
        if not found:
            return None
        row, more = job_row(found[0][: len(ROW_COLUMNS)]), found[0][len(ROW_COLUMNS) :]
        (origin, cancel_reason, verdict_reason, attempt, parent_id, superseded_by) = more[:6]
        (usage, errors, files, metadata, seen_at, submit_key) = more[6:]
        children = self._all("SELECT public_id FROM job WHERE parent_id = ? ORDER BY id", (job_id,))
        tags = self._all("SELECT key, value FROM job_tag WHERE job_id = ? ORDER BY key", (job_id,))
        return Job(
            row=row,
            origin=origin,
            cancel_reason=cancel_reason,
            verdict_reason=verdict_reason,
            attempt=attempt,
            parent=self._public_id(parent_id),
            children=tuple(public for (public,) in children),
            superseded_by=self._public_id(superseded_by),
            tags=dict(tags),
            usage=json.loads(usage) if usage else None,
            errors=tuple(json.loads(errors)) if errors else (),
            files=json.loads(files) if files else {},
            seen_at=seen_at,
            submit_key=submit_key,
            metadata=json.loads(metadata) if metadata else {},
        )

    def _public_id(self, job_id: int | None) -> str | None:
        found = self._all("SELECT public_id FROM job WHERE id = ?", (job_id,))
        return str(found[0][0]) if found else None

    def errors_summary(self, job_id: int) -> list[tuple[str, int]]:
        """Return a job's errors by code (or message, where there is none), the most frequent first."""
        found = self._all("SELECT errors FROM job WHERE id = ? AND errors IS NOT NULL", (job_id,))
        if not found:
            return []
        errors = json.loads(found[0][0])
        return Counter(error.get("code") or error["message"] for error in errors).most_common()

    def unfinished_remotely(self, account: str, seen_before: int, limit: int = 1000) -> list[JobRow]:
        """Return an account's jobs that ought to be asked singly, the longest unseen first.

        These are the jobs whose remote word is unfinished (force-failed and gone ones too) and whose last
        answer was asked for before ``seen_before``, milliseconds UTC. Removed ones are asked no more, except
        for an open intent.
        """
        return self._rows(
            f"SELECT {_COLUMNS} FROM job INDEXED BY job_unfinished"
            f" WHERE {UNFINISHED_REMOTELY} AND account = ? AND remote_id IS NOT NULL"
            " AND coalesce(seen_at, 0) < ? AND (removed_at IS NULL OR EXISTS"
            " (SELECT 1 FROM intent WHERE job_id = job.id AND closed_at IS NULL))"
            " ORDER BY coalesce(seen_at, 0) LIMIT ?",
            (account, seen_before, limit),
        )

    # Log, intents, undo

    def events(
        self, job_id: int | None = None, limit: int = 200, before_id: int | None = None
    ) -> list[Event]:
        """Return the log, newest first: of one job or of all, in front of an event already read."""
        tests = ["1"]
        values: Values = []
        for test, value in (("job_id = ?", job_id), ("id < ?", before_id)):
            if value is not None:
                tests.append(test)
                values.append(value)
        sql = (
            "SELECT id, at, actor, face, action, job_public_id, job_name, account, result, detail, bulk"
            f" FROM event WHERE {' AND '.join(tests)} ORDER BY id DESC LIMIT ?"
        )
        return [Event(*found) for found in self._all(sql, [*values, limit])]

    def open_intents(self, account: str | None = None, kind: IntentKind | None = None) -> list[Intent]:
        """Return what was begun and not answered yet, oldest first."""
        tests = ["closed_at IS NULL"]
        values: Values = []
        for test, value in (("account = ?", account), ("kind = ?", kind)):
            if value is not None:
                tests.append(test)
                values.append(value)
        sql = f"SELECT {', '.join(INTENT_COLUMNS)} FROM intent WHERE {' AND '.join(tests)} ORDER BY id"
        return [intent(found) for found in self._all(sql, values)]

    def last_undoable(self, actor: str, job_id: int | None = None) -> Undoable | None:
        """Return the newest action of a person (``user@host``) that can still be taken back."""
        return last_undoable(self._all, actor, self._clock(), job_id)


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _IDS_A_QUERY):
        yield ids[start : start + _IDS_A_QUERY]


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _merged(parts: list[list[tuple[Any, ...]]], walk: Walk) -> list[tuple[Any, ...]]:
    """Return the rows of several partitions in one order; each row has its id first and its key last."""
    if len(parts) == 1:
        return parts[0]
    return list(heapq.merge(*parts, key=lambda values: (values[-1], values[0]), reverse=walk.descending))
