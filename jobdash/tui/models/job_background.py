"""What is known of a job besides its row: its errors, and the jobs it is related to."""

from __future__ import annotations

from jobdash.domain.describe.job_text import waits_for_script
from jobdash.domain.describe.result_text import relatives_words
from jobdash.domain.job import JobRow
from jobdash.operations.backends.registry import backend_of
from jobdash.operations.job_lookup import Browser

_JOBS_KEPT = 64


class JobBackground:
    """Errors and relatives of the last few jobs, kept so that moving about reads nothing."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._known: dict[tuple[int, int], tuple[list[tuple[str, int]], str]] = {}

    def of(self, row: JobRow) -> tuple[list[tuple[str, int]], str]:
        """Return a job's errors, and what it was sent again from or as."""
        key = (row.id, row.revision)
        if key not in self._known:
            if len(self._known) >= _JOBS_KEPT:
                self._known.clear()
            wrong = row.failed or row.error or waits_for_script(row)
            errors = backend_of(row).error_counts(self._browser, row) if wrong else []
            self._known[key] = errors, relatives_words(*self._browser.relatives(row.id))
        return self._known[key]
