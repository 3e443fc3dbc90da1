"""The context of an operation: account clients, the store, the clock, and a cancel token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from jobdash.domain.account import Account
from jobdash.domain.backends.provider_batch import other_server
from jobdash.domain.items import GRACE_S
from jobdash.domain.job import JobRow
from jobdash.domain.plan import DecisionContext
from jobdash.domain.provider_info import Capabilities
from jobdash.domain.time import Clock, system_clock
from jobdash.errors import ConfigError
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.accounts.session import PreSendHook, Request
from jobdash.operations.writer_thread import WriterThread

if TYPE_CHECKING:
    from jobdash.config.settings import Config
    from jobdash.domain.cost import ListPrice

T = TypeVar("T")
RESULTS_FOLDER = "results"
"""Beside the store."""


class AccountClient(Protocol):
    """One account that requests can be sent to; an `AccountSession`, or the way to one in another loop."""

    @property
    def account(self) -> Account:
        """Its settings."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the account's server."""
        ...

    @property
    def origin(self) -> str:
        """The server's identity."""
        ...

    async def call(
        self, request: Request[T], *, before: PreSendHook | None = None, stop: CancelToken | None = None
    ) -> T:
        """Send a request; see `AccountSession.call`."""
        ...


@dataclass(frozen=True)
class OperationContext:
    """Handed to every operation."""

    accounts: Mapping[str, AccountClient]
    """The accounts that can be asked, by name."""
    store: WriterThread
    configured: frozenset[str]
    """The names of all configured accounts, also of those that cannot be asked or used."""
    clock: Clock = system_clock
    stop: CancelToken = field(default_factory=CancelToken)
    grace_s: float = GRACE_S
    """How long a script's process has to end by itself, and again after SIGTERM, before it is killed."""
    results: Path | None = None
    """Where results are fetched to that no person names a folder for; None: beside the store."""
    prices: Mapping[str, ListPrice] | None = field(default_factory=dict)
    """A person's own prices, by model; None where they cannot be read, and nothing is priced."""
    notice: Callable[[str], None] = lambda _sentence: None
    """Called with a sentence when something is waited for."""
    unusable: Mapping[str, str] = field(default_factory=dict)
    """By account that is configured with a mistake, a sentence that says which."""

    @classmethod
    def of(
        cls,
        config: Config,
        accounts: Mapping[str, AccountClient],
        store: WriterThread,
        clock: Clock | None = None,
        stop: CancelToken | None = None,
    ) -> OperationContext:
        """Return the context that follows from the settings; ``clock`` is the store's if not given."""
        return cls(
            accounts,
            store,
            config.configured,
            clock or store.clock,
            stop or CancelToken(),
            results=config.results_folder,
            prices=config.prices,
            unusable=config.unusable_words,
        )

    @property
    def results_folder(self) -> Path:
        """Where results are fetched to that no person names a folder for."""
        return self.results or self.store.path.parent / RESULTS_FOLDER

    def situation(self, *, named: bool = True) -> DecisionContext:
        """Return what a decision needs to know now."""
        usable = self.configured - self.unusable.keys()
        return DecisionContext(self.clock(), usable, named, servers=self.servers(), unusable=self.unusable)

    def servers(self) -> dict[str, str]:
        """Return the server of each account that can be asked, by name."""
        found: dict[str, str] = {}
        for name, caller in self.accounts.items():
            with suppress(ConfigError):  # reported when the account is opened
                found[name] = caller.origin
        return found

    def caller(self, job: JobRow) -> AccountClient:
        """Return the account of a job.

        ConfigError when it cannot be asked: it is not configured, or is at another server than the job, where
        a job of the same id would be another person's and a 404 would mean nothing.
        """
        caller = self.accounts.get(job.account)
        if caller is None:
            otherwise = f"account {job.account} is not configured, or its key is missing"
            raise ConfigError(self.unusable.get(job.account, otherwise))
        if job.origin and (here := caller.origin) != job.origin:
            raise ConfigError(other_server(job, here))
        return caller
