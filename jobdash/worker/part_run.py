"""One worker at one part of a function's job, from its claim to its end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Container, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from jobdash.domain.text import clean
from jobdash.errors import StoreAway, StoreBusy, StoreFull
from jobdash.store.bootstrap import open_for_worker
from jobdash.store.dialects.base import BUSY_TIMEOUT_MS
from jobdash.store.leases.lease import ItemWrite, LeaseRefused
from jobdash.store.leases.part_lease import PartItem, PartLease
from jobdash.store.leases.parts import MOST_LOST, ClaimedPart, PartKey, claim_part
from jobdash.store.location import StoreLocation
from jobdash.store.owner import current_owner
from jobdash.worker import script
from jobdash.worker.cancellation import Token
from jobdash.worker.exceptions import JobCancelled
from jobdash.worker.functions import JobFunction
from jobdash.worker.item_encoding import detail_json, kept_error, sentence_of
from jobdash.worker.recorder import PATIENCE_MS, Heartbeat, Recorder
from jobdash.worker.store_connection import exclusive, while_busy

T = TypeVar("T")


_AWAY_S = 1.0
"""Seconds between two attempts while the store does not answer, or its disk is full."""


LOST_WORDS = (
    f"{MOST_LOST} workers in a row were lost at it (killed, out of memory, or cut off); only a retry does it"
    " again"
)


class PartEnd(StrEnum):
    """The result of a delivered key."""

    STALE = "stale"
    """The key was of an earlier claim, or of a function that this worker does not have."""
    DONE = "done"
    GIVEN_BACK = "given back"
    """The worker is about to end: another takes the rest."""
    CANCELLED = "cancelled"
    FAILED = "failed"
    """The job failed with it: too many of its items did."""
    LOST = "lost"
    """The lease was lost: the job was failed, removed or retried, the part taken over, the store gone."""


class PartReport(NamedTuple):
    """The result of a delivered key, for the worker's log."""

    end: PartEnd
    job: str = ""
    """``resize (k3f9x2ab), part 3``."""
    words: str = ""


class PartRecorder(Recorder):
    """Writes the outcomes of a part; a store that is away is waited for as long as the worker runs."""

    def __init__(self, token: Token, draining: threading.Event) -> None:
        super().__init__(token)
        self._draining = draining

    def claim(
        self,
        location: StoreLocation,
        key: PartKey,
        lease_ms: int,
        functions: Container[str],
        alone: Callable[[], bool],
    ) -> ClaimedPart | None:
        """Claim the part; None when the key is of no claim any more, or not for this worker.

        Raises `StoreError`.
        """
        with exclusive():
            connection = open_for_worker(location)
            try:
                owner, actor = current_owner(), script.user_at_host()
                found = while_busy(
                    lambda: claim_part(connection, key, owner, actor, lease_ms, functions, alone)
                )
            except BaseException:
                connection.close()
                raise
            if found is None:
                connection.close()
                return None
            found.lease.connection.set_busy_timeout(PATIENCE_MS)
            self._hold(location, found.lease, lease_ms)
            return found

    def next_items(self) -> list[PartItem]:
        """Return the next items without an outcome; empty after the last."""
        return self._with_part(PartLease.next_items) or []

    def failed_count(self) -> int:
        """Return how many of the job's items have failed, on all workers."""
        return self._with_part(PartLease.failed_count) or 0

    def write_outcomes(self) -> None:
        """Write what was done."""
        self._with_part(self._write)

    def end_part(self, *, done: bool) -> None:
        """Write the rest and release the part."""
        self._with_part(lambda lease: self._end(lease, lambda: lease.end_part(done=done)))

    def fail_job(self, error: str) -> None:
        """Write the rest, and let the job fail."""
        self._with_part(lambda lease: self._end(lease, lambda: lease.finish("failed", "failed", error)))

    def _end(self, lease: PartLease, end: Callable[[], object]) -> None:
        lease.connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        self._write(lease)
        end()
        self.close()

    def _with_part(self, do: Callable[[PartLease], T]) -> T | None:
        """Do something with the lease; None without one. Raises `LeaseRefused` when it is lost."""
        while True:
            try:
                with self._use_lease() as lease:
                    return while_busy(lambda: do(lease)) if isinstance(lease, PartLease) else None
            except (StoreBusy, StoreAway, StoreFull):
                if self._draining.wait(_AWAY_S):
                    raise

    def _give_up(self, why: str, then: str = "") -> None:
        """End the part: what is not recorded, another worker does again."""
        self._unwritten.clear()
        self.close()
        self._token.lose(why)


