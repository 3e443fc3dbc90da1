"""Queries of single jobs: by their ids, in full, and those that a sync requests."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobdash.domain.family import JobFamily, job_family
from jobdash.domain.fields import JOB_FIELDS, Kind
from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.status import NOT_SUBMITTED
from jobdash.store.dialects.base import chunks, placeholders
from jobdash.store.queries.attention import AttentionReads
from jobdash.store.rows import (
    CLOCKS_APART_MS,
    COLUMNS,
    ROW_COLUMNS,
    SET_BACK_MS,
    UNFINISHED_REMOTELY,
    job_row,
)
from jobdash.store.sort_orders import Listed

if TYPE_CHECKING:
    from jobdash.store.records import NewestIds

_STORED = {field.source: field for field in JOB_FIELDS if field.stored}
"""By attribute of `JobDetails`, what a column holds that is in no row."""
_DETAILS = ", ".join(field.stored for field in _STORED.values())
_RELATIVES = {
    attribute: place
    for place, (attribute, field) in enumerate(_STORED.items(), len(ROW_COLUMNS))
    if field.kind is Kind.RELATIVE
}
"""Where the row ids of other jobs stand."""

_CANDIDATES_MOST = 100
"""Batches that a submit without an answer may have made, as many as are shown."""


class JobReads(AttentionReads):
    """Queries for a job's screen, for commands on a job, and for a sync."""

    def by_public(self, prefix: str) -> list[JobRow]:
        """Return the jobs whose public id begins so (in either case), removed ones too."""
        low = prefix.lower()
        return self._rows(
            f"SELECT {COLUMNS} FROM job WHERE public_id >= ? AND public_id < ? ORDER BY public_id",
            (low, low + "\x7f"),
        )

    def by_remote(self, remote_id: str) -> list[JobRow]:
        """Return the jobs with a provider's id, removed ones too."""
        return self._rows(f"SELECT {COLUMNS} FROM job WHERE remote_id = ?", (remote_id,))

    def newest_ids(self) -> NewestIds:
        """Return the newest ids; those of an empty store are 0."""
        from jobdash.store.records import NewestIds  # a list of jobs does without

        sql = "SELECT (SELECT coalesce(max(id), 0) FROM job), (SELECT coalesce(max(id), 0) FROM intent)"
        return NewestIds(*self._all(sql, ())[0])

    def submitted_before(self, digest: str) -> list[JobRow]:
        """Return the last five jobs that were submitted from a file of this content, newest first.

        Those that certainly do not exist at their provider are left out.
        """
        return self._rows(
            f"SELECT {COLUMNS} FROM job WHERE raw_status != '{NOT_SUBMITTED}' AND id IN"
            " (SELECT job_id FROM intent WHERE kind = 'submit' AND choices LIKE ? UNION ALL"
            " SELECT id FROM job WHERE queued IS NOT NULL AND queued LIKE ?) ORDER BY id DESC LIMIT 5",
            (f'%"digest": "{digest}"%', f'%"digest": "{digest}"%'),
        )

    def job(self, job_id: int) -> JobDetails | None:
        """Return everything known of a job, removed or not."""
        return self.jobs([job_id]).get(job_id)

    def known_files(self, provider: str, origin: str) -> frozenset[str]:
        """Return the ids of all files at a server that jobs name, removed jobs too."""
        sql = (
            "SELECT file.value FROM job, json_each(job.files) AS file"
            " WHERE job.provider = ? AND job.origin = ? AND file.value IS NOT NULL"
        )
        return frozenset(str(value) for (value,) in self._all(sql, [provider, origin]))

    def results_folders(self, host: str) -> list[str]:
        """Return the folders of a host into which results were fetched."""
        sql = (
            "SELECT DISTINCT results_folder FROM job WHERE results_folder IS NOT NULL"
            " AND (fetched_on IS NULL OR fetched_on = ?)"
        )
        return [str(folder) for (folder,) in self._all(sql, [host])]

    def jobs(self, ids: Sequence[int]) -> dict[int, JobDetails]:
        """Return everything known of jobs by id, removed ones too; unknown ids are left out."""
        found: dict[int, JobDetails] = {}
        for some in chunks(ids):
            found |= self._some_jobs(some)
        return found

    def family(self, job_id: int) -> list[JobDetails]:
        """Return a batch with all that were sent again of it, oldest first, removed ones too."""
        found = self._all(
            "WITH RECURSIVE"
            " above (id, parent_id) AS (SELECT id, parent_id FROM job WHERE id = ? UNION"
            "   SELECT job.id, job.parent_id FROM job JOIN above ON job.id = above.parent_id),"
            " family (id) AS (SELECT id FROM above WHERE parent_id IS NULL UNION"
            "   SELECT job.id FROM job JOIN family ON job.parent_id = family.id)"
            " SELECT id FROM family ORDER BY id",
            (job_id,),
        )
        ids = [member for (member,) in found]
        jobs = self.jobs(ids)
        return [jobs[member] for member in ids if member in jobs]

    def families(self, family_ids: Sequence[int]) -> dict[int, JobFamily]:
        """Return families by their ids, without removed members; those without any are left out."""
        members: dict[int, list[JobRow]] = defaultdict(list)
        sql = (
            f"SELECT {COLUMNS} FROM job INDEXED BY job_family_id"
            f" WHERE family_id IN ({{values}}) AND listed <> {Listed.REMOVED} ORDER BY id"
        )
        for row in map(job_row, self._among(sql, family_ids)):
            if row.family_id is not None:
                members[row.family_id].append(row)
        return {family_id: job_family(found) for family_id, found in members.items()}

    def changed_families(self, revision: int, limit: int) -> list[int]:
        """Return the ids of families of which a member changed after a revision, at most ``limit``."""
        sql = (
            "SELECT DISTINCT family_id FROM job INDEXED BY job_revision"
            " WHERE revision > ? AND family_id IS NOT NULL LIMIT ?"
        )
        return [family_id for (family_id,) in self._all(sql, (revision, limit))]

    def relatives(self, ids: Sequence[int]) -> dict[int, tuple[str | None, str | None]]:
        """Return, by job, the public ids of the batch it was sent again from, and of its own last retry."""
        sql = (
            "SELECT job.id, parent.public_id, child.public_id FROM job"
            " LEFT JOIN job AS parent ON parent.id = job.parent_id"
            " LEFT JOIN job AS child ON child.id = job.superseded_by WHERE job.id IN ({values})"
        )
        return {job_id: (parent, child) for job_id, parent, child in self._among(sql, ids)}

    def _some_jobs(self, ids: Sequence[int]) -> dict[int, JobDetails]:
        these = placeholders(ids)
        found = self._all(f"SELECT {COLUMNS}, {_DETAILS} FROM job WHERE id IN ({these})", ids)
        tags = self._tags(ids)
        children: dict[int, list[str]] = defaultdict(list)
        for parent_id, public in self._all(
            f"SELECT parent_id, public_id FROM job WHERE parent_id IN ({these}) ORDER BY id", ids
        ):
            children[parent_id].append(public)
        public_ids = self._public_ids({values[place] for values in found for place in _RELATIVES.values()})
        rows = [job_row(values[: len(ROW_COLUMNS)]) for values in found]
        attention = self.attention_of(rows)
        parts = self._parts({row.id: row.terminal for row in rows if row.function is not None})
        hosts = self._hosts([row.id for row in rows if row.provider == LOCAL])
        return {
            row.id: JobDetails(
                row=row,
                children=tuple(children.get(row.id, ())),
                tags=tags.get(row.id, {}),
                parts=parts.get(row.id),
                host=hosts.get(row.id),
                attention=attention[row.id].reasons if row.id in attention else (),
                candidates=self._candidates(row.id) if row.unconfirmed else (),
                **_stored(values[len(ROW_COLUMNS) :], public_ids),
            )
            for row, values in zip(rows, found, strict=True)
        }

    def _candidates(self, job_id: int) -> tuple[str, ...]:
        """Return the remote ids of the batches that the job of a submit without an answer may be.

        They have as many requests, were made while it was under way, and are of no other submit.
        """
        found = self._all(
            "SELECT found.remote_id FROM intent JOIN job AS mine ON mine.id = intent.job_id"
            # By their times: among a million jobs, those with later ids are too many.
            " JOIN job AS found INDEXED BY job_listed_created ON found.id > mine.id"
            f" AND found.listed IN ({', '.join(str(int(part)) for part in Listed)})"
            " AND found.origin = mine.origin AND found.provider = mine.provider AND found.total = mine.total"
            " WHERE mine.id = ? AND intent.kind = 'submit'"
            " AND found.submit_key IS NULL AND found.remote_id IS NOT NULL"
            " AND found.created_at BETWEEN intent.opened_at - ? AND intent.deadline + ?"
            f" GROUP BY found.id, found.remote_id ORDER BY found.id LIMIT {_CANDIDATES_MOST}",
            (job_id, CLOCKS_APART_MS, CLOCKS_APART_MS),
        )
        return tuple(remote_id for (remote_id,) in found)

    def _public_ids(self, wanted: set[int | None]) -> dict[int | None, str]:
        ids = [job_id for job_id in wanted if job_id is not None]
        return dict(self._among("SELECT id, public_id FROM job WHERE id IN ({values})", ids))

    def errors_summary(self, job_id: int) -> list[tuple[str, int]]:
        """Return a job's errors by code (or message, where there is none), the most frequent first."""
        return self.errors_summaries([job_id])[job_id]

    def errors_summaries(self, ids: Sequence[int]) -> dict[int, list[tuple[str, int]]]:
        """Return the errors of several jobs, as `errors_summary` does."""
        found: dict[int, list[tuple[str, int]]] = {job_id: [] for job_id in ids}
        sql = "SELECT id, errors FROM job WHERE id IN ({values}) AND errors IS NOT NULL"
        return found | {job_id: _summary(errors) for job_id, errors in self._among(sql, ids)}

    def unfinished_remotely(self, account: str, seen_before: int) -> list[tuple[JobRow, int]]:
        """Return an account's jobs to request singly, and when each was seen last, longest unseen first.

        These are the jobs whose remote status is unfinished (force-failed and gone ones too) and whose last
        answer was requested before ``seen_before``, milliseconds UTC; 0 is never. Removed ones are left out,
        except for those with an open intent.
        """
        seen = "CASE WHEN seen_at <= :ahead THEN seen_at ELSE 0 END"
        values = {"ahead": self._clock() + SET_BACK_MS, "account": account, "before": seen_before}
        found = self._all(
            f"SELECT {COLUMNS}, {seen} AS seen FROM job INDEXED BY job_unfinished"
            f" WHERE {UNFINISHED_REMOTELY} AND account = :account AND remote_id IS NOT NULL"
            f" AND {seen} < :before AND (removed_at IS NULL OR EXISTS"
            " (SELECT 1 FROM intent WHERE job_id = job.id AND closed_at IS NULL))"
            " ORDER BY seen LIMIT 10000",
            values,
        )
        return [(job_row(values[:-1]), values[-1]) for values in found]

    def shortest_interval_jobs(self, account: str, origin: str) -> list[JobRow]:
        """Return unfinished jobs of an account at one server, with the one of the shortest poll interval.

        These are the youngest, the one whose cancel was requested last, and one that was force-failed; also
        those without a remote id, since a list may show their batch.
        """
        order = {
            "verdict IS NULL AND status = 'cancelling'": (
                "cancel_requested_at IS NULL DESC, cancel_requested_at DESC"
            ),
            "verdict IS NULL": "created_at DESC",
            "verdict IS NOT NULL": "created_at DESC",
        }
        arms = [
            f"SELECT * FROM (SELECT {COLUMNS} FROM job INDEXED BY job_unfinished"
            f" WHERE {UNFINISHED_REMOTELY} AND account = ? AND origin = ? AND gone_at IS NULL AND {which}"
            " AND (removed_at IS NULL OR EXISTS"
            " (SELECT 1 FROM intent WHERE job_id = job.id AND closed_at IS NULL))"
            f" ORDER BY {by} LIMIT 1) AS arm"
            for which, by in order.items()
        ]
        return self._rows(" UNION ALL ".join(arms), (account, origin) * len(arms))

    def unchanged_in_list(self, account: str, origin: str, polls: int, limit: int) -> list[JobRow]:
        """Return unfinished jobs that the list has shown unchanged for so many polls, longest first."""
        return self._rows(
            f"SELECT {COLUMNS} FROM job INDEXED BY job_unfinished WHERE {UNFINISHED_REMOTELY}"
            " AND account = ? AND origin = ? AND remote_id IS NOT NULL AND removed_at IS NULL"
            " AND gone_at IS NULL AND unchanged_polls >= ? ORDER BY unchanged_polls DESC, created_at LIMIT ?",
            (account, origin, polls, limit),
        )

    def _parts(self, ended: Mapping[int, bool]) -> dict[int, dict[str, int]]:
        """Return, by job, how many of its parts are done, are with a worker, and wait for one.

        ``ended``: by job, whether it has; what its workers still hold then counts for nothing.
        """
        if not ended:
            return {}
        found = self._all(
            "SELECT job_id, count(done_at),"
            " sum(CASE WHEN done_at IS NULL AND lease_until >= ? THEN 1 ELSE 0 END), count(*)"
            f" FROM part WHERE job_id IN ({placeholders([*ended])}) GROUP BY job_id",
            (self._clock(), *ended),
        )
        running = {job_id: 0 if ended[job_id] else held for job_id, _, held, _ in found}
        return {
            job_id: {"done": done, "running": running[job_id], "waiting": number - done - running[job_id]}
            for job_id, done, _, number in found
        }

    def _hosts(self, ids: Sequence[int]) -> dict[int, str]:
        """Return, by job, the host of its newest attempt."""
        if not ids:
            return {}
        found = self._all(
            f"SELECT job_id, actor FROM attempt WHERE job_id IN ({placeholders(ids)}) AND fence ="
            " (SELECT max(fence) FROM attempt AS newer WHERE newer.job_id = attempt.job_id)",
            ids,
        )
        return {job_id: actor.rpartition("@")[2] for job_id, actor in found}

    def last_answers(self, ids: Sequence[int]) -> dict[int, int]:
        """Return when a provider last answered for jobs that were submitted from here, 404s apart."""
        sql = (
            "SELECT id, coalesce(not_found_at, seen_at, 0) FROM job"
            " WHERE submit_key IS NOT NULL AND id IN ({values})"
        )
        return dict(self._among(sql, ids))


