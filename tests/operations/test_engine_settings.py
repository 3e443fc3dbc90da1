"""Where the engine of a store in a file keeps its queue."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from sqlalchemy import make_url

from jobdash.errors import ConfigError
from jobdash.operations.scripts.functions import _engine_settings


def test_stores_beside_each_other_have_queues_of_their_own(tmp_path: Path) -> None:
    addresses = {
        _engine_settings(tmp_path / name, 0.5).address
        for name in ("jobs.db", "jobs.sqlite", "jobs", "50% é#.db")
    }
    paths = {Path(make_url(address).database or "") for address in addresses}
    assert paths == set(tmp_path.iterdir())
    assert len(paths) == 4


@pytest.mark.parametrize("name", ["jobs?.db", "jobs%41.db"])
def test_a_path_that_would_be_read_as_another_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"the engine's queue cannot be at .*jobs.*: its path"):
        _engine_settings(tmp_path / name, 0.5)
    assert not list(tmp_path.iterdir())


def test_a_queue_is_its_owners_alone_also_one_that_was_there(tmp_path: Path) -> None:
    queue = tmp_path / "jobs.db.engine"
    queue.touch(mode=0o644)
    queue.chmod(0o644)
    _engine_settings(tmp_path / "jobs.db", 0.5)
    assert stat.S_IMODE(queue.stat().st_mode) == 0o600


def test_a_queue_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        _engine_settings(tmp_path / "nowhere" / "jobs.db", 0.5)
