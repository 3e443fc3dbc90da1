"""Diagnosis: the store, the settings, the keys, and whether each account answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobdash.config.accounts import UnusableAccount
from jobdash.config.settings import Config
from jobdash.domain.account import Account
from jobdash.domain.status import Status, Tab
from jobdash.domain.time import system_clock
from jobdash.errors import AuthRejected, ConfigError, ProviderError
from jobdash.operations.job_lookup import Browser, Scope, Sort

if TYPE_CHECKING:  # the dashboard's screen imports this in the thread that draws
    from jobdash.operations.context import AccountClient

_UNKNOWN_LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """The store as it was found."""

    path: str
    size: int
    """In bytes, with what waits in the write-ahead log."""
    schema: str
    jobs: int
    unfinished: int
    read_only: str | None
    """Why it cannot be written; None when it can."""
    unknown_words: tuple[str, ...]
    """Unknown status words, as the providers write them."""
    scripts: int = 0
    """Local jobs that a script holds now."""
    stalled: int = 0
    """Local jobs whose script has not been heard of within its lease."""


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """One account, asked for a page of its list."""

    name: str
    provider: str
    key_env: str
    """Empty where the account cannot be used at all."""
    key_present: bool
    server: str | None
    """Where it is, when that is not the provider's own address."""
    error: str | None
    """Why it cannot be reached; None when it answered."""
    rejected: bool
    """The key or the settings are to blame."""
    twin_of: str | None
    """The account that has the same key."""


def store_facts(config: Config, browser: Browser, read_only: str | None) -> StoreFacts:
    """Look at the store."""
    counts = browser.counts()
    scripts, stalled = browser.leases(system_clock())
    path = config.database
    sizes = (file.stat().st_size for file in (path, path.with_name(f"{path.name}-wal")) if file.exists())
    return StoreFacts(
        path=os.fspath(path),
        size=sum(sizes),
        schema=browser.schema_version(),
        jobs=counts.total,
        unfinished=counts.unfinished,
        read_only=read_only,
        unknown_words=_unknown_words(browser),
        scripts=scripts,
        stalled=stalled,
    )


def file_owners(path: Path) -> tuple[tuple[str, str, str], ...]:
    """Return path, owner and group, and mode of each file of a store, and of its folder."""
    from jobdash.store.files import owners

    return owners(path)


def _unknown_words(browser: Browser) -> tuple[str, ...]:
    running = browser.page(Scope(Tab.RUNNING), Sort(), None, _UNKNOWN_LOOKED_AT)
    return tuple(sorted({row.raw_status for row in running if row.status is Status.UNKNOWN}))


async def account_facts(config: Config, accounts: Mapping[str, AccountClient]) -> list[AccountFacts]:
    """Ask every account for the shortest page of its list."""
    from jobdash.operations.account_clients import duplicate_accounts

    doubles = duplicate_accounts(config.accounts)
    asked = await asyncio.gather(*(_account(account, accounts, doubles) for account in config.accounts))
    return [*asked, *map(_unusable, config.unusable)]


def _unusable(account: UnusableAccount) -> AccountFacts:
    return AccountFacts(
        name=account.name,
        provider=account.provider,
        key_env="",
        key_present=False,
        server=None,
        error=account.reason,
        rejected=True,
        twin_of=None,
    )


async def _account(
    account: Account, accounts: Mapping[str, AccountClient], doubles: Mapping[str, str]
) -> AccountFacts:
    from jobdash.operations.account_session import ListPage
    from jobdash.operations.sync import health_error_text

    error: str | None = None
    blamed = False
    try:
        await accounts[account.name].call(ListPage(limit=1))
    except ProviderError as refused:
        error, blamed = health_error_text(refused, account), isinstance(refused, AuthRejected)
    except ConfigError as wrong:
        error, blamed = str(wrong), True
    return AccountFacts(
        name=account.name,
        provider=account.provider,
        key_env=account.key_env,
        key_present=account.api_key is not None,
        server=account.shown_url,
        error=error,
        rejected=blamed,
        twin_of=doubles.get(account.name),
    )
