"""What a filter found, kept right while jobs change: changes are matched singly, a search seldom repeated."""

from __future__ import annotations

from collections.abc import Collection

from jobdash.domain.job import JobRow
from jobdash.domain.time import Clock
from jobdash.operations.job_lookup import Browser, Scope
from jobdash.tui.filter_search import AGAIN_AFTER, SearchResult
from jobdash.tui.row_window import FoundRows


class FilterMatches:
    """The answer of the last search, and what has come of it since."""

    def __init__(self, browser: Browser, clock: Clock) -> None:
        self._browser = browser
        self._clock = clock
        self._answer: SearchResult | None = None
        self._about = False
        self._asked_at = 0

    def asked(self) -> None:
        """Note that a search begins now."""
        self._asked_at = self._clock()
        self._about = False

    def clear(self) -> None:
        """Forget what was found: nothing is filtered any more."""
        self._answer = None
        self._about = False

    def take(self, answer: SearchResult) -> bool:
        """Keep an answer; returns whether it is the first one to its question."""
        before, self._answer = self._answer, answer
        return before is None or (before.scope, before.sort) != (answer.scope, answer.sort)

    def answered(self, scope: Scope) -> bool:
        """Whether the search for a scope has found anything yet, be it nothing."""
        return self._answer is not None and self._answer.scope == scope

    def told(self, scope: Scope) -> str:
        """Return the number of matches: ``214``, ``10,000+`` while it is being counted, ``~214`` when old."""
        if self._answer is None or not self.answered(scope):
            return ""
        return f"{'~' if self._about else ''}{self._answer.count:,}{'' if self._answer.counted else '+'}"

    def follow(
        self, scope: Scope, changed: Collection[JobRow], *, complete: bool
    ) -> tuple[int, FoundRows | None] | None:
        """Match the jobs that changed; returns the new number, and the ids where all are held.

        ``complete`` says that ``changed`` is everything that changed. None while the search is not answered.
        """
        answer = self._answer
        if answer is None or not self.answered(scope):
            return None
        if answer.ids is None:
            self._about = True
            return answer.count, None
        touched = {row.id for row in changed}
        matching = {job_id for job_id in touched if self._browser.matches(job_id, scope)}
        kept = [job_id for job_id in answer.ids if job_id not in touched or job_id in matching]
        new = sorted(matching.difference(kept), reverse=True)
        ids = (*new, *kept)
        self._about = self._about or bool(new) or not complete
        self._answer = SearchResult(answer.scope, answer.sort, ids, len(ids), answer.counted, answer.took)
        return len(ids), FoundRows(ids)

    def wants_search(self) -> bool:
        """Whether what is known is only about right, and looking again is not too dear."""
        took_ms = (self._answer.took if self._answer else 0) * 1000
        return self._about and self._clock() - self._asked_at > AGAIN_AFTER * took_ms
