"""What the tests of the store share: a manual clock, answers of a provider, and raw SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import postgres_kit
import pytest
from postgres_kit import ServerClock

from jobdash.domain.job import JobRow
from jobdash.domain.remote_job import RemoteError, RemoteJob
from jobdash.domain.status import Status
from jobdash.store.dialects import sqlite
from jobdash.store.location import StoreLocation
from jobdash.store.owner import Owner, current_owner
from jobdash.store.reader import Reader
from jobdash.store.records import Actor, UpsertResult
from jobdash.store.sort_orders import Scope, Sort
from jobdash.store.writer import Writer

START = 1_800_000_000_000
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
ORIGIN = "https://api.example/v1"


@dataclass
class HandClock:
    """A clock that stands until it is moved."""

    now: int = START

    def __call__(self) -> int:
        return self.now


def actor(user: str = "ann", owner: Owner | None = None) -> Actor:
    return Actor(user, "desk", "cli", owner or current_owner())


def remote(remote_id: str = "batch_1", status: Status = Status.IN_PROGRESS, **more: Any) -> RemoteJob:
    facts = {"raw_status": str(status), "name": remote_id.upper(), "created_at": START - HOUR}
    return RemoteJob(remote_id=remote_id, status=status, **{**facts, **more})


def remote_error(message: str, code: str | None = None) -> RemoteError:
    return RemoteError(message, code)


def put(writer: Writer, *jobs: RemoteJob, at: int = START, account: str = "openai") -> UpsertResult:
    return writer.upsert(account, "openai", ORIGIN, jobs, at)


def one(writer: Writer, reader: Reader, status: Status = Status.IN_PROGRESS, **more: Any) -> JobRow:
    """Put one job there and return its row."""
    answer = remote(**{"remote_id": "batch_1", **more}, status=status)
    put(writer, answer)
    return reader.by_remote(answer.remote_id)[0]


def raw(path: StoreLocation, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement with the driver alone."""
    if not isinstance(path, Path):
        return postgres_kit.raw(path, sql, values)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(sql, values).fetchall()


def everything(reader: Reader, removed: bool = True) -> list[JobRow]:
    return reader.page(Scope(removed=removed), Sort(), None, 100_000)


@contextmanager
def clock_of(path: StoreLocation, monkeypatch: pytest.MonkeyPatch) -> Iterator[HandClock | ServerClock]:
    """The clock that leases of a store go by, moved by hand."""
    if isinstance(path, Path):
        by_hand = HandClock()
        monkeypatch.setattr(sqlite, "now_ms", by_hand)
        yield by_hand
        return
    served = ServerClock(path, START)
    yield served
    served.close()
