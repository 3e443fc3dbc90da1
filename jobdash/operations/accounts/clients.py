"""The account clients of a command: each opened at its first request, all in the command's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Self, TypeVar

from jobdash.domain.account import Account
from jobdash.domain.provider_info import Capabilities
from jobdash.errors import JobdashError
from jobdash.operations.accounts.rate_limiter import CancelToken, OnWait
from jobdash.operations.accounts.session import AccountSession, PreSendHook, Request
from jobdash.operations.providers import servers
from jobdash.providers.servers import server_of

T = TypeVar("T")

OpenSession = Callable[[Account, OnWait], AccountSession]
"""Makes an account's session; the second argument is called with its pauses."""
OnPause = Callable[[str, int | None], None]
"""Called with an account's name and the end of its pause, milliseconds UTC; None when it is over."""


class LazyAccountClient:
    """An `AccountClient` whose session, which takes half a second to open, is opened by its first call."""

    def __init__(self, account: Account, open_session: Callable[[], AccountSession]) -> None:
        self.account = account
        self._open_session = open_session
        self._opening = asyncio.Lock()
        self._session: AccountSession | None = None
        self._error: JobdashError | None = None
        self._stack = AsyncExitStack()

    async def open(self) -> AccountSession:
        """Return the session; AuthRejected without a key, ConfigError when the settings cannot be used."""
        async with self._opening:
            if self._error is not None:
                raise self._error
            if self._session is None:
                try:
                    self._session = await self._stack.enter_async_context(self._open_session())
                except JobdashError as error:
                    self._error = error
                    raise
        return self._session

    async def close(self) -> None:
        """Close the client, if there is one."""
        await self._stack.aclose()

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the account's server; known once the session is open."""
        return self._opened.capabilities

    @property
    def origin(self) -> str:
        """The server's identity, whether or not it is open; ConfigError where it cannot be."""
        return server_of(self.account) if self._session is None else self._session.origin

    @property
    def _opened(self) -> AccountSession:
        assert self._session is not None, "nothing is known of an account before it was asked"
        return self._session

    async def call(
        self, request: Request[T], *, before: PreSendHook | None = None, stop: CancelToken | None = None
    ) -> T:
        """Send a request; see `AccountSession.call`. Raises what `open` raises."""
        session = await self.open()
        return await session.call(request, before=before, stop=stop)


class AccountClients(Mapping[str, LazyAccountClient]):
    """All configured accounts, by name: ``async with AccountClients(config.accounts) as accounts``.

    One that cannot be opened raises when it is called; the others go on.
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        *,
        on_pause: OnPause = lambda _name, _until: None,
        open_session: OpenSession = lambda account, on_wait: AccountSession(account, on_wait=on_wait),
    ) -> None:
        def opener(account: Account) -> Callable[[], AccountSession]:
            return lambda: open_session(account, lambda until: on_pause(account.name, until))

        self._accounts = {account.name: LazyAccountClient(account, opener(account)) for account in accounts}

    async def __aenter__(self) -> Self:
        """Open nothing yet."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close what was opened."""
        for account in self._accounts.values():
            await account.close()

    def __getitem__(self, name: str) -> LazyAccountClient:
        return self._accounts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._accounts)

    def __len__(self) -> int:
        return len(self._accounts)


def duplicate_accounts(accounts: Iterable[Account]) -> dict[str, str]:
    """Return the accounts that are another name for an earlier one: same provider, server, key and scope."""
    first: dict[tuple[object, ...], str] = {}
    found: dict[str, str] = {}
    for account in accounts:
        if account.api_key is None:
            continue
        key = account.api_key.reveal().strip()
        headers = tuple((header.name.lower(), header.reveal()) for header in account.headers)
        scope = (account.organization, account.project, headers)  # with another one it sees other batches
        identity = (account.provider, _server(account), key, *scope)
        original = first.setdefault(identity, account.name)
        if original != account.name:
            found[account.name] = original
    return found


def other_names(accounts: Iterable[Account], name: str) -> tuple[str, ...]:
    """Return the names beside this one of an account's key."""
    accounts = tuple(accounts)
    doubles = duplicate_accounts(accounts)
    same = doubles.get(name, name)
    return tuple(
        account.name
        for account in accounts
        if account.name != name and doubles.get(account.name, account.name) == same
    )


def _server(account: Account) -> str:
    """Return an account's server, however its address is written."""
    return servers((account,)).get(account.name, account.base_url or "")
