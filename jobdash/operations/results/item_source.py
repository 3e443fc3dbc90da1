"""Where the items of a job are read from: the store, or the index of a batch's fetched results."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Protocol, Self

from jobdash.domain.failures import FailureGroup
from jobdash.domain.items import BATCH_OUTCOMES, ItemErrors, ItemRow, ItemStatus
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.job_lookup import Browser
from jobdash.operations.results.items import OnBytes, ResultFiles, open_index
from jobdash.store.result_index import Extent, Places, ResultIndex

_PAGE = 1_000


class ItemSource(Protocol):
    """The items of one job, all or those of one outcome; every method raises StoreError."""

    outcomes: tuple[ItemStatus, ...]
    """What its items may come to."""

    def counts(self) -> Mapping[ItemStatus, int]:
        """Return how many items came to each outcome."""

    def at(self, outcome: ItemStatus | None, offset: int, total: int, limit: int) -> list[ItemRow]:
        """Return up to ``limit`` items from ``offset`` of ``total`` on, without reading those before."""

    def position(self, outcome: ItemStatus | None, seq: int) -> int:
        """Return how many items (of one outcome) are before a ``seq``."""

    def errors(self) -> ItemErrors:
        """Return the errors, grouped, the most frequent first."""

    def walk(self, outcome: ItemStatus | None) -> Iterator[ItemRow]:
        """Yield the items (of one outcome) in their order, page by page."""


class StoredItems:
    """The items that a store keeps: those of a script, and the failed requests a provider has reported."""

    outcomes: tuple[ItemStatus, ...] = (
        ItemStatus.OK,
        ItemStatus.ERROR,
        ItemStatus.SKIPPED,
        ItemStatus.WAITING,
    )

    def __init__(self, browser: Browser, job_id: int) -> None:
        self._browser = browser
        self._job_id = job_id

    def counts(self) -> Mapping[ItemStatus, int]:
        """Return how many items came to each outcome."""
        return self._browser.item_counts(self._job_id)

    def at(self, outcome: ItemStatus | None, offset: int, total: int, limit: int) -> list[ItemRow]:
        """Return up to ``limit`` items from ``offset`` of ``total`` on, without reading those before."""
        return self._browser.items_at(self._job_id, outcome, offset, total, limit)

    def position(self, outcome: ItemStatus | None, seq: int) -> int:
        """Return how many items (of one outcome) are before a ``seq``; of one outcome it counts."""
        return self._browser.item_position(self._job_id, outcome, seq)

    def errors(self) -> ItemErrors:
        """Return the errors, grouped by type and message."""
        return self._browser.item_errors(self._job_id)

    def walk(self, outcome: ItemStatus | None) -> Iterator[ItemRow]:
        """Yield the items (of one outcome) in their order, page by page."""
        after = -1
        while page := self._browser.items(self._job_id, outcome, after, _PAGE):
            yield from page
            after = page[-1].seq


class FetchedItems:
    """The requests of a batch whose results are here, all or those with a text; see `ResultIndex.places`."""

    outcomes: tuple[ItemStatus, ...] = BATCH_OUTCOMES

    def __init__(self, index: ResultIndex, places: Places) -> None:
        self._index = index
        self._places = places

    @classmethod
    def open(
        cls, files: ResultFiles, on_bytes: OnBytes | None = None, stop: CancelToken | None = None
    ) -> Self:
        """Open fetched results; see `open_index`. Raises NotIndexed and StoreError."""
        index = open_index(files, on_bytes, stop)
        try:
            return cls(index, index.places())
        except BaseException:
            index.close()
            raise

    def narrowed(self, text: str) -> FetchedItems:
        """Return those of all requests that have a text; reads on a connection of its own, in any thread."""
        with ResultIndex(self._index.path) as index:
            return FetchedItems(self._index, index.places(text))

    def close(self) -> None:
        """Close the index, also for those that were narrowed from it."""
        self._index.close()

    def counts(self) -> Mapping[ItemStatus, int]:
        """Return how many requests came to each outcome."""
        return {outcome: len(self._places[outcome]) for outcome in self.outcomes}

    def at(self, outcome: ItemStatus | None, offset: int, total: int, limit: int) -> list[ItemRow]:
        """Return up to ``limit`` requests from ``offset`` of ``total`` on, without reading those before."""
        return self._index.items(self._places[outcome][offset : offset + limit])

    def position(self, outcome: ItemStatus | None, seq: int) -> int:
        """Return how many requests (of one outcome) are before a ``seq``."""
        return bisect_left(self._places[outcome], seq)

    def errors(self) -> ItemErrors:
        """Return the errors, grouped by code and message."""
        return self._index.errors()

    def failures(self) -> list[FailureGroup]:
        """Return the errors of all requests, grouped, with the keys of the first of each."""
        return self._index.failures()

    def walk(self, outcome: ItemStatus | None) -> Iterator[ItemRow]:
        """Yield the requests (of one outcome) in their order, page by page."""
        places = self._places[outcome]
        for start in range(0, len(places), _PAGE):
            yield from self._index.items(places[start : start + _PAGE])

    def extents(self, seq: int) -> tuple[Extent | None, Extent | None]:
        """Return where a request, and its answer, are in their files."""
        return self._index.extents(seq)
