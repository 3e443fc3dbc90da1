"""Places in the store's own code at which a script's process kills or stops itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import wraps
from itertools import count
from typing import Any

from jobdash.store import claims
from jobdash.store.dialects import base
from jobdash.store.leases import Lease

_WHERE: dict[str, tuple[Any, str]] = {
    "claims.find_job": (claims, "find_job"),
    "claims._ready": (claims, "_ready"),
    "claims._insert": (claims, "_insert"),
    "claims._take": (claims, "_take"),
    "Lease.expect": (Lease, "expect"),
    "sqlite.begin": (base, "begin"),
    "Lease._difference": (Lease, "_difference"),
    "Lease._add": (Lease, "_add"),
    "Lease._upsert": (Lease, "_upsert"),
    "sqlite.commit": (base, "commit"),
    "Lease.finish": (Lease, "finish"),
}
POINTS = tuple(f"{when} {name}" for name in _WHERE for when in ("before", "after"))
OUTSIDE = frozenset(
    {
        *(f"{when} Lease.{name}" for when in ("before", "after") for name in ("expect", "finish")),
        "before sqlite.begin",
        "after sqlite.commit",
    }
)
"""Where no transaction is open: anywhere else a process that is stopped holds the store for writing."""


def arm(place: str, number: int) -> None:
    """Let this process be sent a signal at a place: ``before sqlite.commit 3``, its third call."""
    when, name, nth = place.split()
    module, attribute = _WHERE[name]
    do: Callable[..., Any] = getattr(module, attribute)
    calls = count(1)

    @wraps(do)
    def watched(*args: Any, **more: Any) -> Any:
        now = next(calls) == int(nth)
        if now and when == "before":
            _strike(number)
        found = do(*args, **more)
        if now and when == "after":
            _strike(number)
        return found

    setattr(module, attribute, watched)


def _strike(number: int) -> None:
    # At this very thread: another one might be chosen, and this one run on into a transaction.
    signal.pthread_kill(threading.get_ident(), number)


KILL, STOP = int(signal.SIGKILL), int(signal.SIGSTOP)
