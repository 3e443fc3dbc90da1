"""The accounts of several people on one store: there an account is a key, whatever it is called."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from jobdash.config.settings import Config
from jobdash.domain.account import Account, OtherAccount
from jobdash.domain.job import AccountHealth
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.text import clean
from jobdash.domain.time import DAY
from jobdash.operations.job_lookup import Browser
from jobdash.operations.person import current_person

if TYPE_CHECKING:  # a list of jobs does without
    from jobdash.operations.writer_thread import WriterThread

ALIVE_MS = 7 * DAY
"""An account that was not polled for longer counts as given up: who else sees its jobs has them from then."""
_DIGITS = 8
_LONGEST_NAME = 32
_SETTINGS_HOLD = 1_000
"""More accounts than any settings have."""
_NOT_IN_A_NAME = r"[^A-Za-z0-9_.\-]+"


def fingerprint(account: Account, secret: str) -> str | None:
    """Return the fingerprint of an account's key in a store; None without a key.

    It is an HMAC with the store's secret, of which 32 bits are kept: the key cannot be computed from it. The
    organization and the project are part of it: with others, the same key sees other batches.
    """
    if account.api_key is None or not secret:
        return None
    import hmac  # it takes 5 ms, and most commands only read

    scope = (name for name in (account.organization, account.project) if name)
    key = "\0".join((account.api_key.reveal(), *scope)).encode("utf-8", "surrogateescape")
    return hmac.digest(secret.encode(), key, "sha256").hex()[:_DIGITS]


# Reading


def in_store(config: Config, browser: Browser) -> Config:
    """Return settings whose accounts are called as their keys are in the store; writes nothing.

    An account whose name there belongs to the key of another person has a name of
    its own; without a key here, it is that person's alone.
    """
    known = {row.name: row for row in browser.accounts()}
    resolved = replace(config, secret=browser.secret())
    taken = {account.name for account in config.accounts} | {LOCAL, *config.unusable_words}
    found: list[Account] = []
    renamed: dict[str, str] = {}
    keyless: dict[str, str] = {}
    for account in config.accounts:
        row = known.get(account.name)
        if row is None or not _is_anothers(row):
            found.append(account)
        elif account.api_key is None:
            keyless[account.name] = f"; {account.key_env} is not set here"
        elif fingerprint(account, resolved.secret) == row.fingerprint:
            found.append(account)
        else:
            name = _own_name(account, known, resolved.secret, taken)
            taken.add(name)
            renamed[account.name] = name
            found.append(replace(account, name=name))
    resolved = replace(resolved, accounts=tuple(found))
    others = tuple(_others(known.values(), resolved, browser.now, keyless))
    return _renamed(replace(resolved, others=others), renamed)


def with_others(config: Config, rows: Iterable[AccountHealth], now: int) -> Config:
    """Return settings that know whose the accounts in the store are by now: the same where nothing is new."""
    keyless = {other.name: other.remark for other in config.others}
    others = tuple(_others(rows, config, now, keyless))
    return config if others == config.others else replace(config, others=others)


def _is_anothers(row: AccountHealth) -> bool:
    """Whether a name in the store belongs to the key of another person."""
    return row.fingerprint is not None and row.polled_by not in {None, current_person()}


def _own_name(
    account: Account, known: Mapping[str, AccountHealth], secret: str, taken: Collection[str]
) -> str:
    """Return the name of an account whose own name belongs to another key: ``work-ann``.

    That which its key has in the store, else the first that is free, or this person's.
    """
    names = [name for name in _names(account.name, current_person(), len(known)) if name not in taken]
    mark = fingerprint(account, secret)
    for name in names:
        if name in known and known[name].fingerprint == mark:
            return name
    return next(name for name in names if name not in known or not _is_anothers(known[name]))


def _names(name: str, me: str, number: int) -> Iterator[str]:
    """Yield names for an account of a person, more than the store has accounts and the settings can hold."""
    user = re.sub(_NOT_IN_A_NAME, "-", me.rpartition("@")[0]).strip("-.") or "other"
    for attempt in range(1, number + _SETTINGS_HOLD):
        suffix = f"-{user[:16]}" + ("" if attempt == 1 else f"-{attempt}")
        yield f"{name[: _LONGEST_NAME - len(suffix)]}{suffix}"


def _others(
    rows: Iterable[AccountHealth], config: Config, now: int, remarks: Mapping[str, str]
) -> Iterator[OtherAccount]:
    own = {account.name for account in config.accounts}
    for row in rows:
        if row.name not in own and _is_anothers(row):
            alive = _is_alive(row, now)
            yield OtherAccount(row.name, row.polled_by or "", alive, remarks.get(row.name, ""))


def _is_alive(row: AccountHealth, now: int) -> bool:
    return row.asked_at is None or now - row.asked_at < ALIVE_MS


def others_alive(browser: Browser) -> frozenset[str]:
    """Return the names of other people's accounts that are polled now, also of those that came since a start.

    A job that one of them found is theirs, though another key of the same organization lists it, too.
    """
    now = browser.now
    return frozenset(row.name for row in browser.accounts() if _is_anothers(row) and _is_alive(row, now))


def _renamed(config: Config, renamed: Mapping[str, str]) -> Config:
    """Return settings in which accounts that are called otherwise in the store are meant everywhere."""
    if not renamed:
        return config
    default, notify = config.default_account, config.notify
    if notify is not None:
        notify = replace(notify, accounts=frozenset(renamed.get(each, each) for each in notify.accounts))
    return replace(
        config,
        renamed=renamed,
        default_account=None if default is None else renamed.get(default, default),
        notify=notify,
    )


# Writing


async def register_keys(config: Config, store: WriterThread) -> tuple[str, ...]:
    """Write to the store which keys this process has; return what a person has to know of it.

    Raises `KeyDiffers` where another person's key was faster to take a name, and `StoreError`.
    """
    from jobdash.store.records import AccountKey
    from jobdash.store.writer import Writer

    me = current_person()
    marks = ((account, fingerprint(account, config.secret)) for account in config.accounts)
    keys = [AccountKey(each.name, each.provider, mark, me) for each, mark in marks if mark is not None]
    done = await store.write(Writer.register_keys, keys)
    people = {other.name: other.person for other in config.others}
    news = [
        f"{name} is another key in this store ({clean(people.get(name, 'somebody'), 80)}):"
        f" the account of this configuration is called {own}"
        for name, own in config.renamed.items()
        if own in done.new
    ]
    return (*news, *map(_replaced_words, done.replaced))


def _replaced_words(name: str) -> str:
    return (
        f"{name} has a new key; its jobs stay with it. Where this is another project's key, give it an"
        " account of another name: [accounts.NAME] in the settings"
    )
