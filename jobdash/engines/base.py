"""The Protocol of an engine: it delivers keys to workers, at least once, and holds nothing else.

What runs, who may write, and what came of it, the store decides; a key that comes twice or late loses a
compare-and-set there. An engine is named by an entry point of the group ``jobdash.engines`` that is called
with an `EngineSettings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol

from jobdash.domain.text import redact
from jobdash.errors import ConfigError

GROUP = "jobdash.engines"
SCHEMAS = "jobdash_engine"
"""What the names of the schemas begin with that engines make in the database of a store."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Where an engine keeps its queue, and the name of its worker."""

    address: str
    """An SQLAlchemy URL of a database: beside the store's, never in its tables."""
    worker: str
    """Names this process among all workers: ``host:pid:start``."""
    poll_s: float = 0.5
    """Seconds between two polls for delivered keys."""
    queue: str = "jobdash"
    """Names the queue of this store among all that may be in the same database: ``jobdash.SCHEMA`` there."""

    def in_queue(self, text: str) -> str:
        """Name a key among those of all stores in the database: a copied store has the same ids."""
        return f"{self.queue}/{text}"


class Engine(Protocol):
    """Delivers keys to the workers of one store.

    One instance a process, used from one thread; it calls ``handle`` in threads of its own.
    """

    def start(self, handle: Callable[[str], None], concurrency: int) -> None:
        """Begin to deliver: ``handle`` is called with each key, at most ``concurrency`` at once.

        ``handle`` never raises. Raises `ConfigError` when the engine's database cannot be used.
        """

    def dispatch(self, keys: Sequence[str]) -> None:
        """Have each key delivered to some worker, once more if that is long ago; the same key twice is one.

        Raises `EngineAway` when the engine's database cannot be reached.
        """

    def forget(self, jobs: Sequence[str]) -> None:
        """Drop what is kept of jobs that have ended, by public id; best effort."""

    def stop(self, patience_s: float) -> None:
        """Deliver nothing more, and wait until the calls of ``handle`` have returned, at most so long."""


class EngineAway(Exception):
    """The engine's database cannot be reached; the text is a sentence."""


@contextmanager
def away_on(*errors: type[Exception]) -> Iterator[None]:
    """Raise `EngineAway` for these errors of a database's driver; also a decorator."""
    try:
        yield
    except errors as error:
        raise EngineAway(f"the engine's database cannot be reached: {words_of(error)}") from None


def words_of(error: Exception) -> str:
    """Return what is wrong in one line, without an address that may hold a password."""
    cause = error.__cause__ or error
    return redact(str(cause).strip().partition("\n")[0]) or type(cause).__name__


def load_engine(name: str, settings: EngineSettings) -> Engine:
    """Return the engine that is installed under a name. Raises `ConfigError` when none is."""
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        known = ", ".join(sorted(found)) or "none is installed"
        raise ConfigError(f"no engine is called {name!r}: {known}")
    try:
        make = found[name].load()
    except ImportError as error:
        raise ConfigError(
            f"the engine {name} is not installed ({error.name}): pip install 'jobdash[{name}]'"
        ) from None
    engine: Engine = make(settings)
    return engine
