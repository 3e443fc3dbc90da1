"""Reading all accounts, of the environment and of the file; a mistake in one leaves the others alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jobdash.config.accounts import (
    ACCOUNT_SETTINGS,
    LIMITS,
    UnusableAccount,
    check_types,
    chosen_profile,
    read_address,
    read_headers,
    read_lifetimes,
    read_list_history,
    unusable_account,
)
from jobdash.domain.account import Account, Secret
from jobdash.domain.provider_info import LOCAL, ProviderInfo
from jobdash.domain.text import clean
from jobdash.providers.registry import bundled, find_provider

_ACCOUNT_NAME = r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,31}"


class AccountReader:
    """Reads ``[accounts]``; ``warn`` is called for what is odd, with its place in the file."""

    def __init__(self, env: Mapping[str, str], warn: Callable[[str], object]) -> None:
        self.unusable: list[UnusableAccount] = []
        """The accounts with a mistake, once `read` has returned."""
        self.half_set: list[str] = []
        """For each account that one more environment variable would make, a sentence that names it."""
        self._env = env
        self._warn = warn

    def read(self, tables: Mapping[str, object]) -> tuple[Account, ...]:
        """Return the accounts that can be used."""
        found = {account.name: account for account in self._environment()}
        for name, entry in tables.items():
            if name == LOCAL:
                self._warn(f"[accounts.{LOCAL}] is not used: that name is taken by your own scripts")
                continue
            base = found.pop(name, None)  # whose settings it changes: with a mistake neither is used
            provider = _provider_name(entry, base)
            try:
                account = self._account(name, entry, base, provider)
            except ValueError as error:
                self.unusable.append(UnusableAccount(clean(name, 32), clean(provider, 32), clean(str(error))))
                continue
            if account is not None:
                found[name] = account
        self.half_set = [*self._half_set(tuple(found.values()), tables)]
        return tuple(found.values())

    def _half_set(self, found: tuple[Account, ...], tables: Mapping[str, object]) -> Iterator[str]:
        """Yield which variable is missing beside one that is set, of servers that take both."""
        used = {account.key_env for account in found} | {account.name for account in found}
        for each in (profile for info in bundled().values() for profile in info.profiles):
            pair = (each.key_env, each.base_url_env)
            there = [name for name in pair if self._env.get(name, "").strip()]
            table = tables.get(each.name)
            off = isinstance(table, dict) and table.get("enabled") is False
            if all(pair) and len(there) == 1 and not off and used.isdisjoint({each.name, each.key_env}):
                (missing,) = set(pair) - set(there)
                yield f"{there[0]} is set and {missing} is not; both make an account at {each.title}"

    def _environment(self) -> Iterator[Account]:
        """Yield the accounts that exist by their environment variables alone.

        Of the variables of a provider the first one that is set wins.
        """
        for info in bundled().values():
            key_env = next((name for name in info.key_envs if self._key(name)), None)
            if key_env is not None:
                url = self._address_in(info.base_url_env) if info.base_url_env else None
                url = url and info.profile(None, url).address(url)
                yield Account(info.name, info.name, key_env, self._key(key_env), url)
            for each in info.profiles:
                key = self._key(each.key_env)
                if key and (url := self._address_in(each.base_url_env)):
                    where = each.address(url)
                    yield Account(each.name, info.name, each.key_env, key, where, profile=each.name)

    def _missing(self, name: str) -> str:
        """Return which variables would make the account of a name by themselves; empty for any other name."""
        if (info := bundled().get(name)) is not None and info.key_envs:
            return f"no key: set {' or '.join(info.key_envs)}"
        profiles = (each for info in bundled().values() for each in info.profiles if each.name == name)
        pair = next(((each.key_env, each.base_url_env) for each in profiles if each.base_url_env), ())
        missing = [variable for variable in pair if not self._env.get(variable, "").strip()]
        return f"no key or no address: set {' and '.join(missing)}" if missing else ""

    def _address_in(self, variable: str) -> str | None:
        return self._address(variable, self._env.get(variable))

    def _address(self, place: str, url: str | None) -> str | None:
        return read_address(url, lambda words: self._warn(f"{place}: {words}"))

    def _key(self, name: str) -> Secret | None:
        value = self._env.get(name, "").strip()
        return Secret(value) if value else None

    def _account(self, name: str, entry: object, base: Account | None, provider: str) -> Account | None:
        """Return the account of a table; None for one that is switched off, ValueError for a mistake."""
        values = _checked(name, entry, lambda words: self._warn(f"[accounts.{name}] {words}"))
        if not values.get("enabled", True):
            return None
        info = find_provider(provider)
        if info is None:
            missing = "" if provider or "api_key_env" in values else self._missing(name)
            self.unusable.append(
                UnusableAccount(name, name, missing) if missing else unusable_account(name, provider)
            )
            return None
        return self._of_provider(info, name, values, base)

    def _of_provider(
        self, info: ProviderInfo, name: str, values: Mapping[str, Any], base: Account | None
    ) -> Account:
        where = f"[accounts.{name}]"
        url = self._address(f"{where} base_url", values.get("base_url"))
        key_env, chosen = values.get("api_key_env"), _given(values, "profile")
        if base is not None and _same_server(info, chosen, url, base):
            own_key = key_env in {None, base.key_env}
            if own_key:
                key_env = base.key_env
            if own_key or "provider" not in values:
                chosen = chosen or base.profile
            if "base_url" not in values and base.base_url is not None:
                url = base.base_url if own_key else None
                if not own_key:
                    words = f"the address of the environment is not used: it goes with {base.key_env}"
                    self._warn(f"{where} {words}")
        profile = chosen_profile(info, chosen, url)

        def warn(words: str) -> None:
            self._warn(f"{where} {words}")

        lifetimes = read_lifetimes(values, profile, warn)
        headers = read_headers(values.get("headers", {}), self._env, warn)
        key_env = profile.key_env if key_env is None else key_env
        if not key_env:
            raise ValueError("it wants api_key_env, the environment variable that holds the key")
        for key, why in info.unused_settings.items():
            if key in values:
                self._warn(f"{where} {key} is not used by {info.name}: {why}")
        return Account(
            name=name,
            provider=info.name,
            key_env=key_env,
            api_key=self._key(key_env),
            base_url=url and profile.address(url),
            api_version=values.get("api_version"),
            list_history_ms=read_list_history(values),
            organization=_given(values, "organization"),
            project=_given(values, "project"),
            headers=headers,
            auto_fetch=values.get("auto_fetch", False),
            keep_input=values.get("keep_input", True),
            profile=chosen,
            **lifetimes,
            **{key: values.get(key) for key in LIMITS},
        )


def _same_server(info: ProviderInfo, chosen: str | None, url: str | None, base: Account) -> bool:
    """Whether a table is of the provider and the profile of the account of the environment with its name.

    Else neither its address nor its key belong to the table: a key would go to a server it is not for.
    ``chosen`` and ``url`` are the table's own profile and address; one that is not listed may be a proxy.
    """
    if info.name != base.provider:
        return False
    there = info.profile_of(base).name
    at_url = info.profile(None, url).name if url is not None else ""
    return chosen in {None, there} and at_url in {"", there}


def _provider_name(entry: object, base: Account | None) -> str:
    """Return the provider that a table names, else that of the account of the environment."""
    named = entry.get("provider") if isinstance(entry, dict) else None
    return str(named if named is not None else base.provider if base else "")


def _checked(name: str, entry: object, warn: Callable[[str], object]) -> dict[str, Any]:
    """Return the settings in a table of an account; ValueError for what none can have."""
    if not re.fullmatch(_ACCOUNT_NAME, name):
        raise ValueError("its name has to be up to 32 letters, digits, - _ and .")
    if not isinstance(entry, dict):
        raise ValueError(f"[accounts.{name}] has to be a table")  # noqa: TRY004 - a wrong value of a file
    if "api_key" in entry or "key" in entry:
        raise ValueError(
            "a key does not belong in the file; put it in the environment and name the "
            f'variable: api_key_env="{name.upper()}_KEY"'
        )
    for key in entry:
        if key not in ACCOUNT_SETTINGS:
            warn(f"{key} is not known; there are {', '.join(ACCOUNT_SETTINGS)}")
    values = {key: entry[key] for key in ACCOUNT_SETTINGS if key in entry}
    check_types(values)
    return values


def _given(values: Mapping[str, Any], key: str) -> str | None:
    return str(values.get(key, "")).strip() or None
