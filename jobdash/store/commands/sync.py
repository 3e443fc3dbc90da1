"""Write the answers and 404s of a sync."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from jobdash.domain.job import JobRow
from jobdash.domain.remote_job import RemoteJob
from jobdash.domain.status import TERMINAL, UNFINISHED
from jobdash.store.commands.snapshots import AppliedSnapshot, SnapshotWrites, known_row
from jobdash.store.dialects.base import Connection, chunks
from jobdash.store.merge import UNSEEN_BY_KEY, SnapshotSource, changed_columns, is_older
from jobdash.store.public_ids import new_public_ids
from jobdash.store.records import UpsertResult
from jobdash.store.rows import SET_BACK_MS
from jobdash.store.sanitize import distinct, stored, stored_named
from jobdash.store.statements import Statement

GONE_AFTER_MS = 5 * 60 * 1000
"""Two 404s at least this far apart mean that a job is gone."""
_JOBS_A_TRANSACTION = 250
_TAGS_A_JOB = 16
"""Entries of metadata kept of a job; together this is under 5,000 rows a transaction."""

_BY_REMOTE_ID = Statement("known_by_remote_id")
_BY_SUBMIT_KEY = Statement("known_by_submit_key")
_BY_INPUT_FILE = Statement("known_by_input_file")
_MARK_SEEN = Statement("mark_seen")
_LAST_ID = Statement("last_job_id")
_JOBS_BEHIND = Statement("jobs_behind")
_INSERT_JOB = Statement("insert_listed_job")
_INSERT_TAG = Statement("insert_new_tag")
_ALL_NONE: dict[str, Any] = dict.fromkeys(_INSERT_JOB.parameters)


@dataclass
class _Collected:
    """An `UpsertResult` in the making."""

    inserted: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    finished: list[JobRow] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)
    """Remote ids that are known, unchanged and terminal (or removed): nothing is written for them."""

    def result(self) -> UpsertResult:
        return UpsertResult(tuple(self.inserted), tuple(self.changed), tuple(self.finished))


class SyncWrites(SnapshotWrites):
    """Write answers so that no older one undoes a newer one."""

    def upsert(
        self,
        account: str,
        provider: str,
        origin: str,
        jobs: Sequence[RemoteJob],
        asked_at: int,
        *,
        configured: Collection[str] | None = None,
        listed: bool = False,
        makes_due: bool = False,
    ) -> UpsertResult:
        """Insert or update the jobs of an account as its provider describes them.

        ``asked_at`` is when the request was sent, milliseconds UTC; ``configured`` are the present accounts:
        jobs of an account that is no more are adopted; ``listed`` is for the list of a poll: it is
        counted how often in a row a list shows a job unchanged. ``makes_due`` is for callers outside a sync:
        the account is polled soon when one of the jobs is unfinished. ``removed_at`` is never changed.
        """
        source = SnapshotSource(account, asked_at, configured)
        by_id = {observed.remote_id: observed for observed in jobs}
        collected = _Collected()
        for some in chunks(list(by_id.values()), _JOBS_A_TRANSACTION):
            with self._transaction() as connection:
                self._write_answers(connection, provider, origin, some, source, collected, listed=listed)
                if makes_due and any(observed.status in UNFINISHED for observed in some):
                    self._make_due(connection, account)
        return collected.result()

    def _write_answers(
        self,
        connection: Connection,
        provider: str,
        origin: str,
        jobs: Sequence[RemoteJob],
        source: SnapshotSource,
        collected: _Collected,
        *,
        listed: bool,
    ) -> None:
        known = _known(connection, provider, origin, jobs)
        unknown: list[RemoteJob] = []
        seen: list[dict[str, int | bool]] = []
        ahead = self._clock() + SET_BACK_MS
        for observed in jobs:
            # One submit is one batch: of two with its key, the other is a batch of its own.
            before = (
                known.get(observed.remote_id)
                or known.pop(f"key {observed.submit_key}", None)
                or _submitted(known, observed)
            )
            if before is None:
                unknown.append(observed)
                continue
            applied = self._apply(connection, before, observed, source)
            self._collect(before, observed, applied, collected)
            settled = observed.remote_id in collected.settled
            # A sync in which nothing happened leaves the file alone: not even ``seen_at`` is written.
            if applied.believed and (applied.changed or not settled):
                same = listed and not applied.changed and not settled
                seen.append(
                    {"job_key": before["id"], "asked": source.asked_at, "ahead": ahead, "unchanged": same}
                )
        if seen:
            _MARK_SEEN.run_many(connection, seen)
        if unknown:
            collected.inserted += self._insert(connection, provider, origin, unknown, source)

    @staticmethod
    def _collect(
        before: dict[str, Any], observed: RemoteJob, applied: AppliedSnapshot, collected: _Collected
    ) -> None:
        """Add a known job to the result, unless it is removed."""
        if before["removed_at"] is not None:
            collected.settled.add(observed.remote_id)
        elif applied.changed:
            collected.changed.append(before["id"])
        elif before["remote_status"] in TERMINAL:
            collected.settled.add(observed.remote_id)
        if applied.finished is not None:
            collected.finished.append(applied.finished)

    def _insert(
        self,
        connection: Connection,
        provider: str,
        origin: str,
        jobs: Sequence[RemoteJob],
        source: SnapshotSource,
    ) -> list[int]:
        now = self._clock()
        last = _LAST_ID.run(connection).fetchone()[0] or 0
        ids = new_public_ids(connection, len(jobs))
        rows = [
            {
                **_ALL_NONE,
                **_discovered(observed, now),
                "public_id": public,
                "provider": provider,
                "origin": origin,
                "account": source.account,
                "seen_at": source.asked_at,
            }
            for public, observed in zip(ids, jobs, strict=True)
        ]
        _INSERT_JOB.run_many(connection, rows)
        made = {remote: id_ for id_, remote in _JOBS_BEHIND.run(connection, last=last)}
        words = [
            {"job_id": made[observed.remote_id], "key": distinct(key), "value": stored_named(key, value)}
            for observed in jobs
            for key, value in islice(observed.metadata.items(), _TAGS_A_JOB)
            if value != observed.submit_key
        ]
        _INSERT_TAG.run_many(connection, words)
        return sorted(made.values())

    def reset_unchanged_polls(self, job_id: int) -> None:
        """Reset the count of unchanged lists of a job: it was requested singly."""
        with self._transaction() as connection:
            self._set(connection, job_id, unchanged_polls=0)

    def is_unseen_by_key(self, job_id: int) -> bool:
        """Return whether the account of a job has another key since the job was seen."""
        known = self._known(self._reading, job_id)
        return known is not None and known["not_found_at"] == UNSEEN_BY_KEY

    def mark_not_found(self, job_id: int, asked_at: int) -> bool:
        """Record a 404 for a job; return whether that makes it gone now.

        The first 404 is only recorded, since a list may lag; a second one at least 5 minutes later decides.
        Jobs whose remote status is terminal are not changed; those that the present key of their account has
        not seen yet never become gone, as they may be another project's.
        """
        with self._transaction() as connection:
            known = self._known(connection, job_id)
            if known is None or known["remote_status"] in TERMINAL or known["gone_at"] is not None:
                return False
            seen_at = self._not_ahead(known["seen_at"])
            if seen_at is not None and asked_at < seen_at:
                return False
            if known["not_found_at"] == UNSEEN_BY_KEY:
                self._set(connection, job_id, seen_at=asked_at)
                return False
            first = self._not_ahead(known["not_found_at"])
            if first is None:
                self._set(connection, job_id, not_found_at=asked_at, seen_at=asked_at)
                return False
            if asked_at - first < GONE_AFTER_MS:
                self._set(connection, job_id, seen_at=asked_at)
                return False
            self._set(connection, job_id, gone_at=asked_at, seen_at=asked_at)
            return True


def _known(
    connection: Connection, provider: str, origin: str, jobs: Sequence[RemoteJob]
) -> dict[str, dict[str, Any]]:
    """Return the known jobs among ``jobs``: by remote id, or by the key of a submit not yet confirmed."""
    found: dict[str, dict[str, Any]] = {}
    place = {"provider": provider, "origin": origin}
    for words in chunks([observed.remote_id for observed in jobs]):
        for row in _BY_REMOTE_ID.run_among(connection, words, **place):
            before = known_row(row)
            found[before["remote_id"]] = before
    keys = [observed.submit_key for observed in jobs if observed.submit_key]
    for some in chunks(keys):
        for row in _BY_SUBMIT_KEY.run_among(connection, some, provider=provider):
            before = known_row(row)
            found[f"key {before['submit_key']}"] = before
    # A server that keeps no metadata still returns the file, which was uploaded for this one batch.
    files = [word for observed in jobs if not observed.submit_key and (word := observed.files.get("input"))]
    for some in chunks(files):
        for row in _BY_INPUT_FILE.run_among(connection, some, **place):
            before = known_row(row)
            found[f"file {json.loads(before['files'])['input']}"] = before
    return found


def _input_file(observed: RemoteJob) -> str:
    return f"file {observed.files.get('input')}"


def _submitted(known: dict[str, dict[str, Any]], observed: RemoteJob) -> dict[str, Any] | None:
    """Return the submit whose batch this is by its input file; a batch made before it is another's.

    Some servers give the same file to every upload of the same content.
    """
    before = known.get(_input_file(observed))
    if before is None or is_older(observed.created_at, before["created_at"]):
        return None
    return known.pop(_input_file(observed))


def _discovered(observed: RemoteJob, now: int) -> dict[str, Any]:
    """Return the columns of a job seen for the first time; if it ended long ago, it was not updated now."""
    columns = changed_columns(observed)
    columns["remote_id"] = observed.remote_id
    columns["submit_key"] = observed.submit_key
    columns["name"] = stored(observed.name or observed.remote_id)
    columns.setdefault("created_at", columns.get("started_at", now))
    ended = columns.get("finished_at", columns["created_at"])
    columns["updated_at"] = min(ended, now) if observed.status in TERMINAL else now
    return columns
