"""The connection of a run to the store: one thread at a time, and resilient to busy, full and lost stores."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from jobdash.errors import JobdashError, StoreAway, StoreBusy, StoreError, StoreFull
from jobdash.store.files import Identity, identity
from jobdash.store.leases.lease import ItemWrite, Lease, LeaseRefused
from jobdash.store.location import StoreLocation
from jobdash.worker.cancellation import Token
from jobdash.worker.terminal import print_line

LAST_WAIT_S = 30.0
"""How long a claim and the last flush wait for other writers, and after how long a wait is reported."""
MOST_KEPT = 10_000
"""Outcomes kept in memory for a full disk; for a store that is only busy the loop gets slower instead."""
_AWAY_PAUSE_S = 0.25
RUNS_ON = "The loop runs on; nothing more of it is recorded."
_TRANSIENT = (StoreBusy, StoreFull, StoreAway)
"""The same statement may succeed later."""
T = TypeVar("T")


class _ThreadState(threading.local):
    """How many statements this thread is inside of, and the calls deferred until it is in none."""

    def __init__(self) -> None:
        self.depth = 0
        self.deferred: list[Callable[[], None]] = []


_state = _ThreadState()


@contextlib.contextmanager
def exclusive() -> Iterator[bool]:
    """Begin a statement; yield whether this thread was in none, of any job.

    The garbage collector may end a forgotten loop in the middle of any statement. Written there, that end
    would wait for the very transaction that it interrupts.
    """
    _state.depth += 1
    try:
        yield _state.depth == 1
    finally:
        _state.depth -= 1
        while not _state.depth and _state.deferred:
            _state.deferred.pop(0)()


def defer(do: Callable[[], None]) -> bool:
    """Defer a call to the end of the statement that this thread is in; return whether it is in one."""
    if _state.depth:
        _state.deferred.append(do)
    return _state.depth > 0


class StoreConnection:
    """The one connection of a run; it may be closed when the store fails."""

    def __init__(self, token: Token) -> None:
        self._token = token
        self._lock = threading.RLock()
        self._lease: Lease | None = None
        self._unwritten: dict[str, ItemWrite] = {}
        """By key, the outcomes that wait to be written."""
        self._path: StoreLocation = Path()
        self._file: Identity | None = None
        self._trouble_since: float | None = None
        self._trouble_reported = False
        self.cancelled_elsewhere = False
        """Another process has ended the job as cancelled; nothing more can be written."""

    @property
    def recording(self) -> bool:
        """Whether there is a store to write to."""
        return self._lease is not None

    def check_file(self, then: str = RUNS_ON) -> None:
        """Close the connection when the store is no longer the file that was opened: SQLite would not notice.

        ``then`` is the consequence for the job, as a sentence.
        """
        if self._lease is not None and identity(self._path) != self._file:
            self._give_up(f"The store {self._path} was deleted, moved or replaced.", then)

    def refused(self, refused: LeaseRefused) -> None:
        """Stop the run, as the job is no longer ours."""
        if refused.cancelled:
            self.cancelled_elsewhere = True
            self._token.cancel()
        else:
            self._token.lose(str(refused))
        self.close()

    def close(self) -> None:
        """Close the connection; nothing more is written."""
        with exclusive(), self._lock:
            lease, self._lease = self._lease, None
            if lease is not None:
                with contextlib.suppress(StoreError):
                    lease.connection.close()

    def before_fork(self) -> None:
        """Wait until no transaction is under way: a child must not inherit half of one."""
        self._lock.acquire()

    def after_fork(self) -> None:
        """Continue in the parent."""
        self._lock.release()

    def in_forked_child(self) -> Lease | None:
        """Write nothing in the child; return the parent's connection, which has to stay untouched there."""
        self._lock = threading.RLock()
        lease, self._lease = self._lease, None
        return lease

    @contextlib.contextmanager
    def _use_lease(self, wait_s: float = -1) -> Iterator[Lease | None]:
        """Yield the lease with its connection; None when there is none, or another thread keeps it too long.

        By default that is waited for: no thread keeps it for long. In the middle of a statement it is None.
        """
        with exclusive() as outermost:
            if not outermost or not self._lock.acquire(timeout=wait_s):
                yield None
                return
            try:
                yield self._lease
            finally:
                self._lock.release()

    @contextlib.contextmanager
    def _tolerating_errors(self) -> Iterator[None]:
        """Continue when the store cannot be written; a lost lease is set on the token."""
        try:
            yield
        except LeaseRefused as refused:
            self.refused(refused)
        except StoreError as error:
            self._trouble(error)

    def _trouble(self, error: StoreError) -> None:
        now = time.monotonic()
        busy = isinstance(error, StoreBusy)
        if not isinstance(error, _TRANSIENT) or (not busy and len(self._unwritten) > MOST_KEPT):
            self._give_up(error_text(self._path, error))
            return
        if self._trouble_since is None:
            self._trouble_since = now
        if not self._trouble_reported and (not busy or now - self._trouble_since >= LAST_WAIT_S):
            self._trouble_reported = True
            print_line(
                f"jobdash: {error_text(self._path, error)}"
                " The loop runs on; its outcomes are kept until it can."
            )

    def _give_up(self, why: str, then: str = RUNS_ON) -> None:
        print_line(f"jobdash: {why} {then}")
        self._unwritten.clear()
        self.close()


def error_text(path: StoreLocation, error: Exception) -> str:
    """Return what is wrong with a store, as a sentence."""
    if isinstance(error, StoreBusy):
        return f"The store {path} is busy: other programs have been writing for {LAST_WAIT_S:g} s."
    if isinstance(error, JobdashError):
        return sentence(str(error))
    return f"The store {path} cannot be used: {sentence(str(error) or type(error).__name__)}"


def sentence(text: str) -> str:
    """Return a text with an end that another sentence may follow."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def while_busy(do: Callable[[], T]) -> T:
    """Call ``do``, again and again while other programs write or its server is away, for `LAST_WAIT_S`."""
    until = time.monotonic() + LAST_WAIT_S
    while True:
        try:
            return do()
        except (StoreBusy, StoreAway) as error:
            if time.monotonic() >= until:
                raise
            if isinstance(error, StoreAway):  # which nothing has waited for
                time.sleep(_AWAY_PAUSE_S)
