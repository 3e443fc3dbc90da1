"""The jobs that have ended lately, by the events in the log: whichever process noticed it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from jobdash.domain.job import Event, JobRow
from jobdash.operations.job_lookup import Browser

SCRIPTS = frozenset({"end"})
"""The action of events that scripts write."""
ALL = SCRIPTS | {"finished"}
_PAGE = 200
"""Events read at once."""


class EndedJobs:
    """Finds the jobs that have ended since the last call."""

    def __init__(self, browser: Browser, actions: Collection[str]) -> None:
        """``actions`` are those of the events that count: `SCRIPTS` or `ALL`."""
        self._browser = browser
        self._actions = actions
        self._last = self._newest()
        self._to_report: list[JobRow] = []

    def _newest(self) -> int:
        events = self._browser.events(limit=1)
        return events[0].id if events else 0

    def since(self) -> tuple[JobRow, ...]:
        """Return these jobs as they are now, in the order in which they ended."""
        events = self._events()
        ended = [event.job_public_id for event in events if event.action in self._actions]
        rows = [self._browser.by_public(public) for public in dict.fromkeys(ended) if public is not None]
        if events:  # behind what may fail, and up to those that were read: more may have come meanwhile
            self._last = events[-1].id
        return tuple(found[0] for found in rows if found and found[0].terminal)

    def report(self, on_ended: Callable[[JobRow], None]) -> None:
        """Call back with each of these jobs; one whose callback raises an error comes with the next call."""
        self._to_report += self.since()
        while self._to_report:
            on_ended(self._to_report[0])
            del self._to_report[0]

    def _events(self) -> list[Event]:
        """Return all events since the last call, oldest first."""
        found: list[Event] = []
        before = None
        while page := self._browser.events(limit=_PAGE, before_id=before):
            found += [event for event in page if event.id > self._last]
            before = page[-1].id
            if before <= self._last:
                break
        return found[::-1]
