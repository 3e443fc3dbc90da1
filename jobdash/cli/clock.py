"""The clock of a command: that of the store, once it is open."""

from __future__ import annotations

from jobdash.domain.time import Clock, system_clock

_clocks: list[Clock] = [system_clock]


def follow(clock: Clock) -> None:
    """Use the clock of this command's store, which may be another computer's."""
    _clocks[:] = [clock]


def store_time() -> int:
    """Return the time in milliseconds UTC."""
    return _clocks[0]()