def _stored(values: Sequence[Any], public_ids: Mapping[int | None, str]) -> dict[str, Any]:
    """Return the attributes of a `JobDetails` that columns hold, by the values of `_DETAILS`."""
    found = dict(zip(_STORED, values, strict=True))
    files = _mapping(found["files"]) or {}
    found["deleted"] = tuple(role for role, file_id in files.items() if file_id is None)
    for attribute, read in _READ:
        found[attribute] = read(found[attribute])
    for attribute in _RELATIVES:
        found[attribute] = public_ids.get(found[attribute])
    return found


# Invalid JSON is left out: it must not hide the rest of the job.


def _json(text: Any) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, TypeError, RecursionError):
        return None


def _mapping(text: Any) -> dict[str, Any] | None:
    value = _json(text)
    return value if isinstance(value, dict) and value else None


def _texts(text: Any) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in (_mapping(text) or {}).items()
        if value is not None
    }


def _dicts(text: Any) -> tuple[dict[str, Any], ...]:
    value = _json(text)
    return tuple(entry for entry in value if isinstance(entry, dict)) if isinstance(value, list) else ()


def _summary(errors: Any) -> list[tuple[str, int]]:
    counted: Counter[str] = Counter()
    for error in _dicts(errors):
        count = error.get("count", 1)
        group = str(error.get("code") or error.get("message") or "error")
        counted[group] += count if isinstance(count, int) else 1
    return counted.most_common()


_READERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.MAPPING: _mapping,
    Kind.TEXTS: _texts,
    Kind.ENTRIES: _dicts,
}
_READ = [(name, _READERS[field.kind]) for name, field in _STORED.items() if field.kind in _READERS]
"""By attribute, how a value is read that is kept as JSON."""