def run_part(
    text: str,
    functions: Mapping[str, JobFunction[..., Any]],
    location: StoreLocation,
    lease_ms: int,
    draining: threading.Event,
    alone: Callable[[], bool] = lambda: True,
) -> PartReport:
    """Claim the part that a key names and do its items, until it ends or ``draining`` is set.

    ``alone`` is called for a part at which workers were lost: whether this one does nothing else until then.

    Never raises for what is wrong with one part or item; `StoreError` when the store cannot be used.
    """
    key = PartKey.read(text)
    if key is None:
        return PartReport(PartEnd.STALE)
    if draining.is_set():
        return PartReport(PartEnd.GIVEN_BACK)
    token = Token()
    recorder = PartRecorder(token, draining)
    claimed = recorder.claim(location, key, lease_ms, functions, alone)
    if claimed is None:
        return PartReport(PartEnd.STALE)
    token.job_label = f"job {claimed.name} ({claimed.public_id})"
    heartbeat = Heartbeat(recorder, 0.0, lease_ms / 1000, lambda: None)
    heartbeat.start()
    try:
        function = functions[claimed.function]
        end, words = _PartRun(recorder, function, token, draining, claimed.lost).run()
    finally:
        heartbeat.stop()
        recorder.close()
    return PartReport(end, f"{claimed.name} ({claimed.public_id}), part {claimed.number + 1}", words)


class _PartRun:
    """The loop over a part's items."""

    def __init__(
        self,
        recorder: PartRecorder,
        function: JobFunction[..., Any],
        token: Token,
        draining: threading.Event,
        lost: int,
    ) -> None:
        self._recorder = recorder
        self._function = function
        self._token = token
        self._draining = draining
        self._left_over = False
        self._lost = lost
        self._given_up = ""

    def run(self) -> tuple[PartEnd, str]:
        """Do the items; return what became of the part, and words for the log."""
        try:
            end = self._run()
        except LeaseRefused as refused:
            return PartEnd.LOST, str(refused)
        lost = self._token.lost
        return end if lost is None else (PartEnd.LOST, lost)

    def _run(self) -> tuple[PartEnd, str]:
        for item in self._items():
            error = self._do(item) if self._lost < MOST_LOST else self._give_up(item)
            self._lost = 0
            # Before the next one begins: while the store is away, more items would only be done for nothing.
            self._recorder.write_outcomes()
            if error is not None and self._too_many():
                most = self._function.max_errors
                words = error if not most else f"more than {most:,} items failed, the last with {error}"
                self._recorder.fail_job(words)
                return PartEnd.FAILED, words
        if self._recorder.cancelled_elsewhere:
            return PartEnd.CANCELLED, ""
        stopped = self._token.stopped
        self._recorder.end_part(done=not stopped and not self._left_over)
        if stopped:
            return PartEnd.CANCELLED, ""
        return (PartEnd.GIVEN_BACK if self._left_over else PartEnd.DONE), self._given_up

    def _items(self) -> Iterator[PartItem]:
        while items := self._recorder.next_items():
            for item in items:
                if self._token.stopped:
                    return
                if self._draining.is_set():
                    self._left_over = True
                    return
                yield item

    def _do(self, item: PartItem) -> str | None:
        """Do an item and keep its outcome; return its error as a sentence."""
        try:
            value = self._function.run(json.loads(item.given), self._token)
            self._recorder.add(ItemWrite(item.key, "ok", detail_json(value)))
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a function raises is its item's
            if isinstance(error, JobCancelled) and self._token.stopped:
                return None  # the item was not done
            kind, message = kept_error(error)
            self._recorder.add(ItemWrite(item.key, "error", None, kind, message))
            return sentence_of(error)
        return None

    def _give_up(self, item: PartItem) -> str:
        """Record an error for the item, which would end this worker, too; return it as a sentence."""
        self._recorder.add(ItemWrite(item.key, "error", None, "WorkerLost", LOST_WORDS))
        self._given_up = f"item {clean(item.key, 80)} is given up: {LOST_WORDS}"
        return f"WorkerLost: {LOST_WORDS}"

    def _too_many(self) -> bool:
        most = self._function.max_errors
        return most is not None and self._recorder.failed_count() > most
