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
_FAST, _SLOW = 6, 12
"""The most cases of one test that are run with PostgreSQL each time, and in the slow suite."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take slices of each matrix on PostgreSQL, give the full counts their time, and put PostgreSQL in front.

    One process of the tests gets the first of them: it alone starts a server in the fast suite.
    """
    by_test: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("postgres") and not item.get_closest_marker("marathon"):
            by_test.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for matrix in by_test.values():
        for item in set(matrix) - slice_of(matrix, _FAST):
            item.add_marker(pytest.mark.slow)
        for item in set(matrix) - slice_of(matrix, _FAST) - slice_of(matrix, _SLOW):
            item.add_marker(pytest.mark.marathon)
    full = [item for item in items if item.get_closest_marker("marathon")]
    for item in full:
        item.add_marker(pytest.mark.timeout(0))
    if "marathon" not in config.option.markexpr:  # else some would be run as slow tests, too
        config.hook.pytest_deselected(items=full)
        items[:] = [item for item in items if not item.get_closest_marker("marathon")]
    items.sort(key=lambda item: item.get_closest_marker("postgres") is None)


def slice_of(matrix: list[pytest.Item], most: int) -> set[pytest.Item]:
    """Return at most so many cases, evenly spread over all of them."""
    return set(matrix[:: -(-len(matrix) // most)])


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
