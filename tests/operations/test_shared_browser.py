"""One connection for the short reads of many fetches, gone at their end."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobdash.errors import Interrupted
from jobdash.operations.job_lookup import Browser, SharedBrowser, open_browser


def test_a_read_behind_the_end_opens_no_connection(tmp_path: Path) -> None:
    # As of a fetch that is cancelled: a thread that waits for its turn to read cannot be.
    store = tmp_path / "jobs.db"
    open_browser(store).browser.close()
    opened: list[Browser] = []

    def open_one() -> Browser:
        opened.append(Browser(store))
        return opened[-1]

    shared = SharedBrowser(open_one)
    for _ in range(2):
        with shared.lend() as browser:
            assert browser.revision() == 0
    shared.close()
    with pytest.raises(Interrupted), shared.lend():
        pass
    assert len(opened) == 1
