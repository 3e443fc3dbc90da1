"""The registered providers; an adapter's module, and its SDK, are imported when one is opened.

Providers are found through the entry-point group ``jobdash.providers``, whose entries name a `ProviderInfo`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jobdash.domain.account import Account
from jobdash.domain.provider_info import ProviderInfo
from jobdash.errors import ConfigError

if TYPE_CHECKING:
    from jobdash.providers.base import Adapter

GROUP = "jobdash.providers"
BUNDLED = {
    "openai": "jobdash.providers.openai.info:INFO",
    "gemini": "jobdash.providers.gemini.info:INFO",
    "anthropic": "jobdash.providers.anthropic.info:INFO",
    "mistral": "jobdash.providers.mistral.info:INFO",
}
"""Our own entries of the group once more: looking through what is installed takes some 30 ms of a start."""


@cache
def bundled() -> Mapping[str, ProviderInfo]:
    """Return the providers that come with jobdash, by name."""
    return {name: load_object(place) for name, place in BUNDLED.items()}


def registered() -> Mapping[str, ProviderInfo]:
    """Return all installed providers by name; `broken` has those that cannot be imported.

    A provider that comes with jobdash cannot be replaced by one of the same name.
    """
    return _installed()[0]


def broken() -> Mapping[str, str]:
    """Return why entries of the group are no providers, by their names."""
    return _installed()[1]


@cache
def _installed() -> tuple[Mapping[str, ProviderInfo], Mapping[str, str]]:
    from importlib.metadata import entry_points

    found, wrong = dict(bundled()), {}
    for entry in entry_points(group=GROUP):
        if entry.name in found:
            continue
        try:
            info = entry.load()
        except Exception as error:  # noqa: BLE001 - a broken package must not end every command
            wrong[entry.name] = f"{type(error).__name__}: {error}"
            continue
        if isinstance(info, ProviderInfo):
            found.setdefault(info.name, info)
        else:
            wrong[entry.name] = f"{entry.value} is no ProviderInfo"
    return found, wrong


def find_provider(name: str) -> ProviderInfo | None:
    """Return a provider by its name; None when none of that name is installed."""
    return bundled().get(name) or registered().get(name)


def provider_of(account: Account) -> ProviderInfo:
    """Return an account's provider, as its server differs from it; ConfigError when it is not installed."""
    info = find_provider(account.provider)
    if info is None:
        raise ConfigError(f"{account.name}: no provider is called {account.provider!r}")
    return info.of(account)


def open_adapter(account: Account) -> Adapter:
    """Return the account's adapter, to be entered with ``async with`` in the loop that will use it.

    Imports the provider's SDK (about half a second). AuthRejected when the account has no key, ConfigError
    when its settings cannot be used.
    """
    return load_adapter(provider_of(account))(account)


def load_adapter(info: ProviderInfo) -> Callable[[Account], Adapter]:
    """Import a provider's adapter; its SDK writes nothing to the terminal."""
    silence_sdks()
    adapter: Callable[[Account], Adapter] = load_object(info.adapter)
    return adapter


def load_object(place: str) -> Any:
    """Import ``module:name``."""
    module, name = place.split(":")
    return getattr(import_module(module), name)


def silence_sdks() -> None:
    """Show no warning of this process, and no record of a log that is not configured; may be repeated.

    google-genai warns of a state it does not know with the state itself, escape sequences included, and
    anything on stderr would be drawn across the dashboard. A warning that is an error stays one.
    """
    import logging  # takes 3 ms, and a user's script imports this module for its settings

    warnings.showwarning = _show_nothing
    root = logging.getLogger()
    # Without any handler `logging` writes warnings to stderr; with one, `OPENAI_LOG` adds none of its own.
    if not any(isinstance(handler, logging.NullHandler) for handler in root.handlers):
        root.addHandler(logging.NullHandler())


def _show_nothing(*_args: object, **_more: object) -> None:
    pass
