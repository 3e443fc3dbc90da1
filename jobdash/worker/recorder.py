"""Keeping what happens to a job: in memory while the store is busy, in the store as soon as it can be.

A store that cannot be written never stops the work: it is said once, and the loop runs on.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from jobdash.errors import JobdashError
from jobdash.store.claim import Claimed, Wanted, claim
from jobdash.store.engine import BUSY_TIMEOUT_MS, store_error
from jobdash.store.fence import MOST_ROWS, Hold, Outcome, Refused, Standing, open_store
from jobdash.worker.saying import say
from jobdash.worker.token import Token

PATIENCE_MS = 250
"""How long an item waits for other writers before its outcome is kept for the next one."""
_LAST_WAIT_S = 30.0
"""How long a claim and the last flush wait for other writers; and after which time the waiting is said."""
_MOST_KEPT = 10_000
"""Outcomes kept in memory for a store that cannot be written now."""
_MAY_PASS = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
T = TypeVar("T")


class Recorder:
    """The store's side of one run; may be used from several threads."""

    def __init__(self, token: Token, patience_ms: int = PATIENCE_MS) -> None:
        self._token = token
        self._patience_ms = patience_ms
        self._lock = threading.RLock()
        self._inside = False
        self._hold: Hold | None = None
        self._path = Path()
        self._file: tuple[int, int] | None = None
        self._lease_s = 0.0
        self._written_at = 0.0
        self._seen_version = -1
        self._unwritten: dict[str, Outcome] = {}
        self._counts: Callable[[], tuple[int, int]] | None = None
        self._counts_written = (0, 0)
        self._trouble_since: float | None = None
        self._said_trouble = False
        self._asked_told = False
        self.cancelled_elsewhere = False
        """Somebody has ended the job as cancelled; nothing more can be written."""

    @property
    def recording(self) -> bool:
        """Whether there is a store to write to."""
        return self._hold is not None

    @property
    def attempt(self) -> int:
        """The number of this attempt; 0 without a store."""
        return self._hold.attempt if self._hold is not None else 0

    def begin(self, path: Path, want: Wanted, counts: Callable[[], tuple[int, int]] | None) -> Claimed | None:
        """Claim the job; None when the store cannot be written, which has been said then.

        ``counts`` tells how many items succeeded and failed, where items have no keys and are only counted.
        """
        try:
            connection = open_store(path)
        except JobdashError as error:
            self._give_up(str(error))
            return None
        try:
            got = _while_busy(lambda: claim(connection, want))
            got.hold.be_patient(self._patience_ms)
        except (sqlite3.Error, JobdashError) as error:
            connection.close()
            self._give_up(str(_told(path, error)))
            return None
        self._path = path
        self._file = _identity(path)
        self._lease_s = want.lease_ms / 1000
        self._counts = counts
        self._written_at = time.monotonic()
        self._hold = got.hold
        return got

    def keep(self, outcome: Outcome) -> int:
        """Remember what became of an item until it is written; return how many wait for that."""
        self._unwritten[outcome.key] = outcome
        return len(self._unwritten)

    def known(self, keys: list[str]) -> dict[str, Standing]:
        """Return what is known of items, written or not; nothing where the store cannot be read."""
        found: dict[str, Standing] = {}
        with self._held() as hold:
            if hold is not None:
                with self._survived():
                    found = hold.standing(keys)
        for key in keys:
            if outcome := self._unwritten.get(key):
                found[key] = Standing(outcome.outcome, self.attempt)
        return found

    def flush(self) -> None:
        """Write what is to be written, if the store lets us; else it goes with the next one."""
        with self._held() as hold:
            if hold is not None:
                with self._survived():
                    self._write(hold)

    def look_after(self, flush_due: bool) -> None:
        """See whether somebody else has written, tell our own cancel, write what is due, renew the lease."""
        with self._held() as hold:
            if hold is None:
                return
            with self._survived():
                version = hold.data_version()
                if version != self._seen_version:
                    self._heed(hold.status())
                    self._seen_version = version
                self._tell_asked(hold)
                if flush_due or self._trouble_since is not None:
                    self._write(hold)
                if time.monotonic() - self._written_at >= self._lease_s / 3:
                    self._heed(hold.renew())
                    self._written()

    def check_file(self) -> None:
        """See whether the store is still the file that was opened; SQLite would write on into nothing."""
        if self._hold is not None and _identity(self._path) != self._file:
            self._give_up(f"The store {self._path} was deleted or replaced.")

    def expect(self, keys: Iterable[str]) -> None:
        """Write items down that are to come; ends early when the store cannot be written."""
        rest = iter(keys)
        while self._hold is not None and (some := list(islice(rest, MOST_ROWS))):
            self._waiting_for_others(partial(_expect, some))

    def count_total(self) -> int | None:
        """Make what is written down the job's total, and return it; None when it cannot be written."""
        return self._waiting_for_others(Hold.count_total)

    def set_total(self, total: int) -> None:
        """Keep a total that has become known."""
        self._waiting_for_others(partial(_set_total, total))

    def _waiting_for_others(self, do: Callable[[Hold], T]) -> T | None:
        found: T | None = None
        with self._held(patiently=True) as hold:
            if hold is not None:
                with self._survived():
                    found = _while_busy(partial(do, hold))
        return found

    def end(self, word: str, ended: str, error: str | None) -> None:
        """Write the rest and the end of the job, waiting for other writers; then let go of the store.

        Raises `Refused` when the job is no longer ours.
        """
        with self._held(patiently=True) as hold:
            if hold is None:
                return
            try:
                hold.be_patient(BUSY_TIMEOUT_MS)
                _while_busy(lambda: self._write(hold))
                asked = self._token.asked if word == "cancelled" else None
                _while_busy(lambda: hold.finish(word, ended, error, asked))
            except sqlite3.Error as trouble:
                self._give_up(f"{_told(self._path, trouble)} How the job ended is not recorded.")
            finally:
                self.let_go()

    def let_go(self) -> None:
        """Close the connection; nothing more is written."""
        with self._lock:
            hold, self._hold = self._hold, None
            if hold is not None:
                with contextlib.suppress(sqlite3.Error):
                    hold.close()

    def before_fork(self) -> None:
        """Wait until no transaction is under way: a child must not inherit half of one."""
        self._lock.acquire()

    def after_fork(self) -> None:
        """Go on in the parent."""
        self._lock.release()

    def in_forked_child(self) -> Hold | None:
        """Write nothing in the child; returns what has to stay untouched there, the parent's connection."""
        self._lock = threading.RLock()
        hold, self._hold = self._hold, None
        return hold

    @contextlib.contextmanager
    def _held(self, *, patiently: bool = False) -> Iterator[Hold | None]:
        """Hold the connection; None when there is none, it cannot be had now, or we are in it already.

        The garbage collector may end a forgotten loop in the middle of any statement, this thread's too.
        """
        if not self._lock.acquire(timeout=_LAST_WAIT_S if patiently else self._patience_ms / 1000):
            yield None
            return
        outer, self._inside = self._inside, True
        try:
            yield None if outer else self._hold
        finally:
            self._inside = outer
            self._lock.release()

    @contextlib.contextmanager
    def _survived(self) -> Iterator[None]:
        """Go on when the store cannot be written; the end of our right to write is told to the token."""
        try:
            yield
        except Refused as refused:
            self.refused(refused)
        except sqlite3.Error as error:
            self._trouble(error)

    def _write(self, hold: Hold) -> None:
        if self._counts is not None:
            counts = self._counts()
            if counts != self._counts_written:
                self._heed(hold.write_counts(*counts))
                self._counts_written = counts
                self._written()
            return
        while self._unwritten:
            some = list(islice(self._unwritten.values(), MOST_ROWS))
            self._heed(hold.write_items(some))
            for outcome in some:
                if self._unwritten.get(outcome.key) is outcome:
                    del self._unwritten[outcome.key]
            self._written()

    def _written(self) -> None:
        self._written_at = time.monotonic()
        self._trouble_since = None

    def _tell_asked(self, hold: Hold) -> None:
        if self._token.asked is not None and not self._asked_told:
            hold.ask_cancel(self._token.asked)
            self._asked_told = True

    def _heed(self, status: str) -> None:
        if status == "cancelling":
            self._token.cancel()

    def refused(self, refused: Refused) -> None:
        """Take note that the job is no longer ours."""
        if refused.cancelled:
            self.cancelled_elsewhere = True
            self._token.cancel()
        else:
            self._token.lose(str(refused))
        self.let_go()

    def _trouble(self, error: sqlite3.Error) -> None:
        now = time.monotonic()
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code not in _MAY_PASS or len(self._unwritten) > _MOST_KEPT:
            self._give_up(str(_told(self._path, error)))
            return
        if self._trouble_since is None:
            self._trouble_since = now
        if not self._said_trouble and (code not in _BUSY or now - self._trouble_since >= _LAST_WAIT_S):
            self._said_trouble = True
            say(f"jobdash: {_told(self._path, error)} The loop runs on; its outcomes are kept until it can.")

    def _give_up(self, why: str) -> None:
        say(f"jobdash: {why} The loop runs on; nothing more of it is recorded.")
        self._unwritten.clear()
        self.let_go()


def _expect(keys: list[str], hold: Hold) -> None:
    hold.expect(keys)


def _set_total(total: int, hold: Hold) -> None:
    hold.set_total(total)


def _told(path: Path, error: Exception) -> Exception:
    return store_error(path, error) if isinstance(error, sqlite3.DatabaseError) else error


def _while_busy(do: Callable[[], T]) -> T:
    """Do something, again and again while other programs write, for at most `_LAST_WAIT_S`."""
    until = time.monotonic() + _LAST_WAIT_S
    while True:
        try:
            return do()
        except sqlite3.OperationalError as error:
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY
            if not busy or time.monotonic() >= until:
                raise


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
