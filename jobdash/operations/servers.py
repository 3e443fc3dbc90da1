"""Where accounts are: with it a job is known to be at its account's server, or not. Loads no SDK."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from jobdash.config.settings import Account
from jobdash.errors import ConfigError
from jobdash.providers.servers import server_of


def servers(accounts: Iterable[Account]) -> dict[str, str]:
    """Return the server of each account by name, of those whose address can be read."""
    found: dict[str, str] = {}
    for account in accounts:
        with suppress(ConfigError):  # said when the account is opened
            found[account.name] = server_of(account)
    return found
