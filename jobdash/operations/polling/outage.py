"""The outage of a store that is waited out: reported once, and once when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from jobdash.errors import StoreAway, StoreBusy, StoreError
from jobdash.operations.job_lookup import Browser
from jobdash.store.schema.current import refuse_newer

PASSING = (StoreAway, StoreBusy)
"""Errors of a store that may answer again; all others stay."""
RETRY_MS = 500
"""How long a store that does not answer is left alone."""
_REPORTED_AFTER_S = 3.0
"""A shorter outage is not reported: each other connection has yet to find that it was lost, and is made anew
two seconds later."""


@dataclass
class StoreOutage:
    """Whether a store does not answer now; ``report`` is called when that lasts, and when it ends."""

    report: Callable[[str], None] = lambda _sentence: None
    _since: float | None = field(default=None, init=False)
    """`time.monotonic` of the first error."""
    _is_reported: bool = field(default=False, init=False)

    def begin(self, error: StoreError) -> None:
        """Note that the store does not answer."""
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if not self._is_reported and now - self._since >= _REPORTED_AFTER_S:
            self._is_reported = True
            self.report(f"{error} Waiting until it answers again.")

    def end(self, browser: Browser) -> None:
        """Note that the store answers. Raises `StoreTooNew` when it was upgraded during the outage."""
        if self._since is None:
            return
        refuse_newer(browser.location, browser.schema_version())
        self._since = None
        if self._is_reported:
            self._is_reported = False
            self.report("The store answers again.")
