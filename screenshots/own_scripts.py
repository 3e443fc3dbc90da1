"""Three jobs of a person's own scripts for the pictures: as their workers would have left them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from jobdash.operations.person import current_actor
from jobdash.store.bootstrap import open_for_worker
from jobdash.store.leases.claims import ClaimRequest, claim
from jobdash.store.leases.lease import ItemWrite
from jobdash.store.leases.parts import NewFunctionJob, claim_part, due, insert_job
from jobdash.store.owner import Owner, current_owner

MINUTE = 60_000
HOUR = 60 * MINUTE
ELSEWHERE = Owner("another machine", "another boot", 1, 4711, 99)
"""A process nobody here can look at: its pid is the same in every picture."""
_PHOTOS = [f"photos/2026/{month:02}/img_{number:04}.jpg" for month in range(1, 5) for number in range(60)]
_ROWS = [f"order {number:05}" for number in range(20_400, 20_490)]
_TAPES = [f"interviews/tape_{number:03}.wav" for number in range(1, 41)]
_DAMAGED = ("OSError", "image file is truncated (12 bytes not processed)")
_VOID = dict.fromkeys((17, 102, 211, 260), ("TimeoutError", "the elevation server did not answer"))
_PRICELESS = ("ValueError", "no price in column 7")


@contextmanager
def clock_at(now: int) -> Iterator[None]:
    """Let the store's own clock stand still."""
    with patch("jobdash.store.dialects.sqlite.now_ms", lambda: now):
        yield


def add_scripts(path: Path, now: int) -> None:
    """Write one job that moves, one with failed items that was cancelled, one that stalled."""
    bad = dict.fromkeys((31, 58, 84, 90), _DAMAGED)
    _job(path, "thumbnails", "files", _PHOTOS, 96, now - 4 * MINUTE, bad, lease_ms=HOUR)
    every = dict.fromkeys(range(4, 62, 12), _PRICELESS)
    _job(path, "import-orders", "rows", _ROWS, 62, now - 12 * MINUTE, every, end="cancelled")
    _job(path, "transcribe-tapes", "recordings", _TAPES, 7, now - 31 * MINUTE, {}, lease_ms=29 * MINUTE)
    names = {"thumbnails": "7c2mx4qd", "import-orders": "m1r8w0tz", "transcribe-tapes": "d9k3e5vb"}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for name, public in names.items():
            connection.execute("UPDATE job SET public_id = ? WHERE name = ?", (public, name))


def add_function_job(path: Path, now: int) -> None:
    """Write a job of a function that two workers are at: of ten parts three are done, and six are held."""
    places = [f"tiles/{x:02}-{y:02}" for x in range(24) for y in range(20)]
    new = NewFunctionJob(
        "render:tile",
        "render-tiles",
        current_actor("script").name,
        ELSEWHERE.machine,
        [(place, f'"{place}"') for place in places],
        10,
    )
    with clock_at(now - 9 * MINUTE):
        connection = open_for_worker(path)
        public = insert_job(connection, new)
        for number, key in enumerate(due(connection, ["render:tile"], 9)):
            worker = replace(ELSEWHERE, pid=4711 + number % 2)
            claimed = claim_part(connection, key, worker, current_actor("script").name, HOUR, {"render:tile"})
            assert claimed is not None
            items = claimed.lease.next_items()
            some = items if number < 3 else items[: 9 + 4 * number]
            claimed.lease.write_items([_outcome(each.key, each.seq, _VOID.get(each.seq)) for each in some])
            if number < 3:
                claimed.lease.end_part(done=True)
        connection.execute("UPDATE job SET public_id = 'r7t1n4e8' WHERE public_id = ?", (public,))
        connection.close()


def _job(
    path: Path,
    name: str,
    unit: str,
    keys: list[str],
    done: int,
    began: int,
    bad: dict[int, tuple[str, str]],
    *,
    lease_ms: int = MINUTE,
    end: str | None = None,
) -> None:
    owner = current_owner() if end else ELSEWHERE
    command = ("/usr/bin/python3", f"{name.replace('-', '_')}.py", "--all")
    with clock_at(began):
        wanted = ClaimRequest(
            name,
            owner,
            current_actor("script").name,
            True,
            lease_ms,
            len(keys),
            unit=unit,
            argv=command,
            cwd="/",
        )
        claimed = claim(open_for_worker(path), wanted)
        lease = claimed.lease
        lease.expect(keys)
        lease.write_items([_outcome(key, number, bad.get(number)) for number, key in enumerate(keys[:done])])
        if end:
            lease.finish(end, f"cancelled at {done} of {len(keys)}")
        lease.connection.close()


def _outcome(key: str, number: int, wrong: tuple[str, str] | None) -> ItemWrite:
    if wrong is not None:
        return ItemWrite(key, "error", None, *wrong)
    return ItemWrite(key, "ok", f'"{(number * 37) % 90 + 8} KB"')
