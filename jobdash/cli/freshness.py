"""How fresh the store is."""

from __future__ import annotations

from jobdash.cli.time_format import ago
from jobdash.config.settings import Config
from jobdash.domain.text import clean
from jobdash.operations.job_lookup import Browser

_REASON = 120
"""Characters of an account's error that are told."""


def as_of(browser: Browser, config: Config) -> int | None:
    """Return when the least fresh of the configured accounts last answered; None when one never has."""
    answered = {health.name: health.ok_at for health in browser.accounts()}
    moments = [answered.get(account.name) for account in config.accounts]
    known = [moment for moment in moments if moment is not None]
    return min(known) if known and len(known) == len(moments) else None


def as_of_words(browser: Browser, config: Config, now: int) -> str:
    """Return ``as of 3m ago``, and which accounts have told nothing yet: not asked, or failed so far."""
    known = {health.name: health for health in browser.accounts()}
    asked = [known.get(account.name) for account in config.accounts]
    moments = [health.ok_at for health in asked if health is not None and health.ok_at is not None]
    told = [f"as of {ago(min(moments), now)}"] if moments else []
    never = [
        account.name
        for account, health in zip(config.accounts, asked, strict=True)
        if health is None or health.asked_at is None
    ]
    for health in asked:
        if health is not None and health.ok_at is None and health.asked_at is not None:
            when = ago(health.asked_at, now)
            why = f": {clean(health.error, _REASON)}" if health.error else ""
            told.append(f"{health.name} was asked {when} and has never answered{why}")
    if never:
        told.append(f"never asked yet: {', '.join(never)} (jobdash sync does it)")
    return "; ".join(told)
