"""Batches and files of an account."""

from __future__ import annotations

import random
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate

from jobdash.demo.emulator import timeline
from jobdash.demo.emulator.batch_plan import BatchFailure, BatchPlan, BatchScript, Phase, Switches
from jobdash.demo.emulator.timeline import BatchSnapshot, Speed

INPUT_TOKENS, OUTPUT_TOKENS = 20, 30
"""Tokens of each request, and of its answer."""


@dataclass(frozen=True, slots=True)
class BatchRequests:
    """The requests of a batch: their number, and their ids unless those are simply counted."""

    count: int
    ids: tuple[str, ...] | None = None
    metadata: tuple[object, ...] | None = None
    """What came with each inline request of Gemini, and goes back with its response."""

    def id(self, index: int) -> str:
        """The `custom_id` or `key` of one request."""
        return self.ids[index] if self.ids is not None else f"request-{index + 1}"


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """The outcome of one request: a failure, an answer (no failure), or nothing before the window closed."""

    index: int
    failure: BatchFailure | None = None
    expired: bool = False
    cut_off: bool = False
    """Its answer ends at its greatest length."""
    key: str | None = None
    """Another key than its request's."""


@dataclass(slots=True)
class EmulatedBatch:
    """One batch; all that ever changes is when its cancel was asked for."""

    id: str
    number: int
    created: float
    window: float
    script: BatchScript
    requests: BatchRequests
    input_file: str | None
    cancelled: float | None = None

    @property
    def plan(self) -> BatchPlan:
        """How it will go."""
        return self.script.plan

    @property
    def expires(self) -> float:
        """When its window closes."""
        own = self.plan.timing.expires_after
        return self.created + (self.window if own is None else own)

    def at(self, now: float, switches: Switches, speed: Speed) -> BatchSnapshot:
        """Its state at that time."""
        created = self.created
        snapshot = timeline.snapshot_at(
            self.plan,
            total=self.requests.count,
            created=self.created,
            window=self.expires - self.created,
            cancelled=None if self.cancelled is None else speed.planned(self.cancelled, created),
            cancel=switches.cancel,
            now=speed.planned(now, created),
        )
        return speed.in_real_time(snapshot, created)

    def outcomes(self, snapshot: BatchSnapshot, *, shuffled: bool = False) -> Iterator[RequestOutcome]:
        """The outcomes of the requests that have one, in the order of the result file."""
        total = self.requests.count if snapshot.phase is Phase.EXPIRED else snapshot.processed
        order = list(range(total))
        if shuffled:
            # Not for secrets: the order only has to be another one, and the same in every run.
            random.Random(self.id).shuffle(order)  # noqa: S311
        for index in order:
            if index < snapshot.processed:
                yield RequestOutcome(index, self._failure(index), cut_off=self._cut_off(index))
            else:
                yield RequestOutcome(index, expired=True)

    def _cut_off(self, index: int) -> bool:
        total = self.requests.count
        failed_before = timeline.failed_among(index, timeline.failing_in(self.plan, total), total)
        return index - failed_before < self.plan.cut_off

    def answers(self, snapshot: BatchSnapshot, switches: Switches) -> Iterator[RequestOutcome]:
        """The outcomes as the result files have them."""
        answered = 0
        for outcome in self.outcomes(snapshot, shuffled=switches.shuffled):
            answer = outcome.failure is None and not outcome.expired
            answered += answer
            if switches.odd_keys and answer and answered <= len(_ODD):
                yield from _ODD[answered - 1](outcome)
            else:
                yield outcome

    def _failure(self, index: int) -> BatchFailure | None:
        total = self.requests.count
        failing = timeline.failing_in(self.plan, total)
        if not timeline.fails(index, failing, total):
            return None
        nth = timeline.failed_among(index, failing, total)
        ends = list(accumulate(failure.count for failure in self.plan.failures))
        return self.plan.failures[bisect_right(ends, nth)]


_ODD: tuple[Callable[[RequestOutcome], tuple[RequestOutcome, ...]], ...] = (
    lambda outcome: (outcome, outcome),
    lambda outcome: (replace(outcome, key="nobody-asked"),),
    lambda _outcome: (),
)
"""What becomes of the first answers where keys are odd."""


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Some batches, and whether older ones follow."""

    batches: tuple[EmulatedBatch, ...]
    has_more: bool


class BatchIndex:
    """Batches by age. Locked, because tests and the demo seed it from another thread than the server's."""

    def __init__(self) -> None:
        self._by_id: dict[str, EmulatedBatch] = {}
        self._order: list[EmulatedBatch] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, batch: EmulatedBatch) -> None:
        """Put a batch in its place."""
        with self._lock:
            self._by_id[batch.id] = batch
            insort(self._order, batch, key=_age)

    def get(self, batch_id: str) -> EmulatedBatch | None:
        """The batch of that id."""
        return self._by_id.get(batch_id)

    def remove(self, batch_id: str) -> bool:
        """Forget a batch; False if there is none of that id."""
        with self._lock:
            batch = self._by_id.pop(batch_id, None)
            if batch is not None:
                del self._order[self._place(batch)]
            return batch is not None

    def page(self, limit: int, *, after: EmulatedBatch | None = None) -> BatchPage:
        """The `limit` newest batches that are older than `after`."""
        with self._lock:
            end = len(self._order) if after is None else self._place(after)
            start = max(0, end - limit)
            return BatchPage(tuple(reversed(self._order[start:end])), has_more=start > 0)

    def _place(self, batch: EmulatedBatch) -> int:
        return bisect_left(self._order, _age(batch), key=_age)


def _age(batch: EmulatedBatch) -> tuple[float, int]:
    """The sort key of a batch; the number distinguishes those of the same second."""
    return batch.created, batch.number


class Role(StrEnum):
    """What a file is to its batch."""

    INPUT = "input"
    OUTPUT = "output"
    ERRORS = "errors"


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """An uploaded file."""

    id: str
    name: str
    created: float
    content: bytes
    purpose: str = ""
    expires: float | None = None
    """When it is deleted; None for never."""
    mime_type: str = ""


@dataclass(frozen=True, slots=True)
class BatchFile:
    """A file that follows from a batch. It may not exist yet: the batch decides when it is asked for."""

    id: str
    batch: EmulatedBatch
    role: Role


EmulatedFile = UploadedFile | BatchFile


class FileStore:
    """Files by id, in the order they were made."""

    def __init__(self) -> None:
        self._files: dict[str, EmulatedFile] = {}

    def add(self, file: EmulatedFile) -> None:
        """Keep a file."""
        self._files[file.id] = file

    def get(self, file_id: str) -> EmulatedFile | None:
        """The file of that id, unless it was deleted."""
        return self._files.get(file_id)

    def remove(self, file_id: str) -> None:
        """Delete a file; its batch still names it, as at the providers."""
        self._files.pop(file_id, None)

    def newest_first(self, *, after: str | None = None) -> Iterator[EmulatedFile]:
        """All files made before the file `after`; all, if there is none of that id."""
        files = list(self._files.values())
        if after in self._files:
            files = files[: list(self._files).index(after)]
        return reversed(files)
