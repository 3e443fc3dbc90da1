"""The jobs and accounts that need attention, as the dashboard last read them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress

from jobdash.config.settings import Config
from jobdash.domain.attention import AccountAttention, Attention, account_attention
from jobdash.domain.time import Clock
from jobdash.errors import StoreError
from jobdash.operations.attention import (
    failing_accounts,
    faulty_health,
    jobs_needing_attention,
    unusable_health,
)
from jobdash.operations.job_lookup import Browser

_READ_EVERY_S, _READ_CHANGED_S = 30.0, 3.0
"""Seconds between two reads: while no job changes (some need attention by time alone), and after a change."""


class AttentionModel:
    """Reads in a thread, with a connection of its own, at intervals."""

    def __init__(self, open_browser: Callable[[], Browser], config: Config, clock: Clock) -> None:
        self._open_browser = open_browser
        self._accounts = config.account_names
        self._unusable = unusable_health(config.unusable) | faulty_health(config.faulty)
        self._dismissed: set[str] = set()
        """Accounts with a mistake that were dismissed: the store has no row of theirs."""
        self._clock = clock
        self._next_at = 0.0
        self._changed = False
        self._reading = False
        self._jobs: list[Attention] = []
        self._jobs_version: tuple[object, int] | None = None
        self._jobs_until = 0.0
        """When the jobs are read again while none changes."""
        self.found: tuple[AccountAttention | Attention, ...] = ()
        self.version = 0
        """Changes whenever `found` does."""

    def dismiss(self, seen: Sequence[AccountAttention | Attention]) -> None:
        """Leave accounts with a mistake in the settings out from now on, until the next start."""
        names = {each.health.name for each in seen if isinstance(each, AccountAttention)}
        self._dismissed |= names & self._unusable.keys()

    def changed(self) -> None:
        """Note that the store has changed."""
        self._changed = True

    def due(self, now: float, *, watched: bool = False) -> bool:
        """Whether they should be read again; ``now`` in seconds of the event loop.

        Where a person is looking at them (``watched``), a change is read at once.
        """
        early = 0.0 if not self._changed else _READ_EVERY_S if watched else _READ_EVERY_S - _READ_CHANGED_S
        return not self._reading and now >= self._next_at - early

    async def read(self) -> None:
        """Read them. A store that cannot be read is read the next time."""
        self._reading, self._changed = True, False
        before = self.found
        try:
            with suppress(StoreError):
                self.found = await asyncio.to_thread(self._read)
        finally:
            self._reading = False
            self._next_at = asyncio.get_running_loop().time() + _READ_EVERY_S
        if self.found != before:
            self.version += 1

    def _read(self) -> tuple[AccountAttention | Attention, ...]:
        with closing(self._open_browser()) as browser:
            version, now = browser.attention_version(), time.monotonic()
            # Each poll of an account writes: that is no reason to read all jobs.
            if version != self._jobs_version or now >= self._jobs_until:
                self._jobs = jobs_needing_attention(browser)
                self._jobs_version, self._jobs_until = version, now + _READ_EVERY_S
            now = self._clock()
            wrong = (
                account_attention(health, now)
                for name, health in self._unusable.items()
                if name not in self._dismissed
            )
            return (
                *(each for each in wrong if each is not None),
                *failing_accounts(browser, self._accounts, now),
                *self._jobs,
            )
