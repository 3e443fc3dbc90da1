"""A fresh store for each test, and scripts of users."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import postgres_kit
import pytest
from shared.empty_store import empty_store
from worker_kit import Scripts, Seen

from jobdash.store.location import StoreLocation, written


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    """Whoever runs the tests in the background has them ignore Ctrl-C, and track() keeps to that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def path(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> StoreLocation:
    file: StoreLocation
    if database == "postgresql":
        file = postgres_kit.empty_store(tmp_path / "data")
    else:
        file = empty_store(tmp_path / "data" / "jobs.db")
    monkeypatch.setenv("JOBDASH_DATABASE", written(file))
    monkeypatch.setenv("JOBDASH_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").touch()
    for name in ("JOBDASH_LEASE", "JOBDASH_JOB", "JOBDASH_LOG_FILE", "JOBDASH_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
    return file


@pytest.fixture
def seen(path: Path) -> Seen:
    return Seen(path)


@pytest.fixture
def scripts(path: Path, tmp_path: Path) -> Iterator[Scripts]:
    with Scripts(path, tmp_path) as made:
        yield made
