"""Record the outcomes of a job: in memory while the store is busy, in the store as soon as possible.

A store that cannot be written never stops the work: that is reported once, and the loop runs on.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from itertools import islice
from typing import TypeVar

from jobdash.errors import JobdashError, StoreError
from jobdash.store.bootstrap import open_for_worker
from jobdash.store.dialects.base import BUSY_TIMEOUT_MS
from jobdash.store.files import identity
from jobdash.store.leases.claims import Claim, ClaimRequest, claim
from jobdash.store.leases.continuation import CannotResumeError
from jobdash.store.leases.lease import MOST_ROWS, ItemState, ItemWrite, Lease, LeaseRefused, fail_left_loop
from jobdash.store.location import StoreLocation
from jobdash.worker import store_connection
from jobdash.worker.cancellation import Token
from jobdash.worker.store_connection import StoreConnection, error_text, exclusive, while_busy
from jobdash.worker.terminal import print_line

_END_IS_LOST = "How the job ended is not recorded."
PATIENCE_MS = 250
"""How long an item waits for other writers before its outcome is left for the next write."""
T = TypeVar("T")
_TICK_S = 0.05
_CHECK_FILE_EVERY_S = 1.0


class Recorder(StoreConnection):
    """Writes the outcomes of one run to the store; may be used from several threads."""

    def __init__(self, token: Token, patience_ms: int = PATIENCE_MS) -> None:
        super().__init__(token)
        self._patience_ms = patience_ms
        self._lease_s = 0.0
        self._written_at = 0.0
        self._seen_version = -1
        self._next_check = 0.0
        self._counts: Callable[[], tuple[int, int]] | None = None
        self._counts_written = (0, 0)
        self._cancel_written = False
        self._claimed_as: tuple[int, int, str] | None = None
        """The job, the fence and the actor of the claim."""

    @property
    def attempt(self) -> int:
        """The number of this attempt; 0 without a store."""
        return self._lease.attempt if self._lease is not None else 0

    def begin(
        self, path: StoreLocation, request: ClaimRequest, counts: Callable[[], tuple[int, int]] | None
    ) -> Claim | None:
        """Claim the job; None when the store cannot be written, which has been reported then.

        ``counts`` returns how many items succeeded and failed, where items have no keys and are only counted.
        Raises `CannotResumeError` for a job that was named and cannot be continued.
        """
        try:
            with exclusive():
                got = self._claimed(path, request)
        except LeaseRefused as refused:
            self.refused(refused)
            return None
        except CannotResumeError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a store, the work goes on
            self._give_up(error_text(path, error))
            return None
        self._hold(path, got.lease, request.lease_ms)
        self._counts = counts
        self._claimed_as = got.job_id, got.fence, request.actor
        return got

    def _hold(self, path: StoreLocation, lease: Lease, lease_ms: int) -> None:
        """Write by a lease from now on."""
        self._path = path
        self._file = identity(path)
        self._lease_s = lease_ms / 1000
        self._written_at = time.monotonic()
        self._lease = lease

    def _claimed(self, path: StoreLocation, request: ClaimRequest) -> Claim:
        connection = open_for_worker(path, lambda sentence: print_line(f"jobdash: {sentence}"))
        try:
            found = while_busy(lambda: claim(connection, request))
            found.lease.connection.set_busy_timeout(self._patience_ms)
        except BaseException:
            connection.close()
            raise
        return found

    def add(self, outcome: ItemWrite) -> int:
        """Keep the outcome of an item until it is written; return how many wait for that."""
        self._unwritten[outcome.key] = outcome
        return len(self._unwritten)

    def states(self, keys: list[str]) -> dict[str, ItemState]:
        """Return the states of items, by key, written or not.

        Waits as long as it takes: an item without a state is done again. There are none without a store; one
        that cannot be read is closed.
        """
        found: dict[str, ItemState] = {}
        # Read first: what another thread writes meanwhile is found in the store then.
        kept = {key: outcome for key in keys if (outcome := self._unwritten.get(key))}
        with self._use_lease() as lease:
            if lease is not None:
                try:
                    found = while_busy(lambda: lease.item_states(keys))
                except StoreError as error:
                    self._give_up(error_text(self._path, error))
        return found | {key: ItemState(one.outcome, self.attempt) for key, one in kept.items()}

    def flush(self) -> None:
        """Write what waits, if the store can be written; else it goes with the next write.

        While the store is in trouble that is left to the heartbeat, which tries again and again; unless very
        much waits already, and then the loop waits too.
        """
        if self._trouble_since is not None and len(self._unwritten) < store_connection.MOST_KEPT:
            return
        with self._use_lease(self._patience_ms / 1000) as lease:
            if lease is not None:
                with self._tolerating_errors():
                    self._write(lease)

    def tick(self, flush_due: bool) -> None:
        """Check for a cancel by another process, write our own, write what is due, renew the lease."""
        with self._use_lease(self._patience_ms / 1000) as lease:
            if lease is None:
                return
            with self._tolerating_errors():
                self._notice_cancel(lease)
                self._write_own_cancel(lease)
                if flush_due or self._trouble_since is not None:
                    self._write(lease)
                if time.monotonic() - self._written_at >= self._lease_s / 3:
                    self._apply(lease.renew())
                    self._written()

    def _notice_cancel(self, lease: Lease) -> None:
        now = time.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + lease.connection.dialect.pace_s
        version = lease.connection.data_version()
        if version != self._seen_version:
            self._apply(lease.status())
            self._seen_version = version

    def write_all(self) -> None:
        """Write what waits, waiting for other writers."""
        self._patiently(self._write, in_trouble=True)

    def expect(self, keys: Iterable[str]) -> None:
        """Record items as unprocessed; ends early when the store cannot be written."""
        rest = iter(keys)
        written: bool | None = True
        while written and (some := list(islice(rest, MOST_ROWS))):
            written = self._patiently(partial(_expect, some))

    def count_total(self) -> int | None:
        """Set the job's total to the recorded items, and return it; None when it cannot be written."""
        return self._patiently(Lease.count_total)

    def set_total(self, total: int) -> None:
        """Record a total that has become known."""
        self._patiently(lambda lease: lease.set_total(total))

    def _patiently(self, do: Callable[[Lease], T], *, in_trouble: bool = False) -> T | None:
        """Write something, waiting for other writers; in a store in trouble only if ``in_trouble``."""
        found: T | None = None
        with self._use_lease() as lease:
            if lease is not None and (in_trouble or self._trouble_since is None):
                with self._tolerating_errors():
                    found = while_busy(partial(do, lease))
        return found

    def end(self, word: str, ended: str, error: str | None) -> None:
        """Write the rest and the end of the job, waiting for other writers; then close the connection.

        An interrupt leaves all as it was, for another try. Raises `LeaseRefused` when the lease is lost.
        """
        self.check_file(_END_IS_LOST)
        with self._use_lease() as lease:
            if lease is None:
                return
            try:
                lease.connection.set_busy_timeout(BUSY_TIMEOUT_MS)
                while_busy(lambda: self._write(lease))
                asked = self._token.own_cancel if word == "cancelled" else None
                while_busy(lambda: lease.finish(word, ended, error, asked))
                self.check_file(_END_IS_LOST)
            except StoreError as trouble:
                self._give_up(error_text(self._path, trouble), _END_IS_LOST)
            self.close()

    def fail_after_all(self, ended: str, done: int) -> bool:
        """Turn the end of a loop that was left into a failure at ``done``; False when it is too late."""
        if self._claimed_as is None or identity(self._path) != self._file:
            return False
        job_id, fence, actor = self._claimed_as
        with contextlib.suppress(JobdashError), exclusive() as outermost:
            if outermost:
                with closing(open_for_worker(self._path)) as connection:
                    return while_busy(lambda: fail_left_loop(connection, job_id, fence, actor, ended, done))
        return False

    def _write(self, lease: Lease) -> None:
        if self._counts is not None:
            counts = self._counts()
            if counts != self._counts_written:
                self._apply(lease.write_counts(*counts))
                self._counts_written = counts
                self._written()
            return
        while self._unwritten:
            some = list(islice(self._unwritten.values(), MOST_ROWS))
            self._apply(lease.write_items(some))
            for outcome in some:
                if self._unwritten.get(outcome.key) is outcome:
                    del self._unwritten[outcome.key]
            self._written()

    def _written(self) -> None:
        self._written_at = time.monotonic()
        self._trouble_since = None

    def _write_own_cancel(self, lease: Lease) -> None:
        if self._token.own_cancel is not None and not self._cancel_written:
            lease.request_cancel(self._token.own_cancel)
            self._cancel_written = True

    def _apply(self, status: str) -> None:
        if status == "cancelling":
            self._token.cancel()


