"""An empty store in a file, copied from one that each process of the tests makes once."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from jobdash.store.bootstrap import ensure_store


def empty_store(path: Path) -> Path:
    """Make an empty store at ``path`` and return it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(_made_once())
    return path


@functools.cache
def _made_once() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data" / "jobs.db"
        ensure_store(path)
        return path.read_bytes()
