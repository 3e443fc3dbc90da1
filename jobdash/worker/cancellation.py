"""The cancel token: whether a running job was asked to stop."""

from __future__ import annotations

import contextlib
import os
import time
from threading import get_ident
from typing import TYPE_CHECKING

from jobdash.errors import StoreError
from jobdash.store.location import written
from jobdash.worker.exceptions import CancelledInWorker, JobCancelled, LeaseLost, LeaseLostInWorker
from jobdash.worker.script import multiprocessing_parent

if TYPE_CHECKING:
    from jobdash.store.dialects.base import Connection
    from jobdash.store.location import StoreLocation

_READ_EVERY_S = 0.05
_SENT = 0
"""The process id of a token that was sent to another process."""
_STATUS = "SELECT status FROM job WHERE id = ? AND fence = ?"


class Token:
    """Whether the job was asked to stop.

    In the process that runs the job that is an attribute. In another one (a forked child, a pool to which it
    was sent) the token reads the store itself, 20 times a second at most, and never writes.
    """

    def __init__(self, thread: int | None = None) -> None:
        """Make the token of a job that was asked for in ``thread`` (`threading.get_ident`)."""
        self.stopped = False
        """Whether the loop has to end at its next item, for whatever reason."""
        self.lost: str | None = None
        """Why the job is no longer this run's ("was removed"); None while it is."""
        self.own_cancel: str | None = None
        """Why this process asks for its own cancel (Ctrl-C), which is to be written to the store."""
        self.job_label = "the job"
        """The job as messages name it."""
        self.ending = False
        """The end of the job is being written: it is too late for a cancel."""
        self._threads = {get_ident() if thread is None else thread}
        """Those of the script and of `Job.map`; others belong to a library."""
        self._pid = os.getpid()
        self._place: tuple[str, int, int] | None = None
        self._elsewhere: _StoreWatch | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to stop, or is no longer this run's."""
        if not self.stopped and (elsewhere := self._watched()) is not None:
            self.stopped, self.lost = elsewhere.status != "in_progress", elsewhere.lost
        return self.stopped

    @property
    def here(self) -> bool:
        """Whether this process runs the job."""
        return os.getpid() == self._pid

    @property
    def over(self) -> bool:
        """Whether another process ran the job, and does no more."""
        elsewhere = self._watched()
        return elsewhere is not None and elsewhere.status not in {"in_progress", "cancelling"}

    def _watched(self) -> _StoreWatch | None:
        """Read the store; None in the process that runs the job."""
        if self.here or self._place is None:
            return None
        if self._elsewhere is None or self._elsewhere.pid != os.getpid():
            self._elsewhere = _StoreWatch(*self._place)
        self._elsewhere.refresh()
        return self._elsewhere

    def raise_if_cancelled(self) -> None:
        """Raise `JobCancelled` if the job was asked to stop, `LeaseLost` if it is no longer this run's."""
        if self.cancelled:
            raise self.stop()

    def stop(self, message: str = "Job was cancelled") -> JobCancelled:
        """Return the exception that ends the loop; for a library, one that is an Exception as well."""
        by_library = self._called_by_library()
        if self.lost is None:
            return CancelledInWorker(message) if by_library else JobCancelled(message)
        lost = f"{self.job_label} {self.lost}"
        return LeaseLostInWorker(lost) if by_library else LeaseLost(lost)

    def _called_by_library(self) -> bool:
        if self.here:
            return get_ident() not in self._threads
        return self._pid == _SENT or multiprocessing_parent() is not None

    def add_thread(self) -> None:
        """Count the present thread as ours: a cancel need not be an Exception there."""
        self._threads.add(get_ident())

    def remove_thread(self) -> None:
        """Count the present thread as ours no longer: it ends, and another may get its id."""
        self._threads.discard(get_ident())

    def belongs_to(self, path: StoreLocation, job_id: int, fence: int) -> None:
        """Set the job that another process is to watch in the store."""
        self._place = (written(path), job_id, fence)

    def cancel(self) -> None:
        """Request the end of the loop at its next item."""
        self.stopped = True

    def request_cancel(self, reason: str) -> None:
        """Cancel on this process's own behalf; safe in a signal handler."""
        self.own_cancel = reason
        self.stopped = True

    def lose(self, what: str) -> None:
        """End the loop because the job is no longer this run's; ``what`` is the reason."""
        self.lost = what
        self.stopped = True

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_elsewhere": None, "_pid": _SENT}


class _StoreWatch:
    """The status of a job as read from the store, in a process that does not run it."""

    def __init__(self, path: str, job_id: int, fence: int) -> None:
        self.pid = os.getpid()
        self.status = "in_progress"
        """The job's, as of the last time that the store could be read."""
        self.lost: str | None = None
        """Why it is no longer that run's; None while it is."""
        self._path = path
        self._key = (job_id, fence)
        self._connection: Connection | None = None
        self._next = 0.0

    def refresh(self) -> None:
        """Read again, if it is time."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _READ_EVERY_S

            with contextlib.suppress(StoreError):
                connection = self._open()
                row = connection.execute(_STATUS, self._key).fetchone()
                if row is None:
                    self._read_why_lost(connection)
                else:
                    self.status = row[0]

    def _read_why_lost(self, connection: Connection) -> None:
        from jobdash.store.leases.lease import Lease

        refusal = Lease(connection, *self._key, attempt=0, lease_ms=0, actor="").refusal()
        self.status = "cancelled"
        self.lost = None if refusal.cancelled else str(refusal)

    def _open(self) -> Connection:
        if self._connection is None:
            from jobdash.store.connections import connect_reader
            from jobdash.store.location import read_location

            self._connection = connect_reader(read_location(self._path))
        return self._connection
