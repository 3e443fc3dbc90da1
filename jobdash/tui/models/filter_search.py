"""Filtering off the UI thread, on a connection of its own, and its matches while jobs change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobdash.domain.job import JobRow
from jobdash.domain.time import Clock
from jobdash.errors import StoreError
from jobdash.operations.job_lookup import Browser, Interrupted, Scope, Sort, SortKey
from jobdash.tui.models.windows import FoundRows

if TYPE_CHECKING:
    from jobdash.domain.cost import CostTotal

FOUND_MOST = 10_000
"""A filter that finds more is read in pages like any order."""
FIRST_MATCHES = 200
AGAIN_AFTER = 20
"""A search that took T is repeated after this many T, at the earliest."""


@dataclass(frozen=True)
class SearchResult:
    """What a search found: all ids in drawn order, or None when there are too many to hold.

    ``count`` is exact when ``counted``, else the least there are.
    """

    scope: Scope
    sort: Sort
    ids: tuple[int, ...] | None
    count: int
    counted: bool
    took: float
    """Seconds."""


SETTLE_S = 0.025
"""A search begins so long after the last key: of a burst of letters only the last filter is searched for, and
its letters are drawn before any matches."""


class FilterSearch:
    """Runs one search at a time in a thread; a new one stops the one before."""

    def __init__(self, open_browser: Callable[[], Browser], report: Callable[[SearchResult], None]) -> None:
        self._open = open_browser
        self._report = report
        self._pool = ThreadPoolExecutor(1, "jobdash-search")
        self._browser: Browser | None = None
        self._lock = threading.Lock()
        self._newest = 0
        self._newest_sum = 0

    def ask(self, scope: Scope, sort: Sort) -> None:
        """Search a scope; the results go to ``report``, from the thread, the first matches first."""
        self._pool.submit(self._search, self._turn(), scope, sort)

    def locate(self, scope: Scope, sort: Sort, key: SortKey, report: Callable[[int], None]) -> None:
        """Count the rows before a key."""
        self._pool.submit(self._locate, self._turn(), scope, sort, key, report)

    def sum_costs(self, scope: Scope, ids: Sequence[int] | None, report: Callable[[CostTotal], None]) -> None:
        """Sum the costs of some jobs, or of a scope, off the UI thread.

        Not reported when another search, or another sum, is asked for before.
        """
        self._newest_sum += 1
        self._pool.submit(self._sum_costs, self._newest, self._newest_sum, scope, ids, report)

    def stop(self) -> None:
        """Stop what runs; nothing more is reported."""
        self._turn()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _turn(self) -> int:
        with self._lock:
            self._newest += 1
            if self._browser is not None:
                self._browser.interrupt()
            return self._newest

    def _mine(self, turn: int) -> Browser | None:
        with self._lock:
            if turn != self._newest:
                return None
            if self._browser is None:
                self._browser = self._open()
            return self._browser

    def _search(self, turn: int, scope: Scope, sort: Sort) -> None:
        if turn != self._newest:
            return
        time.sleep(SETTLE_S)
        try:
            self._search_in_steps(turn, scope, sort)
        except (Interrupted, StoreError):
            # A newer search took over, or the store went away, which the next poll finds.
            return

    def _search_in_steps(self, turn: int, scope: Scope, sort: Sort) -> None:
        started = time.perf_counter()
        for limit in (FIRST_MATCHES, FOUND_MOST):
            browser = self._mine(turn)
            if browser is None:
                return
            ids = tuple(browser.search(scope, sort, limit))
            took = time.perf_counter() - started
            if len(ids) < limit:
                self._post(turn, SearchResult(scope, sort, ids, len(ids), True, took))
                return
            first = ids if limit == FIRST_MATCHES else None
            self._post(turn, SearchResult(scope, sort, first, len(ids), False, took))
        browser = self._mine(turn)
        if browser is not None:
            count = browser.count(scope)
            self._post(turn, SearchResult(scope, sort, None, count, True, time.perf_counter() - started))

    def _locate(
        self, turn: int, scope: Scope, sort: Sort, key: SortKey, report: Callable[[int], None]
    ) -> None:
        try:
            browser = self._mine(turn)
            place = browser.position(scope, sort, key) if browser is not None else None
        except (Interrupted, StoreError):
            return
        if place is not None and turn == self._newest:
            report(place)

    def _sum_costs(
        self,
        turn: int,
        number: int,
        scope: Scope,
        ids: Sequence[int] | None,
        report: Callable[[CostTotal], None],
    ) -> None:
        if number != self._newest_sum:
            return
        try:
            browser = self._mine(turn)
            if browser is None:
                return
            total = browser.cost_total(scope) if ids is None else browser.cost_total_of(ids)
        except (Interrupted, StoreError):
            return
        if turn == self._newest and number == self._newest_sum:
            report(total)

    def _post(self, turn: int, answer: SearchResult) -> None:
        if turn == self._newest:
            self._report(answer)


class FilterMatches:
    """The result of the last search, kept right while jobs change: each change is matched by itself."""

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
        """Drop the result: nothing is filtered any more."""
        self._answer = None
        self._about = False

    def take(self, answer: SearchResult) -> bool:
        """Keep a result; returns whether it is the first one of its search."""
        before, self._answer = self._answer, answer
        return before is None or (before.scope, before.sort) != (answer.scope, answer.sort)

    def answered(self, scope: Scope) -> bool:
        """Whether the search for a scope has a result, be it empty."""
        return self._answer is not None and self._answer.scope == scope

    def counted(self, scope: Scope) -> bool:
        """Whether all matches of a scope are counted."""
        return self.answered(scope) and self._answer is not None and self._answer.counted

    @property
    def ids(self) -> tuple[int, ...] | None:
        """The jobs that match, where all of them are held; None where they are not."""
        return None if self._answer is None else self._answer.ids

    def count_text(self, scope: Scope) -> str:
        """Return the number of matches: ``214``, ``10,000+`` while it is being counted, ``~214`` when old."""
        if self._answer is None or not self.answered(scope):
            return ""
        return f"{'~' if self._about else ''}{self._answer.count:,}{'' if self._answer.counted else '+'}"

    def follow(
        self, scope: Scope, changed: Collection[JobRow], *, complete: bool
    ) -> tuple[int, FoundRows | None] | None:
        """Match the jobs that changed; returns the new number, and the ids where all are held.

        ``complete``: ``changed`` is everything that changed. None while the search has no result.
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
        """Whether the matches have become approximate, and enough time has passed for another search."""
        took_ms = (self._answer.took if self._answer else 0) * 1000
        return self._about and self._clock() - self._asked_at > AGAIN_AFTER * took_ms
