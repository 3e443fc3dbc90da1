"""The store as a run reaches it: by one thread at a time, and survived when it is busy, full or gone."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from jobdash.errors import JobdashError
from jobdash.store.bootstrap import SCRIPT_OPTION
from jobdash.store.dialects import sqlite
from jobdash.store.files import Identity
from jobdash.store.files import identity as identity
from jobdash.store.leases import Lease, LeaseRefused
from jobdash.worker.cancellation import Token
from jobdash.worker.reentrancy import exclusive
from jobdash.worker.stderr import print_line

LAST_WAIT_S = 30.0
"""How long a claim and the last flush wait for other writers; and after which time the waiting is said."""
MOST_KEPT = 10_000
"""Outcomes kept in memory for a full disk; for a store that is only busy the loop gets slower instead."""
RUNS_ON = "The loop runs on; nothing more of it is recorded."
T = TypeVar("T")


class StoreConnection:
    """The one connection of a run, and what becomes of it."""

    def __init__(self, token: Token) -> None:
        self._token = token
        self._lock = threading.RLock()
        self._hold: Lease | None = None
        self._path = Path()
        self._file: Identity | None = None
        self._trouble_since: float | None = None
        self._said_trouble = False
        self.cancelled_elsewhere = False
        """Somebody has ended the job as cancelled; nothing more can be written."""

    @property
    def recording(self) -> bool:
        """Whether there is a store to write to."""
        return self._hold is not None

    def check_file(self, then: str = RUNS_ON) -> None:
        """See whether the store is still the file that was opened; SQLite would write on into nothing.

        ``then`` is what that means for the job, as a sentence.
        """
        if self._hold is not None and identity(self._path) != self._file:
            self._give_up(f"The store {self._path} was deleted, moved or replaced.", then)

    def refused(self, refused: LeaseRefused) -> None:
        """Take note that the job is no longer ours."""
        if refused.cancelled:
            self.cancelled_elsewhere = True
            self._token.cancel()
        else:
            self._token.lose(str(refused))
        self.let_go()

    def let_go(self) -> None:
        """Close the connection; nothing more is written."""
        with exclusive(), self._lock:
            hold, self._hold = self._hold, None
            if hold is not None:
                with contextlib.suppress(sqlite.Error):
                    hold.close()

    def before_fork(self) -> None:
        """Wait until no transaction is under way: a child must not inherit half of one."""
        self._lock.acquire()

    def after_fork(self) -> None:
        """Go on in the parent."""
        self._lock.release()

    def in_forked_child(self) -> Lease | None:
        """Write nothing in the child; returns what has to stay untouched there, the parent's connection."""
        self._lock = threading.RLock()
        hold, self._hold = self._hold, None
        return hold

    @contextlib.contextmanager
    def _held(self, wait_s: float = -1) -> Iterator[Lease | None]:
        """Hold the connection; None when there is none, or it cannot be had in time.

        By default it is waited for: nobody has it for long. In the middle of a statement it cannot be had.
        """
        with exclusive() as outermost:
            if not outermost or not self._lock.acquire(timeout=wait_s):
                yield None
                return
            try:
                yield self._hold
            finally:
                self._lock.release()

    @contextlib.contextmanager
    def _survived(self) -> Iterator[None]:
        """Go on when the store cannot be written; the end of our right to write is told to the token."""
        try:
            yield
        except LeaseRefused as refused:
            self.refused(refused)
        except sqlite.Error as error:
            self._trouble(error)

    def _trouble(self, error: sqlite.Error) -> None:
        now = time.monotonic()
        busy = sqlite.is_busy(error)
        if not sqlite.is_transient(error) or (not busy and self._kept() > MOST_KEPT):
            self._give_up(error_text(self._path, error))
            return
        if self._trouble_since is None:
            self._trouble_since = now
        if not self._said_trouble and (not busy or now - self._trouble_since >= LAST_WAIT_S):
            self._said_trouble = True
            print_line(
                f"jobdash: {error_text(self._path, error)}"
                " The loop runs on; its outcomes are kept until it can."
            )

    def _give_up(self, why: str, then: str = RUNS_ON) -> None:
        print_line(f"jobdash: {why} {then}")
        self._forget()
        self.let_go()

    def _kept(self) -> int:
        """Return how many outcomes wait to be written."""
        return 0

    def _forget(self) -> None:
        """Drop what waits to be written."""


def error_text(path: Path, error: Exception) -> str:
    """Return what is wrong with a store, as a sentence."""
    if sqlite.is_busy(error):
        return f"The store {path} is busy: other programs have been writing for {LAST_WAIT_S:g} s."
    if isinstance(error, sqlite.DatabaseError):
        return str(sqlite.store_error(path, error, SCRIPT_OPTION))
    if isinstance(error, JobdashError):
        return sentence(str(error))
    return f"The store {path} cannot be used: {sentence(str(error) or type(error).__name__)}"


def sentence(text: str) -> str:
    """Return a text that another sentence may follow."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def while_busy(do: Callable[[], T]) -> T:
    """Do something, again and again while other programs write, for at most `LAST_WAIT_S`."""
    until = time.monotonic() + LAST_WAIT_S
    while True:
        try:
            return do()
        except sqlite.Error as error:
            if not sqlite.is_busy(error) or time.monotonic() >= until:
                raise
