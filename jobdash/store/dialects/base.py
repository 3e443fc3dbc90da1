"""What the databases of a store have in common: connections, rows, transactions, and pieces of SQL.

The statements of the store are written once, in the SQL that both SQLite and PostgreSQL read. What only one
of them has is in its own dialect module, which alone imports its driver.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from jobdash.domain.time import Clock

T = TypeVar("T")
Row = tuple[Any, ...]
Values = Any
"""The values of a statement: a sequence for ``?``, a mapping for ``:name``."""

BUSY_TIMEOUT_MS = 5_000
MAX_PARAMETERS = 500
"""Values bound at once; SQLite's oldest limit of parameters is 999."""
OPTION = "--db"
"""How a person names another store to a command."""


class Dialect(NamedTuple):
    """The pieces of SQL that differ between databases."""

    name: str
    revision: str
    """The revision as of which a statement sees the store: every change that it does not see is made with a
    higher one. Some changes that it does see may be, too."""
    stamp: str
    """What differs between two statements that see different states of the jobs."""
    pace_s: float
    """Seconds to collect before the store is read or written again; 0 for a file."""
    lock_job: str
    """What ends a query of a job that is read before it is written, so that no other change comes between."""
    in_packets: bool
    """A statement costs a message over a network, so that one large statement is better than several."""
    sorts_arms: bool
    """Whether each arm of a union that is read in an order has to be ordered, and cut, by itself."""


class Rows(Protocol):
    """The rows that a statement returns; methods raise `StoreError`."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""

    def fetchone(self) -> Any:
        """Return the next row, None at the end."""

    def fetchall(self) -> list[Row]:
        """Return the rows that are left."""

    def __iter__(self) -> Iterator[Row]: ...

    def close(self) -> None:
        """Discard the rows that are left."""


class Connection(Protocol):
    """A connection to a store: one thread at a time, `interrupt` from any.

    Methods raise `StoreError`, as the class that says what is wrong, with a sentence for a person.
    """

    @property
    def dialect(self) -> Dialect:
        """The SQL of its database."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    @property
    def clock_offset_ms(self) -> int:
        """How far the store's clock is ahead of this computer's, in milliseconds; 0 for a file."""

    def execute(self, sql: str, values: Values = (), /) -> Rows:
        """Run a statement."""

    def executemany(self, sql: str, rows: Iterable[Values], /) -> object:
        """Run a statement for each of several rows of values."""

    def begin(self, job_id: int | None = None, *, relaxed: bool = False) -> None:
        """Begin a transaction that will write, waiting for other writers, at most `BUSY_TIMEOUT_MS`.

        Only one such transaction is open at a time, so what it reads first still holds when it writes. With
        ``job_id`` it writes to this job alone, and those of other jobs may be open. ``relaxed``: a power cut
        may take it.
        """

    def commit(self) -> None:
        """Commit the transaction."""

    def write_job(self, job_id: int, sql: str, values: Values, *, relaxed: bool = False) -> list[Row]:
        """Run one statement in a transaction of its own that writes to one job alone; return its rows."""

    def rollback(self) -> None:
        """Undo the transaction, if one is open."""

    def interrupt(self) -> None:
        """Stop the statement that runs now, if one does: it raises `Interrupted`."""

    def data_version(self) -> int:
        """Return a number that changes when another connection has committed."""

    def set_busy_timeout(self, ms: int) -> None:
        """Set how long a statement waits for other writers."""

    def close(self) -> None:
        """Close the connection."""


# Transactions


@contextlib.contextmanager
def transaction(
    connection: Connection, job_id: int | None = None, *, relaxed: bool = False
) -> Iterator[None]:
    """Hold the store, or one job, for writing; commit at the end, roll back on any exception."""
    try:
        connection.begin(job_id, relaxed=relaxed)  # an interrupt may come right after it
        yield
        connection.commit()
    except BaseException:
        connection.rollback()  # the database may have done so by itself, when the disk was full for one
        raise


class StoreClock:
    """A clock that agrees with the store's, so that all hosts compare leases and claims by one clock.

    ``clock`` is this computer's, or one that follows another connection to the store.
    """

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self.local: Clock = clock.local if isinstance(clock, StoreClock) else clock
        """This computer's."""

    def __call__(self) -> int:
        """Return the time in milliseconds UTC."""
        return self.local() + self._connection.clock_offset_ms


# Statements


def greater(one: str, other: str) -> str:
    """Return the SQL of the greater of two numbers; it is NULL where ``one`` is."""
    return f"CASE WHEN {one} < {other} THEN {other} ELSE {one} END"


def placeholders(values: Sequence[object]) -> str:
    """Return as many ``?`` as there are values."""
    return ", ".join("?" * len(values))


def chunks(values: Sequence[T], size: int = MAX_PARAMETERS) -> Iterator[Sequence[T]]:
    """Yield ``values`` in pieces of at most ``size``."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
