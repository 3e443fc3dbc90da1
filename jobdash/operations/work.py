"""What an operation works with: the accounts it may ask, the store it writes, the time, and a stop."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from jobdash.domain.clock import Clock, system_clock
from jobdash.domain.decide import other_server
from jobdash.domain.items import GRACE_S
from jobdash.domain.job import JobRow
from jobdash.domain.plan import DecisionContext
from jobdash.errors import ConfigError
from jobdash.operations.limiter import Stop
from jobdash.operations.session import Before, Request
from jobdash.operations.writing import Store
from jobdash.providers.base import Capabilities

T = TypeVar("T")


class Caller(Protocol):
    """One account that requests can be sent to; an `AccountSession`, or the way to one in another loop."""

    @property
    def capabilities(self) -> Capabilities:
        """What the source can do."""
        ...

    @property
    def origin(self) -> str:
        """The server's identity."""
        ...

    async def call(self, request: Request[T], *, before: Before | None = None, stop: Stop | None = None) -> T:
        """Send a request; see `AccountSession.call`."""
        ...


@dataclass(frozen=True)
class Work:
    """Handed to every operation."""

    accounts: Mapping[str, Caller]
    """The accounts that can be asked, by name."""
    store: Store
    configured: frozenset[str]
    """The names of all configured accounts, also of those that cannot be asked."""
    clock: Clock = system_clock
    stop: Stop = field(default_factory=Stop)
    grace_s: float = GRACE_S
    """How long a script's process has to end by itself, and again after SIGTERM, before it is killed."""

    def situation(self, *, named: bool = True) -> DecisionContext:
        """Return what a decision needs to know now."""
        return DecisionContext(self.clock(), self.configured, named, servers=self.servers())

    def servers(self) -> dict[str, str]:
        """Return the server of each account that can be asked, by name."""
        found: dict[str, str] = {}
        for name, caller in self.accounts.items():
            with suppress(ConfigError):  # said when the account is opened
                found[name] = caller.origin
        return found

    def caller(self, job: JobRow) -> Caller:
        """Return the account of a job.

        ConfigError when it cannot be asked: it is not configured, or is at another server than the job, where
        a job of the same id would be somebody else's and a 404 would say nothing.
        """
        caller = self.accounts.get(job.account)
        if caller is None:
            raise ConfigError(f"account {job.account} is not configured, or its key is missing")
        if job.origin and (here := caller.origin) != job.origin:
            raise ConfigError(other_server(job, here))
        return caller
