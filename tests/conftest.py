"""What holds for every test; tests of the store run in each of its databases.

Those that ask for the fixture ``database`` are run once for each, but for those marked ``sqlite_only``.
"""

from __future__ import annotations

import gc

import pytest

SQLITE, POSTGRESQL = "sqlite", "postgresql"


def pytest_collection_finish() -> None:
    """Keep the collector off modules and tests, which stay to the end: a tenth of the suite's time."""
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests of the store in each of its databases."""
    if "database" not in metafunc.fixturenames:
        return
    only = metafunc.definition.get_closest_marker("sqlite_only")
    both = [SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.postgres)]
    metafunc.parametrize("database", [SQLITE] if only else both)
