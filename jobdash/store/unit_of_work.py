"""Transactions of the writer, alone or several in one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from jobdash.domain.time import Clock
from jobdash.errors import StoreError, StoreTooNew
from jobdash.store.connections import connect_writers
from jobdash.store.dialects.base import Connection, StoreClock, transaction
from jobdash.store.files import identity, refuse_replaced
from jobdash.store.location import StoreLocation
from jobdash.store.records import Actor
from jobdash.store.schema.current import SCHEMA_VERSION


@dataclass(frozen=True)
class WriteResult:
    """What a write returned, or what it raised."""

    value: Any = None
    error: Exception | None = None


class _RolledBack(Exception):
    """A write of a batch without savepoints failed, and cannot be undone alone."""


@dataclass
class _Batch:
    """A transaction that several writes share."""

    connection: Connection
    savepoints: bool
    """Whether each write can be undone alone; it costs two statements."""
    failed: bool = False
    """A write failed and was not undone: the whole transaction has to be."""

    @contextmanager
    def write(self) -> Iterator[None]:
        """Undo what is written inside, and nothing else, when it fails, or mark the batch as failed."""
        driver = self.connection
        if self.savepoints:
            driver.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self.failed = not self.savepoints
            if self.savepoints and driver.in_transaction:  # else SQLite has undone more than this already
                driver.execute("ROLLBACK TO part")
                driver.execute("RELEASE part")
            raise
        if self.savepoints:
            driver.execute("RELEASE part")


class UnitOfWork:
    """The connections of one process's writer; used from one thread.

    Every public method of the classes built on it is one transaction (or several of at most 5,000 rows) and
    raises `StoreError` when the store cannot be written.
    """

    def __init__(self, location: StoreLocation, clock: Clock, actor: Actor) -> None:
        self._location = location
        self._actor = actor
        self.identity = identity(location)
        """The file that is written."""
        self._durable, self._quick = connect_writers(location)
        self._clock = StoreClock(self._quick, clock)
        self._batch: _Batch | None = None
        """The batch that is being written."""
        self._refuse_replaced()

    @property
    def clock(self) -> Clock:
        """The store's clock."""
        return self._clock

    def close(self) -> None:
        """Close both connections."""
        self._durable.close()
        self._quick.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def batch(self, writes: Sequence[Callable[[Self], Any]]) -> list[WriteResult]:
        """Run several writes in one durable transaction: one wait for the disk instead of one each.

        One that fails is undone alone; then, which is rare, all are run once more. Raises `StoreError` when
        the whole transaction could not be committed: then nothing of it is there.
        """
        if len(writes) < 2:
            return [self._run(write) for write in writes]
        try:
            return self._run_batch(writes, savepoints=False)
        except _RolledBack:
            return self._run_batch(writes, savepoints=True)

    def _run_batch(self, writes: Sequence[Callable[[Self], Any]], *, savepoints: bool) -> list[WriteResult]:
        """Run writes in one transaction; `_RolledBack` when one fails and cannot be undone alone."""
        results: list[WriteResult] = []
        with self._transaction(durable=True) as connection:
            batch = _Batch(connection, savepoints)
            self._batch = batch
            try:
                for write in writes:
                    result = self._run(write)
                    if not connection.in_transaction:  # SQLite undid all of it: a full disk does that
                        lost = f"The store {self._location} cannot be written: a transaction was lost."
                        raise result.error or StoreError(lost)
                    if batch.failed:
                        raise _RolledBack
                    results.append(result)
            finally:
                self._batch = None
        return results

    def _run(self, write: Callable[[Self], Any]) -> WriteResult:
        try:
            return WriteResult(write(self))
        except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
            return WriteResult(error=error)

    @property
    def _reading(self) -> Connection:
        """The driver's connection to read from outside a transaction; it sees what a batch has written."""
        return self._batch.connection if self._batch else self._quick

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[Connection]:
        """Begin a transaction, commit it at the end, roll it back on any exception.

        ``durable`` is for what must survive a power cut. Inside `batch` this is a part of the batch's
        transaction. Raises `StoreError`.
        """
        if self._batch is not None:
            batch = self._batch
            with batch.write():
                yield batch.connection
            return
        self._refuse_replaced()
        connection = self._durable if durable else self._quick
        with transaction(connection):
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            if found is None or str(found[0]) != SCHEMA_VERSION:
                raise StoreTooNew(
                    f"The store {self._location} was upgraded by a newer jobdash. Restart to go on."
                )
            yield connection
        self._refuse_replaced()  # what was committed into a deleted file is not written

    @property
    def _files_host(self) -> str | None:
        """The host of the files that this process writes; None in a store that only one host uses."""
        return None if isinstance(self._location, Path) else self._actor.host

    def _refuse_replaced(self) -> None:
        refuse_replaced(self._location, self.identity)
