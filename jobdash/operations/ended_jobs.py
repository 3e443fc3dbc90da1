"""The jobs that have ended lately, by the events in the log: whichever process noticed it."""

from __future__ import annotations

from collections.abc import Collection

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

    def _newest(self) -> int:
        events = self._browser.events(limit=1)
        return events[0].id if events else 0

    def since(self) -> tuple[JobRow, ...]:
        """Return these jobs as they are now, in the order in which they ended."""
        ended = [event.job_public_id for event in self._events() if event.action in self._actions]
        rows = (self._browser.by_public(public) for public in dict.fromkeys(ended) if public is not None)
        return tuple(found[0] for found in rows if found and found[0].terminal)

    def _events(self) -> list[Event]:
        """Return all events since the last call, oldest first."""
        found: list[Event] = []
        before = None
        while page := self._browser.events(limit=_PAGE, before_id=before):
            found += [event for event in page if event.id > self._last]
            before = page[-1].id
            if before <= self._last:
                break
        if found:
            self._last = found[0].id  # of those that were read: more may have come meanwhile
        return found[::-1]
