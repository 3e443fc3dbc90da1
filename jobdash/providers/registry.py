"""The adapters by provider name; an adapter's module, and its SDK, load when one is opened."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from jobdash.errors import ConfigError
from jobdash.providers.ids import gemini_claims, openai_claims
from jobdash.providers.sdk_output import silence_sdks

if TYPE_CHECKING:
    from jobdash.config.settings import Account
    from jobdash.providers.base import Adapter
    from jobdash.providers.gemini.batches import GeminiBatches
    from jobdash.providers.openai.batches import OpenAIBatches

    # `open_adapter` finds them by name, where no type checker looks.
    _ADAPTERS: tuple[type[Adapter], ...] = (GeminiBatches, OpenAIBatches)

ADAPTERS = {
    "openai": "jobdash.providers.openai.batches:OpenAIBatches",
    "gemini": "jobdash.providers.gemini.batches:GeminiBatches",
}
"""Where each provider's adapter is, ``module:class``."""

CLAIMS = {"openai": openai_claims, "gemini": gemini_claims}
"""By provider: whether a word may be one of its ids; the same answer as the adapter's, without its SDK."""


def open_adapter(account: Account) -> Adapter:
    """Return the account's adapter, to be entered with ``async with`` in the loop that will use it.

    Loads the provider's SDK (about half a second). AuthRejected when the account has no key, ConfigError
    when its settings cannot be used.
    """
    try:
        module, name = ADAPTERS[account.provider].split(":")
    except KeyError:
        raise ConfigError(f"{account.name}: no provider is called {account.provider!r}") from None
    silence_sdks()
    adapter: Adapter = getattr(import_module(module), name)(account)
    return adapter
