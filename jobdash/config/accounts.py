"""What the settings say of one account: its key, its server, and what goes with every request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jobdash.domain.text import HIDDEN, names_a_secret, redact, register_secret
from jobdash.domain.time import DAY

ACCOUNT_SETTINGS = (
    "provider", "api_key_env", "base_url", "api_version", "organization", "project", "headers",
    "list_history", "enabled",
)  # fmt: skip
"""What ``[accounts.NAME]`` can hold; `Account` says what each means."""
UNUSED = {
    "openai": {"api_version": "the version is a part of base_url (…/v1, or …?api-version=…)"},
    "gemini": {
        "organization": "Gemini knows none",
        "project": "Gemini knows none; the key belongs to one",
        "list_history": "its list is in no known order, and is read whole",
    },
}
"""By provider, the settings that it does not use, and why."""

_FROM_ENVIRONMENT = "env:"
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OWN_HEADERS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection"})
"""Headers that belong to a request itself."""
_KEY_LIKE_NAME = re.compile(
    r"(?i)key|token|secret|passw|authori[sz]ation|cookie|credential|signature|^sig$|^code$"
)
_KEY_LIKE_VALUE = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w+/=.\-]{32,}")


class Secret:
    """A key that shows itself to nobody who does not ask by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value.strip()  # a file read into a variable ends with a line break; no key does
        register_secret(self._value)

    def reveal(self) -> str:
        """Return the key itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Header:
    """One more header of every request of an account."""

    name: str
    value: str | Secret
    env: str | None = None
    """The environment variable that the value comes from; None for one that stands in the file."""

    def reveal(self) -> str:
        """Return the value as it is sent."""
        return self.value.reveal() if isinstance(self.value, Secret) else self.value

    @property
    def shown(self) -> str:
        """Where the value comes from, or the value where it is no secret."""
        return f"{_FROM_ENVIRONMENT}{self.env}" if self.env else redact(self.reveal())


@dataclass(frozen=True, slots=True)
class Account:
    """One key at one provider."""

    name: str
    provider: str
    """``openai`` or ``gemini``."""
    key_env: str
    """The environment variable the key comes from, for messages. In the file: ``api_key_env``."""
    api_key: Secret | None = None
    base_url: str | None = None
    """Where the provider's API is, for OpenAI and its kin with the version (``https://host/v1``). What stands
    behind a ``?`` goes with every request (``?api-version=2025-01-01``)."""
    api_version: str | None = None
    """Gemini: the API's version; ``v1beta`` when it is not named. OpenAI does not use it."""
    list_history_ms: int = 30 * DAY
    """OpenAI: how far back a first sync reads. Gemini's list is in no known order, and is read whole."""
    organization: str | None = None
    """OpenAI: the organization whose batches these are (``org-…``), for keys that see several."""
    project: str | None = None
    """OpenAI: the project whose batches these are (``proj_…``)."""
    headers: tuple[Header, ...] = ()
    """More headers of every request to the account's own server. A value ``env:NAME`` is read from the
    environment; one that looks like a key may come from there alone."""

    @property
    def shown_url(self) -> str | None:
        """``base_url`` without what looks like a key in it."""
        if self.base_url is None:
            return None
        url = redact(self.base_url)
        for name, value in query_of(self.base_url):
            if _KEY_LIKE_NAME.search(name) and value:
                url = url.replace(value, HIDDEN)
        return url


def query_of(base_url: str | None) -> tuple[tuple[str, str], ...]:
    """Return what stands behind the ``?`` of an address, as names and values."""
    if base_url is None or "?" not in base_url:
        return ()
    from urllib.parse import parse_qsl, urlsplit

    try:
        return tuple(parse_qsl(urlsplit(base_url).query, keep_blank_values=True))
    except ValueError:
        return ()


def keep_keys_of(base_url: str) -> None:
    """Remember the keys in an address, so that no message shows them."""
    for name, value in query_of(base_url):
        if _KEY_LIKE_NAME.search(name):
            register_secret(value)


def read_headers(value: object, env: Mapping[str, str], warn: Callable[[str], object]) -> tuple[Header, ...]:
    """Read the table ``headers`` of an account.

    Raises ValueError for what cannot be sent, and for a key that stands in the file; ``warn`` hears of a
    variable that is not set.
    """
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError('headers has to be a table of texts like {"X-Team" = "search"}')
    found: list[Header] = []
    for name, given in value.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise ValueError(f"headers: {name!r} is no header that can be set")
        if given.startswith(_FROM_ENVIRONMENT):
            variable = given.removeprefix(_FROM_ENVIRONMENT).strip()
            told = env.get(variable, "").strip()
            if not told:
                warn(f"headers: {variable} is not set, so that {name} is not sent")
                continue
            header = Header(name, Secret(told), variable)
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
    named = names_a_secret(name) or _KEY_LIKE_NAME.search(name) is not None
    return named or redact(value) != value or _KEY_LIKE_VALUE.fullmatch(value.strip()) is not None
