"""Which local jobs have ended while the dashboard looked on: their scripts write it into the log."""

from __future__ import annotations

from jobdash.domain.job import LOCAL, JobRow
from jobdash.operations.job_lookup import Browser

_MOST = 50
"""Events looked at; so many between two looks are not read one by one by anybody."""


class EndedScripts:
    """Remembers the last event seen, whoever wrote it."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._last = self._newest()

    def _newest(self) -> int:
        events = self._browser.events(limit=1)
        return events[0].id if events else 0

    def since(self) -> tuple[JobRow, ...]:
        """Return the jobs whose scripts have ended since the last call, as they are now."""
        last, self._last = self._last, self._newest()
        if self._last == last:
            return ()
        ended = {
            event.job_public_id
            for event in self._browser.events(limit=_MOST)
            if event.id > last and event.action == "end" and event.account == LOCAL
        }
        rows = (self._browser.by_public(public) for public in sorted(filter(None, ended)))
        return tuple(found[0] for found in rows if found and found[0].terminal)
