"""Scripts for tests of the dashboard: `jobdash.track` for real, in a thread that is led step by step."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jobdash

PATIENCE_S = 20.0


class Script:
    """A user's loop over ``keys``; each item waits for its outcome from the test: ok, error, skip."""

    def __init__(self, path: Path, keys: Sequence[str], name: str = "resize", **more: Any) -> None:
        self.steps: queue.Queue[str] = queue.Queue()
        self.end: BaseException | None = None
        self._asked = {"key": str, "on_error": "record", "unit": "files", "progress": False, **more}
        self._path, self._keys, self._name = path, keys, name
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with jobdash.track(self._keys, self._name, db=self._path, **self._asked) as job:
                for item in job:
                    with item:
                        self._work(item)
        except BaseException as error:  # noqa: BLE001 - whatever ended it is for the test to look at
            self.end = error

    def _work(self, item: Any) -> None:
        step = self.steps.get(timeout=PATIENCE_S)
        if step == "error":
            raise ValueError("no such colour")
        if step == "skip":
            item.skip("already small")
        item.detail = "12 KB"

    def go(self, *steps: str) -> None:
        for step in steps:
            self.steps.put(step)

    def ended(self) -> bool:
        return not self._thread.is_alive()

    def leave(self) -> None:
        """Let it end, whatever it waits for."""
        self.go(*["ok"] * (len(self._keys) + 1))
        self._thread.join(PATIENCE_S)


@contextmanager
def script(path: Path, keys: Sequence[str], name: str = "resize", **more: Any) -> Iterator[Script]:
    running = Script(path, keys, name, **more)
    try:
        yield running
    finally:
        running.leave()
