"""Write the errors of a batch and its failed requests, when a person refreshes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from jobdash.domain.job import JobRow
from jobdash.domain.remote_job import FailedRequest, RemoteJob
from jobdash.store.commands.base import JobWrites
from jobdash.store.dialects.base import chunks
from jobdash.store.merge import changed_columns, error_entries
from jobdash.store.sanitize import as_json, distinct, stored, stored_error
from jobdash.store.statements import Statement

MOST_FAILED = 50_000
"""Failed requests kept of one batch: as many as the largest batches have."""
MOST_BYTES = 8 * 1024 * 1024
"""Bytes of their keys and messages that are kept."""
REFRESHED = "refresh-errors"
"""The action's name in the log."""
_MOST_GROUPS = 100
_IN_DETAIL = 3
_ROWS_A_TRANSACTION = 2_500

_DELETE = Statement("delete_items_between")
_DELETE_ONE = Statement("delete_item")
_INSERT = Statement("insert_item")


class ErrorWrites(JobWrites):
    """Writes errors; the failed requests of a batch are kept as the items of a script's job are."""

    def set_errors(
        self,
        job_id: int,
        observed: RemoteJob,
        failed: Sequence[FailedRequest] | None = None,
        *,
        complete: bool = True,
    ) -> JobRow:
        """Replace the error details of a batch, and log that.

        ``failed`` are its failed requests, None where they were not requested: those known stay. Of more
        than `MOST_FAILED`, or `MOST_BYTES`, the first ones are kept. ``complete`` is whether these are all.
        The errors of the job hold their groups, each with its ``count``.
        """
        columns = {
            name: value for name, value in changed_columns(observed).items() if name in {"error", "errors"}
        }
        if failed is not None:
            rows = _bounded(_rows(job_id, failed, self._clock()))
            groups = _groups(rows, complete=complete and len(rows) == len(failed))
            entries = [*error_entries(observed.errors), *groups]
            if entries:
                columns = {"error": stored_error(entries[0]["message"]), "errors": as_json(entries)}
            self._replace(job_id, rows)
        with self._transaction() as connection:
            if columns:
                self._set(connection, job_id, **columns)
            detail = _detail(failed, columns.get("error"))
            return self._logged(connection, job_id, REFRESHED, "done", detail)

    def log_errors_unavailable(self, job_id: int, reason: str) -> JobRow:
        """Log that the errors of a batch could not be requested."""
        with self._transaction() as connection:
            return self._logged(connection, job_id, REFRESHED, "failed", reason)

    def _replace(self, job_id: int, rows: Sequence[dict[str, Any]]) -> None:
        """Replace the failed requests kept of a batch, a bounded number of rows at a time."""
        for first in range(0, MOST_FAILED, _ROWS_A_TRANSACTION):
            with self._transaction() as connection:
                end = first + _ROWS_A_TRANSACTION
                deleted = _DELETE.run(connection, job_key=job_id, first=first, end=end)
                if deleted.rowcount < _ROWS_A_TRANSACTION:
                    break
        for some in chunks(rows, _ROWS_A_TRANSACTION):
            with self._transaction() as connection:
                # Another process may be at the same.
                places = [{name: row[name] for name in ("job_id", "seq", "key")} for row in some]
                _DELETE_ONE.run_many(connection, places)
                _INSERT.run_many(connection, some)


def _rows(job_id: int, failed: Sequence[FailedRequest], now: int) -> list[dict[str, Any]]:
    """Return failed requests as rows; of two with one key, the later one is named by its place, too."""
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    kept = cache(stored)  # most of thousands of messages are alike
    for seq, request in enumerate(failed):
        key = distinct(request.key)
        if key in seen:
            key = distinct(f"{key} ({seq + 1})")
        seen.add(key)
        code = request.error.code
        rows.append(
            {
                "job_id": job_id,
                "seq": seq,
                "key": key,
                "outcome": "error",
                "attempt": 1,
                "detail": None,
                "error_type": None if code is None else kept(code),
                "error": kept(request.error.message),
                "at": now,
            }
        )
    return rows


def _bounded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    room = MOST_BYTES
    for number, row in enumerate(rows[:MOST_FAILED]):
        room -= len(row["key"]) + len(row["error"])
        if room < 0:
            return rows[:number]
    return rows[:MOST_FAILED]


def _groups(rows: Sequence[dict[str, Any]], *, complete: bool) -> list[dict[str, Any]]:
    """Return failed requests by code and message, the most frequent first."""
    counted = Counter((row["error_type"], row["error"]) for row in rows).most_common()
    groups = [_group(code, message, count) for (code, message), count in counted[:_MOST_GROUPS]]
    if rest := sum(count for _, count in counted[_MOST_GROUPS:]):
        groups.append(_group(None, "other errors", rest))
    if groups and not complete:
        groups[0]["incomplete"] = True
    return groups


def _group(code: str | None, message: str, count: int) -> dict[str, Any]:
    return {"message": message, "code": code, "line": None, "param": None, "count": count}


def _detail(failed: Sequence[FailedRequest] | None, error: str | None) -> str:
    if not failed:
        return error or ""
    counted = Counter(request.error.code or request.error.message for request in failed)
    some = ", ".join(f"{count:,} × {error}" for error, count in counted.most_common(_IN_DETAIL))
    more = ", …" if len(counted) > _IN_DETAIL else ""
    return f"{len(failed):,} failed: {some}{more}"
