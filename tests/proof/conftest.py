"""One fork_server for all proofs, and a fresh store to copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import postgres_kit
import pytest
from kit.child_processes import ForkServer
from kit.local_world import LocalWorld
from kit.part_world import PartWorld, ServedPartWorld
from kit.world import World

from jobdash.store.bootstrap import ensure_store
from jobdash.store.location import PostgresLocation


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    with ForkServer() as made:
        yield made


@pytest.fixture(scope="session")
def script_server() -> Iterator[ForkServer]:
    """Forks the processes of scripts."""
    with ForkServer("kit.script") as made:
        yield made


@pytest.fixture(scope="session")
def fresh_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fresh") / "jobs.db"
    ensure_store(path)
    return path


@pytest.fixture(scope="session")
def part_server() -> Iterator[ForkServer]:
    """Forks workers at one part each."""
    with ForkServer("kit.part_run_process") as made:
        yield made


@pytest.fixture
def part_place(
    tmp_path: Path, fresh_store: Path, fork_server: ForkServer, part_server: ForkServer
) -> PartWorld:
    return PartWorld(tmp_path, fresh_store, fork_server, part_server)


@pytest.fixture
def served_place(
    tmp_path: Path, fork_server: ForkServer, part_server: ForkServer
) -> Iterator[ServedPartWorld]:
    with postgres_kit.database_with_store("zombies") as url:
        yield ServedPartWorld(tmp_path, PostgresLocation(url), fork_server, part_server)


@pytest.fixture
def place(
    tmp_path: Path, fresh_store: Path, fork_server: ForkServer, script_server: ForkServer
) -> LocalWorld:
    return LocalWorld(tmp_path, fresh_store, fork_server, script_server)


@pytest.fixture
def world(tmp_path: Path, fresh_store: Path) -> Iterator[World]:
    with World(tmp_path, fresh_store) as made:
        yield made
