"""How fresh the store is."""

from __future__ import annotations

from jobdash.cli.moments import ago
from jobdash.config import Config
from jobdash.operations.browse import Browser


def as_of(browser: Browser, config: Config) -> int | None:
    """Return when the least fresh of the configured accounts last answered; None when one never has."""
    answered = {health.name: health.ok_at for health in browser.accounts()}
    moments = [answered.get(account.name) for account in config.accounts]
    known = [moment for moment in moments if moment is not None]
    return min(known) if known and len(known) == len(moments) else None


def as_of_words(moment: int | None, now: int) -> str:
    """Return ``as of 3m ago``."""
    if moment is None:
        return "some account was never asked yet; jobdash sync does it"
    return f"as of {ago(moment, now)}"
