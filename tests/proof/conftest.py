"""One nursery for all proofs, and a fresh store to copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.lives import Nursery
from kit.local_world import LocalWorld
from kit.world import World

from jobdash.store.connections import ensure_store


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


@pytest.fixture(scope="session")
def cradle() -> Iterator[Nursery]:
    """Where scripts of users are born."""
    with Nursery("kit.script") as made:
        yield made


@pytest.fixture(scope="session")
def fresh_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fresh") / "jobs.db"
    ensure_store(path)
    return path


@pytest.fixture
def place(tmp_path: Path, fresh_store: Path, nursery: Nursery, cradle: Nursery) -> LocalWorld:
    return LocalWorld(tmp_path, fresh_store, nursery, cradle)


@pytest.fixture
def world(tmp_path: Path, fresh_store: Path) -> Iterator[World]:
    with World(tmp_path, fresh_store) as made:
        yield made
