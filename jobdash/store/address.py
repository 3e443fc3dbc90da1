"""Reading the address of a PostgreSQL database, which must hold no password, not even a mistyped one."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from jobdash.domain.text import clean
from jobdash.errors import ConfigError

_UNREADABLE = (
    "the address of the PostgreSQL database cannot be read: postgresql://USER@HOST:PORT/DATABASE?NAME=VALUE,"
    " each part but the first may be left out, and NAME is a parameter of libpq (or schema)"
)
_MEANT = re.compile(r"\s*(?:[a-z0-9]+:)*postgres(?:ql)?:", re.IGNORECASE)
_WORDS = re.compile(r"\bpassword\s*=", re.IGNORECASE)
"""A connection string of libpq's keyword form, ``host=… password=…``."""
_HOST = r"(?:\[[0-9a-z:.%]*\]|[^\[\]:,]*)(?::\d*)?"
_HOSTS = re.compile(rf"{_HOST}(?:,{_HOST})*", re.IGNORECASE)
_DATABASE = re.compile(r"(?:/[^/@:]*)?")
_SECRETS = frozenset(
    {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
)
"""libpq's parameters that are secrets; ``sslkey`` names a file, whose password is ``sslpassword``."""
_PARAMETERS = frozenset(
    {
        "application_name", "channel_binding", "client_encoding", "connect_timeout", "dbname",
        "fallback_application_name", "gssdelegation", "gssencmode", "gsslib", "host", "hostaddr",
        "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname",
        "load_balance_hosts", "max_protocol_version", "min_protocol_version", "oauth_client_id",
        "oauth_issuer", "oauth_scope", "options", "passfile", "port", "require_auth", "requirepeer", "schema",
        "service", "servicefile", "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert",
        "sslcertmode", "sslcompression", "sslcrl", "sslcrldir", "sslkey", "sslkeylogfile", "sslmode",
        "sslnegotiation", "sslrootcert", "sslsni", "target_session_attrs", "tcp_user_timeout", "user",
    }
)  # fmt: skip
"""libpq's others; what it does not know may be a password with a mistake in its name."""
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def read_address(named: str, schema: str) -> tuple[str, str]:
    """Return a URL as libpq reads it, and the schema that it names; ``schema`` where it names none.

    A password is refused, as it would stand in a file or in the list of processes: libpq finds it in
    PGPASSWORD, in ``~/.pgpass`` or in a service. Raises ConfigError, without the text.
    """
    try:
        parts = urlsplit(named)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=False)
    except ValueError:
        raise ConfigError(_UNREADABLE) from None
    names = {name for name, _ in options}
    user = parts.netloc.rpartition("@")[0]
    if ":" in user or "%3a" in user.lower() or any(name.lower() in _SECRETS for name in names):
        raise ConfigError(
            "the address of a database must hold no password: put it into PGPASSWORD, ~/.pgpass or a service"
        )
    mistyped = any(_WORDS.search(value) for _, value in options) or not names <= _PARAMETERS
    if "#" in named or not _is_whole(parts) or mistyped:
        raise ConfigError(_UNREADABLE)
    schema = next((value for name, value in options if name == "schema"), schema)
    if not _SCHEMA.fullmatch(schema):
        raise ConfigError(
            f"schema={clean(schema, 80)}: a schema's name has small letters, digits and underscores only"
        )
    rest = urlencode([(name, value) for name, value in options if name != "schema"], safe="/")
    query = f"?{rest}" if rest else ""
    return f"postgresql://{parts.netloc}{parts.path}{query}", schema


def _is_whole(parts: SplitResult) -> bool:
    """Whether hosts and database are plausible: a password with a slash would be taken for the database."""
    hosts = parts.netloc.rpartition("@")[2]
    return bool(_HOSTS.fullmatch(hosts) and _DATABASE.fullmatch(parts.path))


def refuse_mistyped(named: str) -> None:
    """Raise ConfigError, without the text, for one that is meant as an address; see `location`."""
    if _MEANT.match(named) or _WORDS.search(named):
        raise ConfigError(_UNREADABLE)
