"""Opening a store for reading, and finding the job that a word means."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import NamedTuple

from jobdash.domain.job import JobDetails, JobRow
from jobdash.domain.text import clean, encodable
from jobdash.domain.time import Clock, system_clock
from jobdash.errors import JobAmbiguous
from jobdash.store.bootstrap import ensure_store, read_only_reason, refuse_missing
from jobdash.store.location import StoreLocation
from jobdash.store.queries.pages import Counts
from jobdash.store.reader import Interrupted, Reader
from jobdash.store.sort_orders import SORT_ORDERS, Scope, Sort, SortKey

Browser = Reader
"""All reads of the faces; see `jobdash.store.reader`."""

SHORTEST_PREFIX = 3
_NAMED_IN_AMBIGUITY = 5

__all__ = [
    "SORT_ORDERS",
    "Browser",
    "Counts",
    "Interrupted",
    "JobListing",
    "OpenedStore",
    "Scope",
    "SharedBrowser",
    "Sort",
    "SortKey",
    "known_job",
    "open_browser",
    "read_only_reason",
    "refuse_missing",
    "waiting_removals",
]


class OpenedStore(NamedTuple):
    """A store that was opened, and why it cannot be written (None when it can)."""

    browser: Browser
    read_only: str | None


_PAGE = 500


class JobListing(NamedTuple):
    """Jobs in an order; read page by page, so that a million of them never stand in memory."""

    scope: Scope
    sort: Sort
    limit: int | None = None

    def rows(self, browser: Browser) -> Iterator[JobRow]:
        """Yield the rows, in order."""
        return islice(self._all(browser), self.limit)

    def jobs(self, browser: Browser) -> Iterator[JobDetails]:
        """Yield everything known of each job, in order."""
        pages = browser.iter_ids(self.scope, self.sort, self._page_size)
        ids = islice(chain.from_iterable(pages), self.limit)
        while some := list(islice(ids, _PAGE)):
            jobs = browser.jobs(some)
            yield from (jobs[job_id] for job_id in some if job_id in jobs)

    def _all(self, browser: Browser) -> Iterator[JobRow]:
        behind = None
        while rows := browser.page(self.scope, self.sort, behind, self._page_size):
            yield from rows
            behind = browser.key_of(rows[-1], self.sort)

    @property
    def _page_size(self) -> int:
        return min(_PAGE, self.limit or _PAGE)


def open_browser(
    location: StoreLocation,
    clock: Clock = system_clock,
    notice: Callable[[str], None] | None = None,
    read_only: str | None = None,
) -> OpenedStore:
    """Open a store for reading, making or upgrading it first; raises StoreError.

    ``notice`` is given a sentence when files of an earlier store had to be moved away. ``read_only`` is why
    it must not be written, though it could be: it has to be there then.
    """
    reason = ensure_store(location, read_only=read_only is not None, notice=notice)
    return OpenedStore(Browser(location, clock), read_only or reason)


class SharedBrowser:
    """One connection for many short reads of several threads, one after the other; opened for the first."""

    def __init__(self, open_one: Callable[[], Browser]) -> None:
        self._open = open_one
        self._lock = threading.Lock()
        self._browser: Browser | None = None
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[Browser]:
        """Lend it for one read; raises `Interrupted` once it is closed."""
        with self._lock:
            if self._closed:  # the reader's fetch was cancelled, which ends no thread
                raise Interrupted
            self._browser = self._browser or self._open()
            yield self._browser

    def close(self) -> None:
        """Close the connection, if there is one; no other is opened."""
        with self._lock:
            self._closed = True
            if self._browser is not None:
                self._browser.close()
                self._browser = None


def waiting_removals(browser: Browser) -> int:
    """Return how many removals wait for their provider to confirm a cancel."""
    from jobdash.store.records import IntentKind

    return len(browser.open_intents(kind=IntentKind.REMOVE))


def known_job(browser: Browser, word: str) -> JobRow | None:
    """Return the job a word names: an id, a provider's id, or a unique prefix (≥ 3) of an id.

    None when nothing fits; raises `JobAmbiguous` when several do.
    """
    text = encodable(word.strip())
    found = browser.by_remote(text)
    if not found and len(text) >= SHORTEST_PREFIX:
        found = browser.by_public(text)
    living = [row for row in found if row.removed_at is None] or found
    if len(living) > 1:
        some = ", ".join(row.public_id for row in living[:_NAMED_IN_AMBIGUITY])
        more = ", …" if len(living) > _NAMED_IN_AMBIGUITY else ""
        raise JobAmbiguous(f"{clean(text, 80)} is ambiguous: {some}{more}")
    return living[0] if living else None
