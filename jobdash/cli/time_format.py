"""Times as they are printed: RFC 3339 in JSON and CSV, local and short for people; the age of the store."""

from __future__ import annotations

from jobdash.config.settings import Config
from jobdash.domain.text import clean
from jobdash.domain.time import local_date, short_span
from jobdash.operations.job_lookup import Browser


def local(ms: int | None, *, seconds: bool = False) -> str:
    """Return milliseconds UTC as the local time, ``2026-11-05 13:00``; empty when unknown."""
    moment = local_date(ms)
    shape = "%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M"
    return "" if moment is None else moment.strftime(shape)


def ago(ms: int, now: int) -> str:
    """Return ``3 min ago`` in the short form: ``3m ago``."""
    return f"{short_span(now - ms)} ago"


_REASON = 120
"""Characters of an account's error that are shown."""


def as_of(browser: Browser, config: Config) -> int | None:
    """Return when the least fresh of the configured accounts last answered; None when one never has."""
    answered = {health.name: health.ok_at for health in browser.accounts()}
    moments = [answered.get(account.name) for account in config.accounts]
    known = [moment for moment in moments if moment is not None]
    return min(known) if known and len(known) == len(moments) else None


def as_of_words(browser: Browser, config: Config, now: int) -> str:
    """Return ``as of 3m ago``, and which accounts have not answered yet."""
    known = {health.name: health for health in browser.accounts()}
    asked = [known.get(account.name) for account in config.accounts]
    moments = [health.ok_at for health in asked if health is not None and health.ok_at is not None]
    parts = [f"as of {ago(min(moments), now)}"] if moments else []
    for health in asked:
        if health is not None and health.ok_at is None and health.asked_at is not None:
            when = ago(health.asked_at, now)
            why = f": {clean(health.error, _REASON)}" if health.error else ""
            parts.append(f"{health.name} was asked {when} and has never answered{why}")
    return "; ".join(filter(None, (*parts, never_asked_words(browser, config))))


def never_asked_words(browser: Browser, config: Config) -> str:
    """Return which accounts were never asked, and what asks them; empty where there are none."""
    asked = {health.name for health in browser.accounts() if health.asked_at is not None}
    never = [account.name for account in config.accounts if account.name not in asked]
    return f"never asked yet: {', '.join(never)} (jobdash sync does it)" if never else ""
