"""What is known of a provider without its SDK: its capabilities, names, environment and rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlsplit

from jobdash.domain.account import Account

LOCAL = "local"
"""Provider and account of every local job. Not in `domain.job`, which a user's script need not import."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider's API can do and report; decides which keys, choices and sentences exist."""

    newest_first: bool
    """Its list is ordered by creation, newest first: a sync may stop early."""
    reports_cancelling: bool
    """It has a status of its own for a cancel under way."""
    deletes_records: bool
    """`Adapter.delete` removes the batch itself."""
    deletes_files: bool
    partial_results: bool
    """Finished requests of a cancelled or expired batch can be fetched."""
    results_in_files: bool = True
    """Results exist only where the batch names an output or error file."""
    returns_input: bool = False
    """An uploaded input file can be downloaded again."""
    reports_progress: bool = True
    """It counts the requests that are done before a batch has ended."""
    cancels: bool = True
    """A batch can be cancelled."""
    deletes_results: bool = True
    """Where it deletes files, those of results too; else these expire by themselves."""
    carries_key: bool = True
    """A batch carries our key and its name. Else a submit without an answer is found by its time and its
    number of requests, if one batch alone has these."""


class Profile(NamedTuple):
    """A server that speaks a provider's API: what it does in another way than that provider.

    The defaults are those of a server without an entry.
    """

    name: str = ""
    """As in ``profile = "…"`` of an account; empty for a server that is not listed."""
    title: str = ""
    """As people read it; empty: as its provider."""
    base_url: str = ""
    """Where it is; empty where everybody has an own one."""
    hosts: tuple[str, ...] = ()
    """The host names by which it is known; ``*.`` in front stands for any part before."""
    path: str = ""
    """The path of its API, which an address that is a host alone lacks."""
    key_env: str = ""
    """The environment variable of its key, with ``base_url_env`` an account of the profile's name."""
    base_url_env: str = ""
    key_header: str = ""
    """The header its key goes in; empty: that of its provider."""
    windows: tuple[str, ...] = ()
    """The completion windows that it takes, the usual one first; empty: any."""
    pages: bool = True
    """Its list has pages; else one answer has all batches."""
    max_requests: int | None = None
    """How many requests a batch takes; None: as many as at its provider."""
    max_bytes: int | None = None
    file_expiry: tuple[int, int] | None = None
    """The shortest and longest time for which a file can be kept, in milliseconds; None: it cannot be set."""
    differs: Mapping[str, bool] = MappingProxyType({})
    """`Capabilities` that are not its provider's."""
    usage_cost: str = ""
    """As `ProviderInfo.usage_cost`."""
    adapter: str = ""
    """The class for what no table can say: ``module:class``; empty: its provider's."""
    remark: str = ""
    """What else is to be known of it, for a person."""
    any_window_between: bool = False
    """It takes any window between the shortest and the longest of ``windows``; else these alone."""

    def address(self, base_url: str) -> str:
        """Return an address with the path of the API, where it has none."""
        try:
            parts = urlsplit(base_url)
        except ValueError:
            return base_url
        bare = parts.path in {"", "/"}
        return parts._replace(path=self.path).geturl() if self.path and parts.netloc and bare else base_url

    def has(self, host: str) -> bool:
        """Whether a host is its own."""
        return any(host.endswith(each[1:]) if each.startswith("*.") else host == each for each in self.hosts)


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """A provider as it is registered in the entry-point group ``jobdash.providers``."""

    name: str
    """As in ``provider = "…"`` of the settings, in the store and in JSON."""
    title: str
    """As people read it."""
    adapter: str
    """The class that implements `jobdash.providers.base.Adapter`: ``module:class``, imported when opened."""
    input_rules: str
    """The class that implements `jobdash.providers.input_check.InputRules`: ``module:class``."""
    result_reader: str
    """The function that reads a JSON object of its result files: ``module:function``, a
    `jobdash.providers.results.ReadLine`; its module imports no SDK."""
    base_url: str
    """Where its API is, for accounts that name no ``base_url``."""
    capabilities: Capabilities
    id_pattern: str
    """A regular expression of whole batch ids; with it an id is recognised before anything is asked."""
    request_fields: tuple[str, ...]
    """What a line of its input files has: the key of the request first."""
    key_envs: tuple[str, ...] = ()
    """Environment variables that hold a key. Of a provider that comes with jobdash, the first that is set
    makes an account of its name; others have accounts in the settings file alone."""
    suggested_env: str = ""
    """The variable to name to a person without an account; empty: the first of ``key_envs``."""
    base_url_env: str | None = None
    """The environment variable that names another server for that account."""
    keeps_input: str = ""
    """For how long it keeps an uploaded input file, in words (``48 h``); empty where that is not known."""
    price_id: str = ""
    """Its id in the price table of the package genai-prices; empty: it is not there."""
    priced_model: str = ""
    """The function that returns the name under which a model's price is listed: ``module:function``; its
    module imports no SDK. Empty: names are listed as they are."""
    usage_cost: str = ""
    """The entry of a batch's usage that says what was paid for it, in dollars; empty: none does."""
    submit_settings: tuple[str, ...] = ("model", "endpoint")
    """What a person is asked for where a file is submitted, as its lines may not name it."""
    unused_settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of an account that it ignores, and why."""

    profiles: tuple[Profile, ...] = ()
    """The servers that speak its API, its own first."""

    def profile(self, name: str | None, base_url: str | None) -> Profile:
        """Return the profile of that name, else the one that the address belongs to, else that of a server
        that is not listed. An account without any address is at the provider's own.
        """
        if name is not None:
            return next((each for each in self.profiles if each.name == name), Profile())
        try:
            host = urlsplit(base_url or self.base_url).hostname or ""
        except ValueError:  # no address at all, which is reported when it is used
            host = ""
        return next((each for each in self.profiles if each.has(host)), Profile())

    def has_profile(self, name: str) -> bool:
        """Whether a server of that name is listed."""
        return any(each.name == name for each in self.profiles)

    def profile_of(self, account: Account) -> Profile:
        """Return the profile of an account."""
        return self.profile(account.profile, account.base_url)

    def with_profile(self, profile: Profile) -> ProviderInfo:
        """Return what is known of a server with that profile."""
        if not profile.name or profile.base_url == self.base_url:
            return self
        return replace(
            self,
            title=profile.title,
            base_url=profile.base_url or self.base_url,
            adapter=profile.adapter or self.adapter,
            usage_cost=profile.usage_cost,
            capabilities=replace(self.capabilities, **profile.differs),
        )

    def of(self, account: Account) -> ProviderInfo:
        """Return what is known of the server of an account."""
        return self.with_profile(self.profile_of(account))

    def at(self, origin: str, profile: str | None) -> ProviderInfo:
        """Return what is known of the server of a job, whose profile is guessed where the job has none."""
        return self.with_profile(self.profile(profile, origin))

    def claims(self, word: str) -> bool:
        """Whether ``word`` may be the id of one of its batches."""
        return re.fullmatch(self.id_pattern, word, re.ASCII) is not None
