"""What holds for every test; tests of the store run in each of its databases.

Those that ask for the fixture ``database`` are run once for each, but for those marked ``sqlite_only``. With
PostgreSQL most are slow tests: it takes three times as long, and a slice of all kinds is run each time.
"""

from __future__ import annotations

import gc

import pytest

SQLITE, POSTGRESQL = "sqlite", "postgresql"
_EACH_TIME = frozenset(
    {
        "test_cancel_job", "test_leases", "test_postgres", "test_script_jobs", "test_sync_store",
        "test_unit_of_work",
    }
)  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the full counts of the proofs the time they take: every other test ends within ``timeout``."""
    for item in items:
        if item.get_closest_marker("marathon"):
            item.add_marker(pytest.mark.timeout(0))


def pytest_collection_finish() -> None:
    """Keep the collector off modules and tests, which stay to the end: a tenth of the suite's time."""
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests of the store in each of its databases."""
    if "database" not in metafunc.fixturenames:
        return
    only = metafunc.definition.get_closest_marker("sqlite_only")
    marks = [pytest.mark.postgres]
    if metafunc.module.__name__ not in _EACH_TIME:
        marks.append(pytest.mark.slow)
    server = pytest.param(POSTGRESQL, marks=marks)
    if metafunc.definition.get_closest_marker("postgres_only"):
        metafunc.parametrize("database", [server])
    else:
        metafunc.parametrize("database", [SQLITE] if only else [SQLITE, server])
