"""What a command works with once it asks and writes: the accounts, the writer, and both together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from jobdash.cli.clock import store_time
from jobdash.cli.context import CliContext
from jobdash.cli.output import Style, print_error
from jobdash.domain.plan import DecisionContext
from jobdash.operations.accounts.clients import AccountClients
from jobdash.operations.accounts.keys import register_keys
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.context import OperationContext
from jobdash.operations.polling.sync_accounts import AccountSyncs
from jobdash.operations.providers import servers
from jobdash.operations.writer_thread import WriterThread


@dataclass(frozen=True)
class CommandSession:
    """Lives in one event loop."""

    accounts: AccountClients
    work: OperationContext
    syncs: AccountSyncs


@asynccontextmanager
async def open_session(context: CliContext, stop: CancelToken) -> AsyncIterator[CommandSession]:
    """Open the writer, and the accounts as they are asked; StoreReadOnly when the store cannot be written."""
    context.writable()
    config = context.config
    with WriterThread(config.database, same_as=context.opened.browser.identity) as store:
        for sentence in await register_keys(config, store):
            print_error(sentence, Style.WARN)
        async with open_clients(context) as accounts:
            work = replace(OperationContext.of(config, accounts, store, stop=stop), notice=print_error)
            yield CommandSession(accounts, work, AccountSyncs(config, accounts, context.opened.browser, work))


def open_clients(context: CliContext) -> AccountClients:
    """Return the configured accounts, to be entered; their pauses are printed on stderr."""
    return AccountClients(context.config.accounts, on_pause=_print_pause)


def situation(context: CliContext, *, named: bool) -> DecisionContext:
    """Return what a plan's decisions need to know now."""
    config = context.config
    usable = frozenset(account.name for account in config.accounts)
    return DecisionContext(
        store_time(),
        usable,
        named,
        servers=servers(config.accounts),
        unusable=config.unusable_words,
        limited=config.limited,
    )


def _print_pause(name: str, until: int | None) -> None:
    if until is not None:
        seconds = max(1, (until - store_time()) // 1000)
        print_error(f"{name}: waiting {seconds} s, its provider takes no more requests now", Style.WARN)
