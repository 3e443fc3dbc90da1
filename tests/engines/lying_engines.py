"""Engines that break one promise each; the conformance suite has to find it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from jobdash.engines.dbos import DbosEngine
from jobdash.errors import ConfigError


class LosesKeys(DbosEngine):
    """Of each dispatch the last key is lost."""

    def dispatch(self, keys: Sequence[str]) -> None:
        super().dispatch(keys[:-1])


class DeliversTwice(DbosEngine):
    def start(self, handle: Callable[[str], None], concurrency: int) -> None:
        def twice(key: str) -> None:
            handle(key)
            handle(key)

        super().start(twice, concurrency)


class ForgetsNothing(DbosEngine):
    def forget(self, jobs: Sequence[str]) -> None:
        del jobs


class NeverWaits(DbosEngine):
    """Its ``stop`` returns while calls run."""

    def stop(self, patience_s: float) -> None:
        del patience_s
        super().stop(0)


class StartsAnyway(DbosEngine):
    """It starts without its database."""

    def start(self, handle: Callable[[str], None], concurrency: int) -> None:
        with suppress(ConfigError):
            super().start(handle, concurrency)
