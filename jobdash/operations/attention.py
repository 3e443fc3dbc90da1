"""Attention: the jobs and accounts that a person should look at now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from jobdash.config.accounts import UnusableAccount
from jobdash.config.faulty_table import FaultyTable
from jobdash.domain.attention import AccountAttention, Attention, account_attention
from jobdash.domain.job import AccountHealth
from jobdash.errors import ConfigError
from jobdash.operations.job_lookup import Browser

if TYPE_CHECKING:
    from jobdash.operations.writer_thread import WriterThread


def failing_accounts(browser: Browser, names: Collection[str], now: int) -> list[AccountAttention]:
    """Return which accounts need attention."""
    found = (account_attention(health, now) for health in browser.accounts() if health.name in names)
    return [each for each in found if each is not None]


def unusable_health(accounts: Iterable[UnusableAccount]) -> dict[str, AccountHealth]:
    """Return accounts with a mistake in the settings, by name, as accounts that fail."""
    return {each.name: _failing(each.name, each.provider, each.reason) for each in accounts}


def faulty_health(tables: Iterable[FaultyTable]) -> dict[str, AccountHealth]:
    """Return tables of the settings with a mistake, by their heading, as accounts that fail."""
    return {f"[{each.name}]": _failing(f"[{each.name}]", "", f"not used: {each.reason}") for each in tables}


def _failing(name: str, provider: str, reason: str) -> AccountHealth:
    return AccountHealth(name, provider, None, None, reason, ConfigError.__name__, 0, None, 0, False)


def jobs_needing_attention(browser: Browser) -> list[Attention]:
    """Return the jobs that need attention and were not looked at since they do, the latest reason first."""
    return sorted(browser.needing_attention().values(), key=lambda each: (-each.since, -each.row.id))


async def set_reviewed(seen: Sequence[AccountAttention | Attention], store: WriterThread) -> None:
    """Record that a person has looked at jobs, or dismissed them or accounts."""
    from jobdash.store.writer import Writer

    marks = {each.row.id: each.marks for each in seen if isinstance(each, Attention)}
    errors = {each.health.name: each.error for each in seen if isinstance(each, AccountAttention)}
    await store.write(Writer.set_reviewed, marks, errors)
