"""Files that are kept: at the providers, of known and unknown jobs, and on this computer."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from jobdash.domain.account import Account
from jobdash.domain.remote_job import RemoteFile
from jobdash.domain.time import DAY
from jobdash.errors import AuthRejected, BadResponse, ExpiresByItself, InvalidRequest, JobdashError, NotFound
from jobdash.operations.accounts.clients import AccountClients, duplicate_accounts
from jobdash.operations.accounts.rate_limiter import RequestKind
from jobdash.operations.accounts.session import DeleteFile, Request
from jobdash.operations.context import AccountClient, OperationContext
from jobdash.operations.job_lookup import Browser
from jobdash.operations.person import current_host
from jobdash.operations.results.input_copies import input_copies
from jobdash.operations.scripts.processes import LOGS
from jobdash.providers.base import Adapter, FilePage
from jobdash.store.files import real_path, side_files

ORPHAN_AGE_MS = DAY
"""A younger file may belong to a batch that no sync has seen yet."""
_MOST_PAGES = 1_000
FETCHED = "fetched results"
"""The name of each place with results."""


@dataclass(frozen=True, slots=True)
class ListFiles(Request[FilePage]):
    """One page of an account's files."""

    kind: ClassVar = RequestKind.PAGE
    cursor: str | None = None

    async def send(self, adapter: Adapter) -> FilePage:
        """Ask for the page."""
        return await adapter.files(self.cursor)


@dataclass(frozen=True, slots=True)
class AccountFiles:
    """The files that an account keeps, or why they could not be listed."""

    account: Account
    known: tuple[RemoteFile, ...] = ()
    """Those of batches that are in the store."""
    unknown: tuple[RemoteFile, ...] = ()
    """Those of batches that are not."""
    others: tuple[RemoteFile, ...] = ()
    """Those that are of no batch, as far as the provider reports."""
    error: str = ""
    rejected: bool = False
    """It failed for its key, or has none."""
    note: str = ""
    """Why its provider has nothing to list, which is no failure."""

    def orphans(self, now: int, older_ms: int = ORPHAN_AGE_MS) -> list[RemoteFile]:
        """Return the files of batches of no known job that are old enough to be of none that comes yet."""
        return [file for file in self.unknown if file.created_at and now - file.created_at >= older_ms]


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """What lies in one place on this computer."""

    name: str
    path: Path
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class DeletedFiles:
    """The outcome of deleting files at a provider."""

    account: str
    deleted: tuple[RemoteFile, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    """By id, why a file is still there."""
    expiring: frozenset[str] = frozenset()
    """The ids of those kept that no request can delete and that expire by themselves, which is no failure."""

    @property
    def clean(self) -> bool:
        """Whether everything went that can be deleted."""
        return self.kept.keys() == self.expiring


async def account_files(
    names: Collection[str] | None, accounts: AccountClients, configured: Iterable[Account], browser: Browser
) -> list[AccountFiles]:
    """List the files of accounts (all, when None); a key with two names is asked once."""
    everybody = tuple(configured)
    doubles = duplicate_accounts(everybody)
    asked = [
        account
        for account in everybody
        if (account.name not in doubles if names is None else account.name in names)
    ]
    return list(await asyncio.gather(*(_files(account, accounts, browser) for account in asked)))


async def _files(account: Account, accounts: AccountClients, browser: Browser) -> AccountFiles:
    client = accounts[account.name]
    try:
        files = await _all_files(client)
        known = browser.known_files(account.provider, client.origin)
    except InvalidRequest as error:
        if error.status is None:  # never asked: its provider has no list of files
            return AccountFiles(account, note=str(error).removeprefix("not sent: "))
        return AccountFiles(account, error=str(error))
    except JobdashError as error:
        return AccountFiles(account, error=str(error), rejected=isinstance(error, AuthRejected))
    ours = [file for file in files if file.id in known]
    rest = [file for file in files if file.id not in known]
    return AccountFiles(
        account,
        tuple(ours),
        tuple(file for file in rest if file.of_batches),
        tuple(file for file in rest if not file.of_batches),
    )


async def _all_files(client: AccountClient) -> list[RemoteFile]:
    """Walk the list; BadResponse for one that repeats itself, or does not end."""
    found: dict[str, RemoteFile] = {}
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = await client.call(ListFiles(cursor))
        if page.files and all(file.id in found for file in page.files):
            raise BadResponse("the list of files repeats itself")
        found |= {file.id: file for file in page.files}
        cursor = page.cursor
        if cursor is None:
            return list(found.values())
    raise BadResponse(f"the list of files does not end after {_MOST_PAGES:,} pages")


async def delete_files(
    account: Account, files: Iterable[RemoteFile], accounts: AccountClients, work: OperationContext
) -> DeletedFiles:
    """Delete files at a provider, one after another; a refusal of one ends nothing."""
    client = accounts[account.name]
    deleted: list[RemoteFile] = []
    kept: dict[str, str] = {}
    expiring: set[str] = set()
    for file in files:
        if work.stop.is_set():
            kept[file.id] = "stopped"
            continue
        try:
            await client.call(DeleteFile(file.id), stop=work.stop)
        except NotFound:
            pass  # gone already
        except JobdashError as error:
            kept[file.id] = str(error)
            if isinstance(error, ExpiresByItself):
                expiring.add(file.id)
            continue
        deleted.append(file)
    return DeletedFiles(account.name, tuple(deleted), kept, frozenset(expiring))


def local_folders(database: Path, results: Path, browser: Browser) -> list[LocalFolder]:
    """Return what jobdash keeps on this computer, place by place; places that are empty are left out."""
    store = [database, *side_files(real_path(database))]
    places = [
        ("store", database, iter(store)),
        (FETCHED, *_folder(results)),
        *((FETCHED, place, _below(*folders)) for place, folders in _elsewhere(results, browser).items()),
        ("copies of inputs", *_folder(input_copies(database))),
        ("output of scripts", *_folder(database.absolute().parent / LOGS)),
    ]
    found = [LocalFolder(name, path, *_sizes(files)) for name, path, files in places]
    return [each for each in found if each.files]


def _elsewhere(results: Path, browser: Browser) -> dict[Path, list[Path]]:
    """Return the folders of jobs whose results were fetched to other places than the usual one, by place."""
    found: dict[Path, list[Path]] = {}
    for folder in sorted(map(Path, browser.results_folders(current_host()))):
        if not folder.is_relative_to(results):
            found.setdefault(folder.parent, []).append(folder)
    return found


def _folder(path: Path) -> tuple[Path, Iterator[Path]]:
    return path, _below(path)


def _below(*folders: Path) -> Iterator[Path]:
    found = (file for folder in folders for file in folder.rglob("*"))
    return (file for file in found if file.is_file() and not file.is_symlink())


def _sizes(files: Iterable[Path]) -> tuple[int, int]:
    """Return how many files there are, each once, and their bytes."""
    sizes: dict[Path, int] = {}
    for file in files:
        try:
            sizes[file] = file.stat().st_size
        except OSError:
            continue  # gone meanwhile
    return len(sizes), sum(sizes.values())
