"""Keeping what happens to a job: in memory while the store is busy, in the store as soon as it can be.

A store that cannot be written never stops the work: it is said once, and the loop runs on.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from jobdash.errors import JobdashError
from jobdash.store.bootstrap import open_for_worker
from jobdash.store.claims import Claim, ClaimRequest, claim
from jobdash.store.continuation import CannotResumeError
from jobdash.store.dialects import sqlite
from jobdash.store.dialects.sqlite import BUSY_TIMEOUT_MS
from jobdash.store.leases import (
    MOST_ROWS,
    ItemState,
    ItemWrite,
    Lease,
    LeaseRefused,
    fail_left_loop,
)
from jobdash.worker import store_connection
from jobdash.worker.cancellation import Token
from jobdash.worker.reentrancy import exclusive
from jobdash.worker.stderr import print_line
from jobdash.worker.store_connection import StoreConnection, error_text, identity, while_busy

_END_IS_LOST = "How the job ended is not recorded."
PATIENCE_MS = 250
"""How long an item waits for other writers before its outcome is kept for the next one."""
T = TypeVar("T")


class Recorder(StoreConnection):
    """The store's side of one run; may be used from several threads."""

    def __init__(self, token: Token, patience_ms: int = PATIENCE_MS) -> None:
        super().__init__(token)
        self._patience_ms = patience_ms
        self._lease_s = 0.0
        self._written_at = 0.0
        self._seen_version = -1
        self._unwritten: dict[str, ItemWrite] = {}
        self._counts: Callable[[], tuple[int, int]] | None = None
        self._counts_written = (0, 0)
        self._asked_told = False
        self._claimed_as: tuple[int, int, str] | None = None
        """The job, the fence and the actor of the claim."""

    @property
    def attempt(self) -> int:
        """The number of this attempt; 0 without a store."""
        return self._hold.attempt if self._hold is not None else 0

    def begin(
        self, path: Path, want: ClaimRequest, counts: Callable[[], tuple[int, int]] | None
    ) -> Claim | None:
        """Claim the job; None when the store cannot be written, which has been said then.

        ``counts`` returns how many items succeeded and failed, where items have no keys and are only counted.
        Raises `CannotResumeError` for a job that was named and cannot be continued.
        """
        try:
            with exclusive():
                got = self._claimed(path, want)
        except LeaseRefused as refused:
            self.refused(refused)
            return None
        except CannotResumeError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a store, the work goes on
            self._give_up(error_text(path, error))
            return None
        self._path = path
        self._file = identity(path)
        self._lease_s = want.lease_ms / 1000
        self._counts = counts
        self._written_at = time.monotonic()
        self._hold = got.lease
        self._claimed_as = got.job_id, got.fence, want.actor
        return got

    def _claimed(self, path: Path, want: ClaimRequest) -> Claim:
        connection = open_for_worker(path, lambda sentence: print_line(f"jobdash: {sentence}"))
        try:
            got = while_busy(lambda: claim(connection, want))
            got.lease.set_busy_timeout(self._patience_ms)
        except BaseException:
            connection.close()
            raise
        return got

    def keep(self, outcome: ItemWrite) -> int:
        """Remember what became of an item until it is written; return how many wait for that."""
        self._unwritten[outcome.key] = outcome
        return len(self._unwritten)

    def known(self, keys: list[str]) -> dict[str, ItemState]:
        """Return what is known of items, written or not.

        Waits for it as long as it takes: an item of which nothing is known is done again. Nothing is known
        where there is no store; one that cannot be read is given up.
        """
        found: dict[str, ItemState] = {}
        # Looked at first: what another thread writes meanwhile is found in the store then.
        kept = {key: outcome for key in keys if (outcome := self._unwritten.get(key))}
        with self._held() as hold:
            if hold is not None:
                try:
                    found = while_busy(lambda: hold.item_states(keys))
                except sqlite.Error as error:
                    self._give_up(error_text(self._path, error))
        return found | {key: ItemState(one.outcome, self.attempt) for key, one in kept.items()}

    def flush(self) -> None:
        """Write what is to be written, if the store lets us; else it goes with the next one.

        While the store is in trouble that is left to the thread beside the loop, which tries again and again;
        unless very much waits already, and then the loop waits too.
        """
        if self._trouble_since is not None and len(self._unwritten) < store_connection.MOST_KEPT:
            return
        with self._held(self._patience_ms / 1000) as hold:
            if hold is not None:
                with self._survived():
                    self._write(hold)

    def look_after(self, flush_due: bool) -> None:
        """See whether somebody else has written, tell our own cancel, write what is due, renew the lease."""
        with self._held(self._patience_ms / 1000) as hold:
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

    def write_all(self) -> None:
        """Write what waits, waiting for other writers."""
        self._waiting_for_others(self._write, in_trouble=True)

    def expect(self, keys: Iterable[str]) -> None:
        """Write items down that are to come; ends early when the store cannot be written."""
        rest = iter(keys)
        written: bool | None = True
        while written and (some := list(islice(rest, MOST_ROWS))):
            written = self._waiting_for_others(partial(_expect, some))

    def count_total(self) -> int | None:
        """Make what is written down the job's total, and return it; None when it cannot be written."""
        return self._waiting_for_others(Lease.count_total)

    def set_total(self, total: int) -> None:
        """Keep a total that has become known."""
        self._waiting_for_others(partial(_set_total, total))

    def _waiting_for_others(self, do: Callable[[Lease], T], *, in_trouble: bool = False) -> T | None:
        """Do something in its time; what is not an item's is not waited for in a store that is in trouble."""
        found: T | None = None
        with self._held() as hold:
            if hold is not None and (in_trouble or self._trouble_since is None):
                with self._survived():
                    found = while_busy(partial(do, hold))
        return found

    def end(self, word: str, ended: str, error: str | None) -> None:
        """Write the rest and the end of the job, waiting for other writers; then let go of the store.

        An interrupt leaves all as it was, for another try. Raises `LeaseRefused` when the lease is lost.
        """
        self.check_file(_END_IS_LOST)
        with self._held() as hold:
            if hold is None:
                return
            try:
                hold.set_busy_timeout(BUSY_TIMEOUT_MS)
                while_busy(lambda: self._write(hold))
                asked = self._token.asked if word == "cancelled" else None
                while_busy(lambda: hold.finish(word, ended, error, asked))
                self.check_file(_END_IS_LOST)
            except sqlite.Error as trouble:
                self._give_up(error_text(self._path, trouble), _END_IS_LOST)
            self.let_go()

    def fail_after_all(self, ended: str, done: int) -> None:
        """Turn the end of a loop that was left into a failure at ``done``; nothing when it is too late."""
        if self._claimed_as is None or identity(self._path) != self._file:
            return
        job_id, fence, actor = self._claimed_as
        with contextlib.suppress(sqlite.Error, JobdashError), exclusive() as outermost:
            if outermost:
                with closing(open_for_worker(self._path)) as connection:
                    while_busy(lambda: fail_left_loop(connection, job_id, fence, actor, ended, done))

    def _write(self, hold: Lease) -> None:
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

    def _tell_asked(self, hold: Lease) -> None:
        if self._token.asked is not None and not self._asked_told:
            hold.request_cancel(self._token.asked)
            self._asked_told = True

    def _heed(self, status: str) -> None:
        if status == "cancelling":
            self._token.cancel()

    def _kept(self) -> int:
        return len(self._unwritten)

    def _forget(self) -> None:
        self._unwritten.clear()


def _expect(keys: list[str], hold: Lease) -> bool:
    hold.expect(keys)
    return True


def _set_total(total: int, hold: Lease) -> None:
    hold.set_total(total)
