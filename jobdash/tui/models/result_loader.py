"""The fetched results of a batch on its screen: indexed and searched in threads, read page by page."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

from jobdash.domain.failures import FailureGroup
from jobdash.domain.job import JobDetails
from jobdash.errors import JobdashError, StoreError
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.person import is_elsewhere
from jobdash.operations.results.item_source import FetchedItems
from jobdash.operations.results.items import ItemTexts, ResultFiles, item_texts, result_files
from jobdash.tui.terminal.app import display_error


class _Loaded(NamedTuple):
    """Results that were opened."""

    files: ResultFiles
    items: FetchedItems
    failures: list[FailureGroup]


class ResultLoader:
    """Opens the results of one batch, as often as they change; used by the UI thread."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._key: tuple[str | None, int | None] = (None, None)
        self._stop = CancelToken()
        self._loaded: _Loaded | None = None
        self.items: FetchedItems | None = None
        """The requests, all or those that were searched for; None while there is no index."""
        self.loading = False
        self.progress = (0, 0)
        """The bytes that are indexed, and how many there are; written by the thread that indexes."""
        self.error = ""
        """Why there is no index of results that were fetched."""

    @property
    def failures(self) -> list[FailureGroup]:
        """The errors of the fetched results, grouped."""
        return [] if self._loaded is None else self._loaded.failures

    def turn_to(self, job: JobDetails) -> bool:
        """Whether the results of a job have to be loaded again: others were fetched, or they were deleted."""
        key = (job.results_folder, job.row.fetched_at)
        if key == self._key:
            return False
        self.close()
        self._key, self.progress, self.error = key, (0, 0), ""
        if is_elsewhere(job.fetched_on):
            self.error = f"its results were fetched on {job.fetched_on}"
            return False
        self.loading = job.results_folder is not None
        return self.loading

    async def load(self, job: JobDetails) -> None:
        """Open the index of a job's results, which is made first where it is missing or old."""
        stop = self._stop = CancelToken()
        try:
            loaded = await asyncio.to_thread(self._load, job, stop)
        except Exception as error:  # noqa: BLE001 - what one batch was answered must not end the dashboard
            if not stop.is_set():
                known = isinstance(error, JobdashError)
                self.loading, self.error = False, str(error) if known else display_error(error)
            return
        if stop.is_set():
            if loaded is not None:
                loaded.items.close()
            return
        self.loading, self._loaded = False, loaded
        if loaded is None:
            self.error = f"its results are not in {job.results_folder} any more"
        else:
            self.items = loaded.items

    def _load(self, job: JobDetails, stop: CancelToken) -> _Loaded | None:
        files = result_files(job, self._store)
        if files is None:
            return None
        items = FetchedItems.open(files, self._report, stop)
        return _Loaded(files, items, items.failures())

    def _report(self, read: int, size: int) -> None:
        self.progress = (read, size)

    async def search(self, text: str) -> bool:
        """Narrow the requests to those with a text; returns False where the results changed meanwhile."""
        loaded = self._loaded
        if loaded is None:
            return False
        try:
            items = await asyncio.to_thread(loaded.items.narrowed, text)
        except StoreError:  # its folder is gone, or was fetched anew
            return False
        if self._loaded is not loaded:
            return False
        self.items = items
        return True

    async def texts(self, seq: int) -> ItemTexts:
        """Read a request and its answer; raises OSError, and StoreError when they are not here any more."""
        if self._loaded is None:
            raise StoreError("its results are not here any more")
        files, items, _ = self._loaded
        return await asyncio.to_thread(item_texts, files, *items.extents(seq))

    def close(self) -> None:
        """Close the results, and cancel indexing."""
        self._stop.set()
        if self._loaded is not None:
            self._loaded.items.close()
        self._loaded = self.items = None
        self.loading = False
