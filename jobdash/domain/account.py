"""An account: one key at one provider, its server, and what goes with every request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from jobdash.domain.text import HIDDEN, clean, redact, register_secret
from jobdash.domain.time import DAY

ENV_PREFIX = "env:"
"""The prefix of the environment variable that a header's value comes from."""
KEY_LIKE_NAME = r"(?i)key|token|secret|passw|authori[sz]ation|cookie|credential|signature|^sig$|^code$"
"""The pattern of names of parameters and headers whose values are keys."""


class Secret:
    """A key that is hidden in every text; `reveal` returns it."""

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


class Header(NamedTuple):
    """One more header of every request of an account."""

    name: str
    value: str | Secret
    env: str | None = None
    """The environment variable that the value comes from; None for one in the file."""

    def reveal(self) -> str:
        """Return the value as it is sent."""
        return self.value.reveal() if isinstance(self.value, Secret) else self.value

    @property
    def shown(self) -> str:
        """Where the value comes from, or the value where it is no secret."""
        return f"{ENV_PREFIX}{self.env}" if self.env else redact(self.reveal())


@dataclass(frozen=True, slots=True)
class Account:
    """One key at one provider."""

    name: str
    provider: str
    """The name of a registered provider."""
    key_env: str
    """The environment variable the key comes from, for messages. In the file: ``api_key_env``."""
    api_key: Secret | None = None
    base_url: str | None = None
    """Where the provider's API is, with the version where that is part of it (``https://host/v1``). What
    follows a ``?`` goes with every request (``?api-version=2025-01-01``)."""
    api_version: str | None = None
    """The API's version, where it is not part of ``base_url``; None: the adapter's default."""
    profile: str | None = None
    """Which of the servers with its provider's API it is at; None: guessed from ``base_url``."""
    list_history_ms: int = 30 * DAY
    """How far back a first sync reads, milliseconds; a list in no known order is read whole."""
    organization: str | None = None
    """The organization whose batches these are (``org-…``), for keys that see several."""
    project: str | None = None
    """The project whose batches these are (``proj_…``)."""
    headers: tuple[Header, ...] = ()
    """More headers of every request to the account's own server. A value ``env:NAME`` is read from the
    environment; one that looks like a key may come from there alone."""
    auto_fetch: bool = False
    """Fetch the results of a batch by itself when it ends."""
    keep_input: bool = True
    """Keep a copy of each input file that is submitted."""
    max_requests: int | None = None
    """How many requests a batch takes, where that is less than the provider's limit."""
    max_bytes: int | None = None
    """How many bytes a batch's file takes, where that is less than the provider's limit."""
    completion_window: str | None = None
    """The window of a new batch (``7d``), where the provider offers several; None: the usual one."""
    files_expire_ms: int | None = None
    """For how long the provider keeps an uploaded file and results; None: as it does by itself."""
    enqueued_limit: int | None = None
    """How many tokens may wait or run at once, for each model; None: unknown."""

    @property
    def shown_url(self) -> str | None:
        """``base_url`` without what looks like a key in it."""
        if self.base_url is None:
            return None
        url = redact(self.base_url)
        for name, value in query_of(self.base_url):
            if re.search(KEY_LIKE_NAME, name) and value:
                url = url.replace(value, HIDDEN)
        return url


class OtherAccount(NamedTuple):
    """An account in the store whose key another person has."""

    name: str
    person: str
    """Who polled it last: ``user@host``."""
    is_alive: bool
    """It was polled lately: its jobs are its own."""
    remark: str = ""
    """What else is to say: that the settings have it without a key."""

    def __str__(self) -> str:
        return f"needs the key of {clean(self.name, 40)} ({clean(self.person, 80)}){self.remark}"


def query_of(base_url: str | None) -> tuple[tuple[str, str], ...]:
    """Return the query of an address, as names and values."""
    if base_url is None or "?" not in base_url:
        return ()
    from urllib.parse import parse_qsl, urlsplit

    try:
        return tuple(parse_qsl(urlsplit(base_url).query, keep_blank_values=True))
    except ValueError:
        return ()
