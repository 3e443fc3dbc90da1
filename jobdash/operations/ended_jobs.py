"""The jobs that have ended lately, by the events in the log: whichever process noticed it."""

from __future__ import annotations

from collections.abc import Collection

from jobdash.domain.job import JobRow
from jobdash.operations.job_lookup import Browser

SCRIPTS = frozenset({"end"})
"""The action of events that scripts write."""
ALL = SCRIPTS | {"finished"}
_MOST = 50
"""Events read at most; more between two calls are not worth single lines."""


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
        last, self._last = self._last, self._newest()
        if self._last == last:
            return ()
        events = [event for event in self._browser.events(limit=_MOST) if event.id > last]
        ended = dict.fromkeys(
            event.job_public_id for event in reversed(events) if event.action in self._actions
        )
        rows = (self._browser.by_public(public) for public in ended if public is not None)
        return tuple(found[0] for found in rows if found and found[0].terminal)
