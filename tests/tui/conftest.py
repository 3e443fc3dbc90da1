"""Real stores in temporary folders, and the emulator on a port of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobdash.demo.emulator import Emulator, EmulatorServer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "jobdash.db"


@pytest.fixture
def emulator() -> Emulator:
    return Emulator()


@pytest.fixture
def server(emulator: Emulator) -> Iterator[EmulatorServer]:
    with EmulatorServer(emulator) as running:
        yield running