def _expect(keys: list[str], lease: Lease) -> bool:
    lease.expect(keys)
    return True


class Heartbeat:
    """A daemon thread from a job's claim to its end: renews the lease, notices a cancel, flushes, draws."""

    def __init__(self, recorder: Recorder, flush_s: float, lease_s: float, draw: Callable[[], None]) -> None:
        self._recorder = recorder
        self._flush_s = flush_s
        self._tick_s = min(_TICK_S, lease_s / 3)
        self._draw = draw
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobdash", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it; nothing if it could not start."""
        self._ended.set()
        # It cannot wait for itself, and a thread that was not started cannot be waited for.
        with contextlib.suppress(RuntimeError):
            self._thread.join()

    def _run(self) -> None:
        check_at = time.monotonic()
        flush_at = check_at + self._flush_s
        while not self._ended.wait(self._tick_s):
            now = time.monotonic()
            check, due = now >= check_at, now >= flush_at
            if check:
                check_at = now + _CHECK_FILE_EVERY_S
            if due:
                flush_at = now + self._flush_s
            # An error ends one tick, not the heartbeat: without it another process would take the job.
            with contextlib.suppress(Exception):
                if check:
                    self._recorder.check_file()
                self._recorder.tick(due)
            with contextlib.suppress(Exception):
                self._draw()
