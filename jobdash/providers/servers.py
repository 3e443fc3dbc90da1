"""Checks of an account before a client is made: its key, and the identity of its server."""

from __future__ import annotations

from urllib.parse import urlsplit

from jobdash.domain.account import Account
from jobdash.errors import AuthRejected, ConfigError
from jobdash.providers.registry import provider_of

_DEFAULT_PORTS = {"http": 80, "https": 443}


def key_of(account: Account) -> str:
    """Return the account's key.

    AuthRejected when there is none; ConfigError when it cannot be one: a line break or a stray quote
    character in a header would fail deep inside the client, with the key in the error's text.
    """
    key = account.api_key.reveal().strip() if account.api_key else ""
    if not key:
        raise AuthRejected(f"no key: set {account.key_env}")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError(f"{account.key_env} holds characters that no key has; copy it again")
    return key


def server_of(account: Account) -> str:
    """Return the identity of an account's server; ConfigError when its provider or address is none."""
    return origin_of(account.base_url or provider_of(account).base_url)


def origin_of(base_url: str) -> str:
    """Return the server's identity: scheme, host, port if unusual, and path, always written the same way.

    User name, password, query and fragment are left out. ConfigError when it is no web address.
    """
    try:
        parts = urlsplit(base_url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise ConfigError("base_url is not a web address like https://host/path")
    name = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        name += f":{port}"
    return f"{parts.scheme}://{name}{parts.path.rstrip('/')}"
