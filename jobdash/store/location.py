"""Where a store is: a file, or a schema of a PostgreSQL database."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from jobdash.domain.text import clean
from jobdash.errors import ConfigError

SCHEMES = frozenset({"postgresql", "postgres"})
DEFAULT_SCHEMA = "jobdash"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class PostgresLocation:
    """A schema of a PostgreSQL database; as a text it is the URL without a password."""

    url: str
    """What libpq is given: an address without a password, which it finds by itself."""
    schema: str = DEFAULT_SCHEMA
    folder: Path = field(default=Path(), compare=False)
    """Where what belongs to its jobs is kept on this computer: logs, results, copies of input."""

    @property
    def address(self) -> str:
        """The whole address, as a person gives it."""
        joint = "&" if "?" in self.url else "?"
        return f"{self.url}{joint}schema={self.schema}"

    def __str__(self) -> str:
        return clean(self.address, _SHOWN)


StoreLocation = Path | PostgresLocation


def beside(location: StoreLocation) -> Path:
    """Return the path that files of this computer lie beside which belong to the jobs of a store."""
    return location if isinstance(location, Path) else location.folder / "store"


def written(location: StoreLocation) -> str:
    """Return a location as the text that `read_location` reads, in whatever folder."""
    return str(location.absolute()) if isinstance(location, Path) else location.address


def read_location(text: str) -> StoreLocation:
    """Return the location that a text of one names; ConfigError for one that cannot be."""
    return postgres_location(text) if is_address(text) else Path(text)


def is_address(named: str) -> bool:
    """Whether a text names a PostgreSQL database."""
    return named.partition("://")[0].lower() in SCHEMES and "://" in named


def postgres_location(named: str, folder: Path = Path()) -> PostgresLocation:
    """Read a ``postgresql://`` URL, whose ``schema`` is the store's, by default ``jobdash``.

    ``folder`` is where what belongs to its jobs is kept on this computer.

    A password is refused, as it would stand in a file or in the list of processes: libpq finds it in
    PGPASSWORD, in ``~/.pgpass`` or in a service. Raises ConfigError, without the text.
    """
    # Only here: a store in a file does without.
    from importlib.util import find_spec
    from urllib.parse import parse_qsl, urlencode, urlsplit

    if find_spec("psycopg") is None:
        raise ConfigError("a store in PostgreSQL needs its driver: pip install 'jobdash[postgres]'")
    try:
        parts = urlsplit(named)
        secret, options = parts.password, parse_qsl(parts.query, keep_blank_values=True, strict_parsing=False)
    except ValueError:
        raise ConfigError("the address of the PostgreSQL database cannot be read") from None
    if secret is not None or any(name.lower() in _SECRETS for name, _ in options):
        raise ConfigError(
            "the address of a database must hold no password: put it into PGPASSWORD, ~/.pgpass or a service"
        )
    schema = next((value for name, value in options if name == "schema"), DEFAULT_SCHEMA)
    if not _SCHEMA.fullmatch(schema):
        raise ConfigError(
            f"schema={clean(schema, 80)}: a schema's name has small letters, digits and underscores only"
        )
    rest = urlencode([(name, value) for name, value in options if name != "schema"], safe="/")
    query = f"?{rest}" if rest else ""
    return PostgresLocation(f"postgresql://{parts.netloc}{parts.path}{query}", schema, folder)


_SECRETS = frozenset(
    {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
)
"""libpq's parameters that are secrets; ``sslkey`` names a file, whose password is ``sslpassword``."""
