"""Detection of changes in a store on a server, by polling a few numbers."""

from __future__ import annotations

from collections.abc import Callable


class Changes:
    """Counts the polls of a store that found a change, or one that may be committed later."""

    def __init__(self) -> None:
        self.version = 0
        """How many polls found that something may have changed."""
        self._pulse = -1
        self._snapshot = (0, 0)
        self._until = 0
        """The id of a transaction; until all older ones have ended, one of them may commit a change."""

    def record_poll(self, pulse: int, snapshot: tuple[int, int], newest: Callable[[], int]) -> None:
        """Record the result of a poll.

        ``pulse`` is the number of changes begun; ``snapshot`` the oldest transaction under way, and the end
        of those that have ended; ``newest`` returns an id that is newer than that of any transaction begun so
        far. (No snapshot has the id that is given next: transactions begun since the last that ended are
        beyond it.)
        """
        if pulse != self._pulse:
            self._pulse = pulse
            self._until = newest()
            self.version += 1
        elif self._until and snapshot != self._snapshot:
            self.version += 1
        self._snapshot = snapshot
        if snapshot[0] >= self._until:
            self._until = 0
