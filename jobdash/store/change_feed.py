"""Follow a store on a server in threads, so that a face that reads never waits for the network."""

from __future__ import annotations

import threading

from jobdash.domain.time import system_clock
from jobdash.errors import StoreError
from jobdash.store.dialects import postgres
from jobdash.store.location import PostgresLocation

_POLL_EVERY_S = 0.25
_STUCK_S = 2.0
"""A poll, or a query of the face, that takes longer is ended: the server counts as away."""


class ChangeFeed:
    """Polls for changes four times a second over a connection of its own, and notices when a store is away.

    ``reader`` is the connection that the face reads from. While the store is away all that it asks is refused
    at once, and a query that hangs is ended.
    """

    def __init__(self, location: PostgresLocation, reader: postgres.Connection) -> None:
        self.version = 0
        """Changes when the store has changed, and when it is there again."""
        self.away_since: int | None = None
        """Since when the store does not answer, milliseconds UTC; None while it does."""
        self._location = location
        self._reader = reader
        self._own: postgres.Connection | None = None
        self._reader_lost = False
        self._ended = threading.Event()
        reader.is_away = lambda: self.away_since is not None
        reader.on_lost = self._lost

    def start(self) -> None:
        """Start the threads."""
        for work, name in ((self._follow, "jobdash-changes"), (self._end_stuck, "jobdash-timeouts")):
            threading.Thread(target=work, name=name, daemon=True).start()

    def stop(self) -> None:
        """End both; a poll that hangs is not waited for."""
        self._ended.set()

    def _lost(self) -> None:
        """Let the face read again once its connection can be made anew."""
        self._reader_lost = True

    def _follow(self) -> None:
        seen: int | None = None
        while not self._ended.is_set():
            try:
                seen = self._poll(seen)
            except StoreError:
                if self.away_since is None:
                    self.away_since = system_clock()
            self._ended.wait(_POLL_EVERY_S)
        if self._own is not None:
            self._own.close()

    def _poll(self, seen: int | None) -> int:
        if self._own is None:
            self._own = postgres.connect_reader(self._location)
        found = self._own.data_version()
        self._reader.set_clock_offset(self._own.clock_offset_ms)
        if found != seen or self.away_since is not None or self._reader_lost:
            self._reader_lost = False
            self.away_since = None
            self.version += 1
        return found

    def _end_stuck(self) -> None:
        while not self._ended.wait(_POLL_EVERY_S):
            for connection in (self._reader, self._own):
                if connection is not None:
                    connection.end_if_stuck(_STUCK_S)
