"""Where a store is: a file, or a schema of a PostgreSQL database."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from jobdash.domain.text import clean
from jobdash.errors import ConfigError

SCHEMES = frozenset({"postgresql", "postgres"})
DEFAULT_SCHEMA = "jobdash"
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
    """Return the path beside which the files of a store's jobs lie on this computer."""
    return location if isinstance(location, Path) else location.folder / "store"


def written(location: StoreLocation) -> str:
    """Return a location as a text that `read_location` reads, whatever the current folder is."""
    return str(location.absolute()) if isinstance(location, Path) else location.address


def read_location(text: str) -> StoreLocation:
    """Return the location that a text of one names; ConfigError for one that cannot be."""
    return postgres_location(text) if is_address(text) else Path(text)


def is_address(named: str) -> bool:
    """Whether a text names a PostgreSQL database."""
    return named.partition("://")[0].lower() in SCHEMES and "://" in named


def postgres_location(named: str, folder: Path = Path()) -> PostgresLocation:
    """Read a ``postgresql://`` URL, whose ``schema`` is the store's, by default ``jobdash``.

    ``folder`` is where what belongs to its jobs is kept on this computer. Raises ConfigError, without the
    text, also for one that holds a password.
    """
    # Only here: a store in a file does without.
    from importlib.util import find_spec

    from jobdash.store.address import read_address

    if find_spec("psycopg") is None:
        raise ConfigError("a store in PostgreSQL needs its driver: pip install 'jobdash[postgres]'")
    url, schema = read_address(named, DEFAULT_SCHEMA)
    return PostgresLocation(url, schema, folder)


def refuse_mistyped(named: str) -> None:
    """Raise ConfigError, without the text, for one that is meant as an address and would be taken for a path.

    It may hold a password.
    """
    folded = named.lower()
    if "postgres" in folded or "password" in folded:
        from jobdash.store.address import refuse_mistyped

        refuse_mistyped(named)
