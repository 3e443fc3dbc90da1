"""Places in the store's own code at which the process of a script, or of a worker, kills or stops itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import wraps
from itertools import count
from typing import Any

from jobdash.store.dialects import postgres, sqlite
from jobdash.store.leases import claims
from jobdash.store.leases.lease import Lease
from jobdash.store.leases.part_lease import PartLease
from jobdash.worker import part_run

_CONNECTIONS = (sqlite.Connection, postgres.Connection)
_WHERE: dict[str, tuple[Any, str]] = {
    "claims.find_job": (claims, "find_job"),
    "claims._ready": (claims, "_ready"),
    "claims._insert": (claims, "_insert"),
    "claims._take": (claims, "_take"),
    "Lease.expect": (Lease, "expect"),
    "sqlite.begin": (_CONNECTIONS, "begin"),
    "Lease._difference": (Lease, "_difference"),
    "Lease._add": (Lease, "_add"),
    "Lease._upsert": (Lease, "_upsert"),
    "sqlite.commit": (_CONNECTIONS, "commit"),
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

_WHERE_OF_PARTS: dict[str, tuple[Any, str]] = {
    "part.claim": (part_run, "claim_part"),
    "part.next_items": (PartLease, "next_items"),
    "part.begin": (_CONNECTIONS, "begin"),
    "part._difference": (Lease, "_difference"),
    "part._add": (PartLease, "_add"),
    "part._renewed": (PartLease, "_renewed"),
    "part._upsert": (Lease, "_upsert"),
    "part.commit": (_CONNECTIONS, "commit"),
    "part.renew": (Lease, "renew"),
    "part.end": (PartLease, "end_part"),
    "part._finish": (PartLease, "_finish"),
}
_WHERE_OF_PACKETS: dict[str, tuple[Any, str]] = {"part.write_items": (Lease, "write_items")}
"""Of one item in SQLite, of those of a quarter of a second in PostgreSQL; no transaction is open."""
PART_POINTS = tuple(f"{when} {name}" for name in _WHERE_OF_PARTS for when in ("before", "after"))
PART_OUTSIDE = frozenset(
    {
        *(
            f"{when} part.{name}"
            for when in ("before", "after")
            for name in ("claim", "next_items", "renew", "end")
        ),
        "before part.begin",
        "after part.commit",
    }
)


def arm(place: str, number: int) -> None:
    """Let this process be sent a signal at a place: ``before sqlite.commit 3``, its third call."""
    when, name, nth = place.split()
    owners, attribute = (_WHERE | _WHERE_OF_PARTS | _WHERE_OF_PACKETS)[name]
    calls = count(1)

    def watch(do: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(do)
        def watched(*args: Any, **more: Any) -> Any:
            now = next(calls) == int(nth)
            if now and when == "before":
                _strike(number)
            found = do(*args, **more)
            if now and when == "after":
                _strike(number)
            return found

        return watched

    for owner in owners if isinstance(owners, tuple) else (owners,):
        setattr(owner, attribute, watch(getattr(owner, attribute)))


def _strike(number: int) -> None:
    # At this very thread: another one might be chosen, and this one run on into a transaction.
    signal.pthread_kill(threading.get_ident(), number)


KILL, STOP = int(signal.SIGKILL), int(signal.SIGSTOP)
