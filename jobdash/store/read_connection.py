"""The connection of a reader, and its queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from jobdash.domain.job import JobRow
from jobdash.domain.time import Clock, system_clock
from jobdash.store.connections import connect_reader
from jobdash.store.dialects.base import StoreClock, Values, chunks, placeholders
from jobdash.store.files import identity, refuse_replaced
from jobdash.store.location import PostgresLocation, StoreLocation, beside
from jobdash.store.rows import COLUMNS, job_row

if TYPE_CHECKING:
    from jobdash.store.change_feed import ChangeFeed


class ReadConnection:
    """A read-only connection.

    Every query sees one consistent state of the store and raises `StoreError` when it cannot be read. To be
    used by one thread at a time; `interrupt` by any thread at any time.
    """

    def __init__(self, location: StoreLocation, clock: Clock = system_clock) -> None:
        self._location = location
        self._given_clock = clock
        self.identity = identity(location)
        """The file that is read."""
        self._connection = connect_reader(location)
        self._clock = StoreClock(self._connection, clock)
        self._feed: ChangeFeed | None = None

    @property
    def location(self) -> StoreLocation:
        """Where the store is."""
        return self._location

    @property
    def path(self) -> Path:
        """The path of the store, beside which lies what belongs to its jobs; see `beside`."""
        return beside(self._location)

    @property
    def clock(self) -> Clock:
        """The store's clock."""
        return self._clock

    def clock_like(self, clock: Clock) -> Clock:
        """Return a clock that agrees with the store's, made of another clock of this computer."""
        return StoreClock(self._connection, clock)

    @property
    def now(self) -> int:
        """The present time, milliseconds UTC."""
        return self._clock()

    def close(self) -> None:
        """Close the connection."""
        if self._feed is not None:
            self._feed.stop()
        self._connection.close()

    def follow(self) -> None:
        """Poll for changes in a thread from now on, where the store is on a server.

        `data_version` then waits for nothing, and while the store is away every query is refused at once.
        """
        if isinstance(self._location, PostgresLocation):
            from jobdash.store.change_feed import ChangeFeed
            from jobdash.store.dialects import postgres

            assert isinstance(self._connection, postgres.Connection)
            self._feed = ChangeFeed(self._location, self._connection)
            self._feed.start()

    def data_version(self) -> int:
        """Return a number that changes when another connection has committed; takes 3 µs."""
        return self._connection.data_version() if self._feed is None else self._feed.version

    @property
    def away_since(self) -> int | None:
        """Since when the store does not answer, ms UTC; None while it does, and where it is not followed."""
        return None if self._feed is None else self._feed.away_since

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def refuse_replaced(self) -> None:
        """Raise `StoreError` when the store's path leads to another file by now, or to none; 3 µs."""
        refuse_replaced(self._location, self.identity)

    def interrupt(self) -> None:
        """Stop the query that runs now, if one does: it raises `Interrupted`."""
        self._connection.interrupt()

    def _all(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, values).fetchall()

    def _among(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return the rows of a query for any number of values, which stand where it has ``{values}``."""
        return [
            row
            for some in chunks(values)
            for row in self._all(sql.replace("{values}", placeholders(some)), some)
        ]

    def _value(self, sql: str, values: Values = ()) -> Any:
        return self._all(sql, values)[0][0]

    def _rows(self, sql: str, values: Values = ()) -> list[JobRow]:
        return [job_row(values) for values in self._all(sql, values)]

    def rows(self, ids: Sequence[int]) -> dict[int, JobRow]:
        """Return rows by id, removed ones too; unknown ids are left out."""
        found = self._among(f"SELECT {COLUMNS} FROM job WHERE id IN ({{values}})", ids)
        return {row.id: row for row in map(job_row, found)}

    def _tags(self, ids: Sequence[int]) -> dict[int, dict[str, str]]:
        """Return the tags of jobs by id, each in the order of its keys; jobs without any are left out."""
        tags: dict[int, dict[str, str]] = defaultdict(dict)
        sql = "SELECT job_id, key, value FROM job_tag WHERE job_id IN ({values}) ORDER BY key"
        for job_id, key, value in self._among(sql, ids):
            tags[job_id][key] = value
        return tags
