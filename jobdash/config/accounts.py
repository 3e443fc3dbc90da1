"""Reading the table of one account: its settings, headers and the keys in its address."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jobdash.domain.account import ENV_PREFIX, KEY_LIKE_NAME, Header, Secret, query_of
from jobdash.domain.provider_info import Profile, ProviderInfo
from jobdash.domain.text import clean, names_a_secret, redact, register_secret
from jobdash.domain.time import DAY, parse_span, short_span
from jobdash.providers.registry import broken, registered

ACCOUNT_SETTINGS = (
    "provider", "api_key_env", "base_url", "api_version", "organization", "project", "headers",
    "list_history", "enabled", "auto_fetch", "keep_input", "max_requests", "max_bytes", "enqueued_limit",
    "profile", "completion_window", "files_expire",
)  # fmt: skip
"""What ``[accounts.NAME]`` can hold; see `Account`."""

SWITCHES = frozenset({"enabled", "auto_fetch", "keep_input"})
"""Of them, those that are true or false."""

LIMITS = ("max_requests", "max_bytes", "enqueued_limit")
"""Of them, those that are whole numbers above 0."""

DEFAULT_LIST_HISTORY_MS = 30 * DAY

_USER_IN_URL = r"([^/?#]*//)[^/?#]*@"
_HEADER_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_OWN_HEADERS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection"})
"""Headers that belong to a request itself."""
_KEY_LIKE_VALUE = r"(?=.*\d)(?=.*[A-Za-z])[\w+/=.\-]{32,}"


class UnusableAccount(NamedTuple):
    """An account of the file with a mistake, or whose provider is not there; all others work."""

    name: str
    provider: str
    reason: str

    def __str__(self) -> str:
        return f"account {self.name} is not used: {self.reason}"


def unusable_account(name: str, provider: str) -> UnusableAccount:
    """Return an account whose provider is not installed or cannot be loaded, with the reason."""
    there = ", ".join(registered())
    if reason := broken().get(provider):
        words = f"provider {provider} is installed and cannot be loaded: {reason}"
    elif owner := next((info for info in registered().values() if info.has_profile(provider)), None):
        words = (
            f'{provider} speaks the API of {owner.title}: provider = "{owner.name}", profile = "{provider}"'
        )
    elif provider:
        words = f"no provider {clean(provider)!r} is installed; there are {there}"
    else:
        words = f"provider has to be one of {there}"
    return UnusableAccount(name, clean(provider), clean(words))


def check_types(values: Mapping[str, object]) -> None:
    """Raise ValueError for a setting that has another type than it should."""
    for key, value in values.items():
        if key in SWITCHES:
            if not isinstance(value, bool):
                raise ValueError(f"{key} has to be true or false")
        elif key in LIMITS:
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{key} has to be a whole number above 0")
        elif key != "headers" and not isinstance(value, str):
            raise ValueError(f"{key} has to be a text")


def chosen_profile(info: ProviderInfo, name: str | None, base_url: str | None) -> Profile:
    """Return the profile of an account.

    ValueError for a name that is none of its provider's, and for one of a server that everybody has an own
    one of, without its address.
    """
    if name is not None and not info.has_profile(name):
        raise ValueError(_no_such_profile(info, name))
    profile = info.profile(name, base_url)
    if name is not None and not (base_url or profile.base_url):
        raise ValueError(f"profile {name!r} wants base_url, the address of your server")
    return profile


def _no_such_profile(info: ProviderInfo, name: str) -> str:
    """Return why a provider has no such profile: another one has it, or none."""
    owner = next((each for each in registered().values() if each.has_profile(name)), None)
    if owner is not None:
        return (
            f'profile {name!r} belongs to accounts with provider = "{owner.name}", servers with the API of '
            f'{owner.title}; this one has provider = "{info.name}"'
        )
    if info.profiles:
        return f"profile {name!r} is not known; there are {', '.join(each.name for each in info.profiles)}"
    with_profiles = ", ".join(f'"{each.name}"' for each in registered().values() if each.profiles)
    return (
        f"profile {name!r} is not known; profiles belong to accounts with provider = {with_profiles}, "
        f'and this one has provider = "{info.name}"'
    )


def read_list_history(values: Mapping[str, Any]) -> int:
    """Read how far back a first sync reads, milliseconds; ValueError for what is not a span of time."""
    given = values.get("list_history")
    return DEFAULT_LIST_HISTORY_MS if given is None else _span("list_history", given)


def read_lifetimes(
    values: Mapping[str, Any], profile: Profile, warn: Callable[[str], object]
) -> dict[str, Any]:
    """Read the settings about how long a batch and its files may take and stay; ValueError for wrong ones."""
    window, expiry = values.get("completion_window"), values.get("files_expire")
    if window is not None and profile.windows:
        window = _window(window, profile, warn)
    kept = None if expiry is None else _span("files_expire", expiry)
    if kept is not None:
        if profile.file_expiry is None:
            where = profile.title or "its server"
            raise ValueError(f"files_expire: {where} is not known to take a time for which files are kept")
        least, most = profile.file_expiry
        if not least <= kept <= most:
            raise ValueError(f"files_expire: {profile.title} takes {short_span(least)} to {short_span(most)}")
    return {"completion_window": window, "files_expire_ms": kept}


def _window(given: str, profile: Profile, warn: Callable[[str], object]) -> str:
    """Return a completion window as its server writes it; warn of one that it is not known to take."""
    span, known = _span("completion_window", given), {parse_span(each): each for each in profile.windows}
    if span in known:
        return known[span]
    there = (" to " if profile.any_window_between else " or ").join(known[each] for each in sorted(known))
    words = f"completion_window: {profile.title} takes {there}, not {given}"
    if not min(known) < span < max(known):
        raise ValueError(words)
    if not profile.any_window_between:
        warn(words)
    return given


def _span(name: str, value: str) -> int:
    try:
        return parse_span(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def read_address(url: str | None, warn: Callable[[str], object]) -> str | None:
    """Return a base URL without blanks around it, and without a user's name and password in it.

    A client would send those instead of the key, and an address is shown where a key never is. The keys in it
    are remembered, so that no message shows them.
    """
    url = (url or "").strip()
    if user := re.match(_USER_IN_URL, url):
        warn("the user name or password in the address is left out; the key is sent")
        url = user[1] + url[user.end() :]
    for name, value in query_of(url):
        if re.search(KEY_LIKE_NAME, name):
            register_secret(value)
    return url or None


def read_headers(value: object, env: Mapping[str, str], warn: Callable[[str], object]) -> tuple[Header, ...]:
    """Read the table ``headers`` of an account.

    Raises ValueError for what cannot be sent, and for a key in the file; ``warn`` is called for a
    variable that is not set.
    """
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError('headers has to be a table of texts like {"X-Team" = "search"}')
    found: list[Header] = []
    for name, given in value.items():
        if not re.fullmatch(_HEADER_NAME, name) or name.lower() in _OWN_HEADERS:
            raise ValueError(f"headers: {name!r} is not a header that can be set")
        if given.startswith(ENV_PREFIX):
            variable = given.removeprefix(ENV_PREFIX).strip()
            secret = env.get(variable, "").strip()
            if not secret:
                warn(f"headers: {variable} is not set, so that {name} is not sent")
                continue
            header = Header(name, Secret(secret), variable)
        elif _looks_like_key(name, given):
            raise ValueError(
                f"headers: a key does not belong in the file; put it in the environment and name the "
                f'variable: "{name}" = "env:NAME"'
            )
        else:
            header = Header(name, given.strip())
        if not (header.reveal().isascii() and header.reveal().isprintable()):
            raise ValueError(f"headers: the value of {name} holds characters that no header can have")
        found.append(header)
    return tuple(found)


def _looks_like_key(name: str, value: str) -> bool:
    named = names_a_secret(name) or re.search(KEY_LIKE_NAME, name) is not None
    return named or redact(value) != value or re.fullmatch(_KEY_LIKE_VALUE, value.strip()) is not None
