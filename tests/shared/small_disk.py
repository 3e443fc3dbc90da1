"""A small disk for the tables of a store on a server, to fill and to free."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import postgres_kit
import pytest


class Disk:
    """A small disk that holds a store's tables; the server's own files are elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Leave no room at all."""
        with self._filler.open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"\0" * 4096)
            except OSError:
                return

    def free(self) -> None:
        self._filler.unlink()


@contextmanager
def server_on_small_disk() -> Iterator[tuple[postgres_kit.Server, Disk]]:
    """A server, with its database ``jobs`` on such a disk; the test is skipped where none can be mounted."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    with postgres_kit.own_folder() as folder, postgres_kit.own_folder() as place:
        mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "jobdash-test", str(place)]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("no disk can be mounted here")
        try:
            (place / "tables").mkdir()
            for each in (place, place / "tables"):
                each.chmod(0o700)
                shutil.chown(each, "nobody", "nogroup")
            with postgres_kit.running(folder) as running:
                running.run(f"CREATE TABLESPACE small LOCATION '{place / 'tables'}'")
                running.run("CREATE DATABASE jobs TABLESPACE small")
                yield running, Disk(place)
        finally:
            subprocess.run(["umount", "-l", str(place)], check=True)
