"""Finding a job the store has never seen, by the name its provider gave it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from jobdash.config.settings import Config
from jobdash.domain.account import Account
from jobdash.domain.job import JobRow
from jobdash.domain.remote_job import RemoteJob
from jobdash.errors import AuthRejected, ConfigError, JobdashError, JobNotFound, NotFound, ProviderError
from jobdash.operations.accounts.clients import AccountClients, duplicate_accounts
from jobdash.operations.accounts.session import GetBatch
from jobdash.operations.context import OperationContext
from jobdash.operations.job_lookup import Browser
from jobdash.providers.registry import provider_of
from jobdash.store.writer import Writer


@dataclass(frozen=True, slots=True)
class RemoteMatch:
    """The result of asking the accounts for one word."""

    row: JobRow | None
    """The job, now in the store."""
    errors: Mapping[str, JobdashError]
    """By account, why it could not be asked."""
    asked: int
    """How many accounts were asked; 0 for a word that is no provider's."""

    def error(self, word: str) -> JobdashError:
        """Return the error for a word that was not found: unknown, not askable, or no key that works."""
        if not self.errors:
            where = ", here or on any account" if self.asked else ""
            return JobNotFound(f"no job {word!r}{where}")
        reasons = "; ".join(f"{name}: {error}" for name, error in self.errors.items())
        keys = all(isinstance(error, AuthRejected | ConfigError) for error in self.errors.values())
        if keys and len(self.errors) == self.asked:
            return ConfigError(f"no job {word!r} here, and no account could be asked ({reasons})")
        return ProviderError(f"no job {word!r} here, and not every account could be asked ({reasons})")


def candidates(word: str, config: Config, only: Collection[str] = ()) -> list[Account]:
    """Return the accounts that may know a word: those of ``only``, or all, whose provider has such ids."""
    doubles = duplicate_accounts(config.accounts)
    return [
        account
        for account in config.accounts
        if provider_of(account).claims(word)
        and (account.name in only if only else account.name not in doubles)
    ]


async def find_remote(
    word: str, asked: Collection[Account], accounts: AccountClients, browser: Browser, work: OperationContext
) -> RemoteMatch:
    """Ask the accounts for a batch; the first that has it wins, and the batch is stored."""
    asked_at = work.clock()
    answers = await asyncio.gather(*(_ask(word, accounts, account) for account in asked))
    errors: dict[str, JobdashError] = {}
    for account, answer in zip(asked, answers, strict=True):
        if isinstance(answer, RemoteJob):
            return RemoteMatch(
                await _record(account, answer, asked_at, accounts, browser, work), {}, len(asked)
            )
        if not isinstance(answer, NotFound):
            errors[account.name] = answer
    return RemoteMatch(None, errors, len(asked))


async def _ask(word: str, accounts: AccountClients, account: Account) -> RemoteJob | JobdashError:
    try:
        return await accounts[account.name].call(GetBatch(word))
    except (ProviderError, ConfigError) as error:
        return error


async def _record(
    account: Account,
    remote: RemoteJob,
    asked_at: int,
    accounts: AccountClients,
    browser: Browser,
    work: OperationContext,
) -> JobRow:
    origin = accounts[account.name].origin
    await work.store.write(
        Writer.upsert,
        account.name,
        account.provider,
        origin,
        [remote],
        asked_at,
        configured=work.configured,
        makes_due=True,
    )
    rows = browser.by_remote(remote.remote_id)
    return next(row for row in rows if (row.provider, row.origin) == (account.provider, origin))
