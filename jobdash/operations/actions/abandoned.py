"""Giving up removals that wait for a cancel and that no sync will end."""

from __future__ import annotations

from jobdash.config.settings import Config
from jobdash.domain.job import JobRow
from jobdash.domain.time import Clock, system_clock
from jobdash.operations.job_lookup import Browser
from jobdash.operations.person import current_actor
from jobdash.store.commands.remove import NOT_CONFIRMED
from jobdash.store.location import StoreLocation
from jobdash.store.records import IntentKind
from jobdash.store.writer import Writer

__all__ = ["NOT_CONFIRMED", "give_up_removals", "polled_accounts"]


def polled_accounts(config: Config) -> frozenset[str]:
    """Return the names of the accounts that syncs ask, here or where another person has their keys."""
    own = {account.name for account in config.accounts if account.api_key is not None}
    return frozenset(own | {other.name for other in config.others if other.is_alive})


def give_up_removals(
    location: StoreLocation, browser: Browser, config: Config, face: str, clock: Clock = system_clock
) -> list[JobRow]:
    """Give up the waiting removals that no sync will end any more; return their jobs.

    For commands, before they look at jobs; a dashboard has its store worker call `Writer.give_up_removals`
    now and then. Raises StoreError when the store cannot be written.
    """
    now = browser.clock_like(clock)()
    if not any(intent.deadline < now for intent in browser.open_intents(kind=IntentKind.REMOVE)):
        return []
    with Writer(location, clock, current_actor(face)) as writer:
        return writer.give_up_removals(polled_accounts(config))
