"""What holds for every test."""

from __future__ import annotations

import gc


def pytest_collection_finish() -> None:
    """Keep the collector off modules and tests, which stay to the end: a tenth of the suite's time."""
    gc.collect()
    gc.freeze()
