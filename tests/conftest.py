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
_SLICE = 6
"""The most cases of one test that are run with PostgreSQL each time, evenly spread over all of them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the proofs their time, take a slice of each matrix on PostgreSQL, and put PostgreSQL in front.

    One process of the tests gets the first of them: it alone starts a server.
    """
    for item in items:
        if item.get_closest_marker("marathon"):
            item.add_marker(pytest.mark.timeout(0))
    on_server = [item for item in items if item.get_closest_marker("postgres")]
    by_test: dict[str, list[pytest.Item]] = {}
    for item in on_server:
        by_test.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for matrix in by_test.values():
        for item in set(matrix) - set(matrix[:: -(-len(matrix) // _SLICE)]):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("postgres") is None)


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
