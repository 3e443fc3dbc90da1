"""The request to fetch the results of jobs, and what fetching one of them came to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jobdash.domain.job import JobRow
from jobdash.domain.plan import ActionResult
from jobdash.domain.results import ResultCounts, ResultFormat

if TYPE_CHECKING:
    from jobdash.operations.context import OperationContext
    from jobdash.operations.job_lookup import Browser, SharedBrowser

_JOINS_AT_ONCE = 2
"""Joining keeps one processor busy, and holds all keys: more of them at once would end no sooner."""


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """Where the results of jobs are written, and what they are read with."""

    folder: Path
    open_browser: Callable[[], Browser]
    """Opens a connection for the thread that reads."""
    work: OperationContext
    partial: bool = False
    """Unfinished jobs too: what there is so far."""
    format: ResultFormat = ResultFormat.JSONL
    """How a batch's results are written, besides JSON lines."""
    on_progress: Callable[[JobRow, int], None] = lambda _row, _size: None
    """Called with a batch and how many bytes of it are here, from any thread."""
    record: bool = True
    """Whether the store keeps that they were fetched, and where they are; not those in a temporary folder."""
    unless_fetched: bool = False
    """Leave a batch alone that another process has fetched meanwhile, to whichever folder."""
    merged: bool = False
    """The results of a batch and of its retries in one, too."""
    joins: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_JOINS_AT_ONCE))
    """Held while results are joined, or written in another format."""
    shared: SharedBrowser | None = None
    """A connection for the short reads of all jobs of one fetch."""

    def lend_browser(self) -> AbstractContextManager[Browser]:
        """Lend a connection for a short read."""
        return closing(self.open_browser()) if self.shared is None else self.shared.lend()


@dataclass(frozen=True, slots=True)
class FetchedResults:
    """What fetching one job's results came to."""

    row: JobRow
    result: ActionResult
    reason: str
    file: Path | None = None
    items: int = 0
    """How many results the file has."""
    partial: bool = False
    """The job was not done to its end: cancelled, failed, still running, or some of it is missing."""
    refused: bool = False
    """A skip that the person has to see (exit 1)."""
    in_use: bool = False
    """It failed as another fetch is at it, and has not ended for long."""
    folder: Path | None = None
    """A batch's: where its files are, of which ``file`` is one."""
    counts: ResultCounts | None = None
    """A batch's results by outcome."""
    lacking: int = 0
    """How many of the answers that the provider counts are missing, after two equal downloads."""
