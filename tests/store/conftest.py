"""Real stores in temporary folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import postgres_kit
import pytest
from shared.empty_store import empty_store
from store_kit import HandClock, actor

from jobdash.store.location import StoreLocation
from jobdash.store.reader import Reader
from jobdash.store.writer import Writer


@pytest.fixture
def path(tmp_path: Path, database: str) -> StoreLocation:
    """Where an empty store is, in each database that a test is for."""
    if database == "postgresql":
        return postgres_kit.empty_store(tmp_path)
    return empty_store(tmp_path / "data" / "jobs.db")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def writer(path: StoreLocation, clock: HandClock) -> Iterator[Writer]:
    with Writer(path, clock, actor()) as made:
        yield made


@pytest.fixture
def reader(path: StoreLocation, clock: HandClock) -> Iterator[Reader]:
    made = Reader(path, clock)
    yield made
    made.close()
