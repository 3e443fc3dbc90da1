"""Which requests of a batch failed, and which batches came of one file."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from jobdash.store.read_connection import COLUMNS, ReadConnection

if TYPE_CHECKING:  # a list of jobs does without
    from jobdash.domain.failures import FailedRequests
    from jobdash.domain.job import JobRow

_LOOKED_AT = 10_000
"""Failed requests among which the keys of a group are looked for."""


class FailureReads(ReadConnection):
    """What a batch's own screen, ``show`` and ``submit`` ask."""

    def failed_requests(self, job_id: int) -> FailedRequests:
        """Return how many failed requests of a batch are kept, and the first keys of each group."""
        from jobdash.domain.failures import KEYS_OF_A_GROUP, FailedRequests

        keys: dict[tuple[str | None, str], list[str]] = defaultdict(list)
        sql = (
            "SELECT error_type, error, key FROM item INDEXED BY item_outcome"
            " WHERE job_id = ? AND outcome = 'error' ORDER BY seq LIMIT ?"
        )
        for code, message, key in self._all(sql, (job_id, _LOOKED_AT)):
            some = keys[code, message or ""]
            if len(some) < KEYS_OF_A_GROUP:
                some.append(key)
        sql = "SELECT count(*) FROM item INDEXED BY item_outcome WHERE job_id = ? AND outcome = 'error'"
        kept = int(self._value(sql, (job_id,))) if keys else 0
        return FailedRequests(kept, {group: tuple(some) for group, some in keys.items()})

    def submitted_before(self, digest: str, limit: int = 5) -> list[JobRow]:
        """Return the jobs that were submitted from a file of this content, newest first.

        Those that certainly never came to be at their provider are left out.
        """
        return self._rows(
            f"SELECT {COLUMNS} FROM job WHERE raw_status != 'not submitted' AND id IN"
            " (SELECT job_id FROM intent WHERE kind = 'submit' AND choices LIKE ?) ORDER BY id DESC LIMIT ?",
            (f'%"digest": "{digest}"%', limit),
        )
