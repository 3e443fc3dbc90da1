"""Single jobs: by their ids, in full, and those a sync ought to ask for."""

from __future__ import annotations

import json
from collections import Counter

from jobdash.domain.job import Job, JobRow
from jobdash.store.looking import COLUMNS, Looking
from jobdash.store.rows import ROW_COLUMNS, SET_BACK_MS, UNFINISHED_REMOTELY, job_row

_DETAILS = (
    "origin, cancel_reason, verdict_reason, attempt, parent_id, superseded_by, usage, errors, files,"
    " remote_metadata, seen_at, submit_key"
)


class JobReads(Looking):
    """What a job's own screen, a command that names a job, and a sync ask."""

    def by_public(self, prefix: str) -> list[JobRow]:
        """Return the jobs whose public id begins so (in either case), removed ones too."""
        low = prefix.lower()
        return self._rows(
            f"SELECT {COLUMNS} FROM job WHERE public_id >= ? AND public_id < ? ORDER BY public_id",
            (low, low + "\x7f"),
        )

    def by_remote(self, remote_id: str) -> list[JobRow]:
        """Return the jobs a provider calls so, removed ones too."""
        return self._rows(f"SELECT {COLUMNS} FROM job WHERE remote_id = ?", (remote_id,))

    def job(self, job_id: int) -> Job | None:
        """Return everything known of a job, removed or not."""
        found = self._all(f"SELECT {COLUMNS}, {_DETAILS} FROM job WHERE id = ?", (job_id,))
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

    def unfinished_remotely(
        self, account: str, seen_before: int, limit: int = 10_000
    ) -> list[tuple[JobRow, int]]:
        """Return an account's jobs that may be asked singly, and when each was seen, longest unseen first.

        These are the jobs whose remote word is unfinished (force-failed and gone ones too) and whose last
        answer was asked for before ``seen_before``, milliseconds UTC; 0 is never. Removed ones are asked no
        more, except for an open intent.
        """
        seen_at = "CASE WHEN seen_at <= ? THEN seen_at ELSE 0 END"
        found = self._all(
            f"SELECT {COLUMNS}, {seen_at} AS seen FROM job INDEXED BY job_unfinished"
            f" WHERE {UNFINISHED_REMOTELY} AND account = ? AND remote_id IS NOT NULL"
            " AND seen < ? AND (removed_at IS NULL OR EXISTS"
            " (SELECT 1 FROM intent WHERE job_id = job.id AND closed_at IS NULL))"
            " ORDER BY seen LIMIT ?",
            (self._clock() + SET_BACK_MS, account, seen_before, limit),
        )
        return [(job_row(values[:-1]), values[-1]) for values in found]
