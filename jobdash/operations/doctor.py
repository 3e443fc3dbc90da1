"""Diagnosis: the store, the settings, the keys, and whether each account answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jobdash.config.accounts import UnusableAccount
from jobdash.config.settings import Config
from jobdash.domain.account import Account
from jobdash.domain.items import WorkerCounts
from jobdash.domain.status import Status, Tab
from jobdash.domain.text import clean, quantity
from jobdash.errors import AuthRejected, ConfigError, ProviderError
from jobdash.operations.job_lookup import Browser, Scope, Sort
from jobdash.providers.registry import provider_of

if TYPE_CHECKING:  # the dashboard's screen imports this in the thread that draws
    from jobdash.domain.provider_info import ProviderInfo
    from jobdash.operations.context import AccountClient
    from jobdash.providers.base import RemotePage
    from jobdash.store.location import StoreLocation
    from jobdash.store.records import ServerFacts

_UNKNOWN_READ = 1_000
_CLOCKS_APART_MS = 2_000
_PAGE = 5
"""Batches of each account that are read."""
_COUNTED = frozenset({Status.IN_PROGRESS, Status.FINALIZING, Status.COMPLETED})
"""When the requests of a batch have been counted."""


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
    server: ServerFacts | None = None
    """The server of a store in PostgreSQL."""
    workers: WorkerCounts = field(default_factory=WorkerCounts)
    """Who runs job functions, and what waits for them."""
    engine: str = ""
    """What delivers their parts, with its version; empty where it is not installed."""


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
    duplicate_of: str | None
    """The account that has the same key."""
    profile: str = ""
    """Which of the servers with its provider's API it is at; empty for its own and for one not listed."""
    deviations: tuple[str, ...] = ()
    """What its server does in another way than its provider, as far as a page of its list shows it."""


def store_facts(config: Config, browser: Browser, read_only: str | None) -> StoreFacts:
    """Return the facts about the store."""
    counts = browser.counts()
    scripts, stalled = browser.leases(browser.now)
    server = browser.server()
    return StoreFacts(
        path=str(config.database),
        size=_file_size(config.store_path) if server is None else server.size,
        schema=browser.schema_version(),
        jobs=counts.total,
        unfinished=counts.unfinished,
        read_only=read_only,
        unknown_words=_unknown_words(browser),
        scripts=scripts,
        stalled=stalled,
        server=server,
        workers=browser.worker_counts(),
        engine=_engine(config.worker.engine),
    )


def _engine(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, entry_points, version

    from jobdash.engines.base import GROUP

    found = next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        return ""
    owner = "jobdash" if found.dist is None else found.dist.name
    try:  # ours are packages of their own
        return f"{name} {version(name if owner == 'jobdash' else owner)}"
    except PackageNotFoundError:
        return ""


def worker_lines(store: StoreFacts) -> Iterator[str]:
    """Yield who runs job functions; nothing where there never was one."""
    counts = store.workers
    if not counts.jobs:
        return
    with_parts = f"{quantity(counts.workers, 'worker')} at {quantity(counts.parts, 'part')}"
    yield f"{with_parts}, {quantity(counts.waiting, 'job')} waiting for a worker"
    if store.engine:
        yield f"engine {store.engine}"


def engine_problem(store: StoreFacts) -> str:
    """Return why no worker can run here, though there are jobs for one; empty where one can."""
    lacks = store.workers.jobs and not store.engine
    return "the engine of [worker] is not installed here: no worker can run on this computer" if lacks else ""


def _file_size(path: Path) -> int:
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def server_warnings(server: ServerFacts) -> Iterator[str]:
    """Yield what a person should mend about a store's server, or about the connection to it."""
    if not server.is_local and server.tls is None:
        yield "the connection to the server is not encrypted: add sslmode=verify-full to the address"
    elif not server.is_local and not server.is_verified:
        yield "nobody checks that it is this server that answers: add sslmode=verify-full to the address"
    if abs(server.clock_offset_ms) >= _CLOCKS_APART_MS:
        way = "ahead of" if server.clock_offset_ms > 0 else "behind"
        seconds = abs(server.clock_offset_ms) / 1000
        yield f"the server's clock is {seconds:,.1f} s {way} this computer's: leases go by the server's"
    if server.has_foreign_revisions:
        yield "its rows are of another server: copy it into an empty store (jobdash store copy)"


def file_owners(location: StoreLocation) -> tuple[tuple[str, str, str], ...]:
    """Return path, owner and group, and mode of each file of a store, and of its folder; none on a server."""
    from jobdash.store.files import owners

    return owners(location) if isinstance(location, Path) else ()


def _unknown_words(browser: Browser) -> tuple[str, ...]:
    """Return words of providers that are not known; that of a job without an id is jobdash's own."""
    running = browser.page(Scope(Tab.RUNNING), Sort(), None, _UNKNOWN_READ)
    unknown = (row for row in running if row.status is Status.UNKNOWN and row.remote_id is not None)
    return tuple(sorted({row.raw_status for row in unknown}))


async def account_facts(config: Config, accounts: Mapping[str, AccountClient]) -> list[AccountFacts]:
    """Ask every account for a short page of its list."""
    from jobdash.operations.accounts.clients import duplicate_accounts

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
        duplicate_of=None,
    )


async def _account(
    account: Account, accounts: Mapping[str, AccountClient], doubles: Mapping[str, str]
) -> AccountFacts:
    from jobdash.operations.accounts.session import ListPage
    from jobdash.operations.polling.sync import health_error_text

    error: str | None = None
    blamed = False
    profile, deviations = "", tuple[str, ...]()
    try:
        info = provider_of(account)
        chosen = info.profile_of(account)
        profile = "" if chosen.name == info.name else chosen.name
        page = await accounts[account.name].call(ListPage(limit=_PAGE))
        if info.profiles:
            deviations = (*_deviations(page, info),)
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
        duplicate_of=doubles.get(account.name),
        profile=profile,
        deviations=deviations,
    )


def _deviations(page: RemotePage, info: ProviderInfo) -> Iterator[str]:
    """Yield what a page of a list shows to be otherwise, and what cannot be done at its server."""
    if not info.capabilities.cancels:
        yield "this server has no call that cancels a batch"
    if not page.promised:
        yield "this server answers lists without paging"
    elif len(page.jobs) > _PAGE:
        yield f"this server answers {len(page.jobs):,} batches where {_PAGE} are asked for"
    words = sorted({job.raw_status for job in page.jobs if job.status is Status.UNKNOWN})
    if words:
        known = ", ".join(map(clean, words))
        yield f"this server has status words that are not known, and taken for unfinished: {known}"
    if any(job.created_at is None for job in page.jobs):
        yield "this server does not say when a batch was created"
    counted = [job for job in page.jobs if job.status in _COUNTED]
    if counted and all(job.total is None for job in counted):
        yield "this server does not count the requests of a batch"
