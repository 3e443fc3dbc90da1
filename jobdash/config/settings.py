"""Typed settings: the file, the environment, the accounts, and where things lie.

Raises `ConfigError` for a file that cannot be read or holds a wrong value; an unknown setting is a
warning, kept in `Config.warnings`. What is wrong with one account ends that account alone, which is then in
`Config.unusable`; a mistake in another table than ``[results]`` ends what that table is for, or leaves its
defaults, and is in `Config.faulty`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from jobdash.config.account_reader import AccountReader
from jobdash.config.accounts import UnusableAccount
from jobdash.config.faulty_table import FaultyTable
from jobdash.config.paths import at_home, default_config_path, default_store_location, store_location
from jobdash.domain.account import Account, OtherAccount
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.text import clean
from jobdash.domain.time import parse_span
from jobdash.errors import ConfigError
from jobdash.store.location import StoreLocation, beside

if TYPE_CHECKING:
    from jobdash.config.notify import NotifySettings
    from jobdash.config.retention import Retention
    from jobdash.domain.cost import ListPrice


T = TypeVar("T")
MOST_AT_ONCE = 1_000
"""The most parts that one worker can be configured to run at once."""
_SHORTEST_POLL_MS = 50


class UiSettings(NamedTuple):
    """``[ui]``"""

    theme: str = ""
    """A Textual theme's name; empty: jobdash's own, dark."""
    columns: tuple[str, ...] = ()
    """The columns of the table, in order; empty: all that fit."""
    sort: str = "created"
    """The order at the start; a leading ``-`` or ``+`` names the direction."""
    ascii: bool | None = None
    """Replace symbols by ASCII; None: where the locale is not UTF-8."""


class SyncSettings(NamedTuple):
    """``[sync]``"""

    fastest_ms: int = 15_000
    """The shortest time between two polls of an account."""
    slowest_ms: int = 15 * 60_000
    """The longest time between two polls of an account with nothing young in flight."""


class WorkerSettings(NamedTuple):
    """How ``jobdash worker`` runs job functions."""

    concurrency: int = 4
    """Parts at once."""
    engine: str = "dbos"
    """The name of what delivers them."""
    poll_ms: int = 750
    """Milliseconds between two polls for work."""


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, and where it came from."""

    path: Path
    """Where the file is looked for."""
    exists: bool
    database: StoreLocation
    accounts: tuple[Account, ...] = ()
    unusable: tuple[UnusableAccount, ...] = ()
    """Accounts of the file with a mistake, for which nothing is asked."""
    half_set: tuple[str, ...] = ()
    """Sentences about environment variables that make an account together, of which one alone is set."""
    ui: UiSettings = field(default_factory=UiSettings)
    keys: Mapping[str, str] = field(default_factory=dict)
    """Key by binding id, as Textual's keymap wants it."""
    sync: SyncSettings = field(default_factory=SyncSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    results: Path | None = None
    """Where results go that are fetched without being asked for: ``[results] folder``; None: beside the
    store."""
    notify: NotifySettings | None = None
    """How a person is notified; None: not at all."""
    prices: Mapping[str, ListPrice] | None = field(default_factory=dict)
    """A person's own prices, by model; None where they cannot be read, and nothing is priced."""
    retention: Retention | None = None
    """What ``jobdash prune`` removes; None: nothing."""
    faulty: tuple[FaultyTable, ...] = ()
    """Tables of the file with a mistake; each counts here as if it were not in the file."""
    default_account: str | None = None
    """The account that is meant where ``--account`` is required and missing."""
    read_only: str | None = None
    """Why nothing may be changed, or asked of a provider; None: it may."""
    warnings: tuple[str, ...] = ()
    demo: bool = False
    secret: str = field(default="", repr=False)
    """The store's, which goes into the fingerprint of each key; empty before the store was opened."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """By name in the file, what an account is called whose name is that of another key in the store."""
    others: tuple[OtherAccount, ...] = ()
    """The accounts in the store whose keys other people have."""

    @property
    def results_folder(self) -> Path:
        """Where results go that are fetched without being asked for."""
        return self.results or self.store_path.parent / "results"

    @property
    def store_path(self) -> Path:
        """The path of the store, beside which lies what belongs to its jobs; see `beside`."""
        return beside(self.database)

    @property
    def account_names(self) -> tuple[str, ...]:
        """All names a job's account can have here; ``local``, for a person's own scripts, is always there."""
        return (*(account.name for account in self.accounts), LOCAL)

    @property
    def configured(self) -> frozenset[str]:
        """The names of the accounts whose jobs stay theirs.

        These are all, also those that cannot be used, and those of other people that are polled.
        """
        own = {each.name for each in self.accounts} | {each.name for each in self.unusable}
        return frozenset(own | {each.name for each in self.others if each.is_alive})

    @property
    def limited(self) -> frozenset[str]:
        """The names of the accounts with a limit of enqueued tokens."""
        return frozenset(each.name for each in self.accounts if each.enqueued_limit is not None)

    @property
    def unusable_words(self) -> dict[str, str]:
        """By name of each account that cannot be used here, a sentence that says why."""
        others = {account.name: str(account) for account in self.others}
        return others | {account.name: str(account) for account in self.unusable}

    def account(self, name: str) -> Account | None:
        """Return the configured account of that name, as the store has it."""
        return next((account for account in self.accounts if account.name == name), None)

    def refuse_faulty(self, table: str) -> None:
        """Raise `ConfigError` where a table of the file has a mistake, for what cannot do without it."""
        for each in self.faulty:
            if each.name == table:
                raise ConfigError(f"{clean(str(self.path))}: {each}")

    def remark_on(self, account: str) -> str:
        """Return why nothing can be asked about jobs of an account; empty where that is its own affair."""
        if account in self.account_names or any(each.name == account for each in self.unusable):
            return ""
        return self.unusable_words.get(account) or f"account {clean(account, 40)} is not configured"

    def name_in_store(self, name: str) -> str:
        """Return what an account is called in the store that has a name in the settings."""
        return self.renamed.get(name, name)


def load(
    config_path: Path | None = None, database: str | None = None, env: Mapping[str, str] = os.environ
) -> Config:
    """Read the settings of this user.

    A ``config_path`` that was named (here or by ``JOBDASH_CONFIG``) has to exist.
    """
    path = config_path or default_config_path(env)
    named = config_path is not None or bool(env.get("JOBDASH_CONFIG"))
    document = _read(path, named)
    reader = _SettingsReader(path, env)
    accounts = reader.accounts(document.pop("accounts", {}))
    stored = reader.database(document.pop("database", None))
    config = Config(
        path=path,
        exists=path.exists(),
        accounts=accounts,
        unusable=tuple(reader.unusable),
        half_set=tuple(reader.half_set),
        ui=reader.feature("ui", reader.ui, document.pop("ui", {})) or UiSettings(),
        keys=reader.feature("keys", reader.keys, document.pop("keys", {})) or {},
        sync=reader.feature("sync", reader.sync, document.pop("sync", {})) or SyncSettings(),
        worker=reader.feature("worker", reader.worker, document.pop("worker", {})) or WorkerSettings(),
        results=reader.results(document.pop("results", {})),
        notify=reader.notify(document.pop("notify", None), accounts),
        prices=reader.prices(document.pop("prices", {})),
        retention=reader.retention(document.pop("retention", None)),
        default_account=reader.default_account(document.pop("default_account", None), accounts),
        read_only=reader.read_only(document.pop("read_only", False)),
        database=_database(database, stored, env),
    )
    for unknown in document:
        reader.warn(f"[{unknown}] is not known")
    return replace(config, warnings=tuple(reader.warnings), faulty=tuple(reader.faulty))


def _database(option: str | None, stored: str | None, env: Mapping[str, str]) -> StoreLocation:
    named = option or env.get("JOBDASH_DATABASE") or stored
    return store_location(named) if named else default_store_location(env)


def _read(path: Path, named: bool) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if named:
            raise ConfigError(f"{clean(str(path))}: no such file") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{clean(str(path))} cannot be read: {clean(str(error))}") from error
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{clean(str(path))}: {clean(str(error))}") from None


class _SettingsReader:
    """Reads the tables of one file, each mistake with its place."""

    def __init__(self, path: Path, env: Mapping[str, str]) -> None:
        self.path = path
        self.env = env
        self.warnings: list[str] = []
        self.unusable: list[UnusableAccount] = []
        self.half_set: list[str] = []
        self.faulty: list[FaultyTable] = []

    def warn(self, message: str) -> None:
        self.warnings.append(f"{clean(str(self.path))}: {clean(message)}")

    def error(self, message: str) -> ConfigError:
        return ConfigError(f"{clean(str(self.path))}: {clean(message)}")

    def want(self, value: object, kind: type[T], words: str) -> T:
        """Return a value of a type; ``words`` say what has to be there instead of any other."""
        if not isinstance(value, kind):
            raise self.error(words)
        return value

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Let a ValueError be a mistake at a place."""
        try:
            yield
        except ValueError as error:
            raise self.error(f"{place}{error}") from None

    def feature(self, name: str, read: Callable[[Any], T], value: object) -> T | None:
        """Return what ``read`` does of a table; None, and nothing else ends, for a mistake in it."""
        try:
            return read(value)
        except (ValueError, ConfigError) as error:
            reason = str(error).removeprefix(f"{clean(str(self.path))}: ").removeprefix(f"[{name}] ")
            self.faulty.append(FaultyTable(name, clean(reason)))
            return None

    def table(self, name: str, value: object, known: tuple[str, ...]) -> dict[str, Any]:
        found = self.want(value, dict, f"[{name}] has to be a table")
        for key in found:
            if key not in known:
                self.warn(f"[{name}] {key} is not known; there are {', '.join(known)}")
        return {key: found[key] for key in known if key in found}

    def database(self, value: object) -> str | None:
        words = "database has to be a text: the path of the store"
        return None if value is None else self.want(value, str, words)

    def read_only(self, value: object) -> str | None:
        """Return why nothing may be changed, where the setting is on."""
        is_on = self.want(value, bool, "read_only has to be true or false")
        return f"read_only is set in {clean(str(self.path), 120)}" if is_on else None

    def default_account(self, value: object, accounts: tuple[Account, ...]) -> str | None:
        if value is None:
            return None
        name = self.want(value, str, "default_account has to be a text: the name of an account")
        names = [account.name for account in accounts]
        if name not in names and name not in {account.name for account in self.unusable}:
            self.warn(f"default_account: no account {name!r}; there are {', '.join(names) or 'none'}")
            return None
        return name

    def accounts(self, value: object) -> tuple[Account, ...]:
        """Return the accounts that can be used; those that cannot are in `unusable`."""
        tables = self.want(value, dict, "[accounts] has to hold tables like [accounts.work]")
        reader = AccountReader(self.env, self.warn)
        accounts = reader.read(tables)
        self.unusable, self.half_set = reader.unusable, reader.half_set
        return accounts

    def span(self, table: str, key: str, values: Mapping[str, Any], default: int) -> int:
        with self.at(f"[{table}] {key}: "):
            return parse_span(str(values[key])) if key in values else default

    def ui(self, value: object) -> UiSettings:
        values = self.table("ui", value, UiSettings._fields)
        columns = values.get("columns", ())
        if not isinstance(columns, list | tuple) or not all(isinstance(column, str) for column in columns):
            raise self.error("[ui] columns has to be a list of texts")
        if columns:
            from jobdash.domain.fields import COLUMN_SETTINGS  # a user's script starts without
        for column in columns:
            if column not in COLUMN_SETTINGS:
                known = ", ".join(COLUMN_SETTINGS)
                self.warn(f"[ui] columns: {column} is not known; there are {known}")
        if "ascii" in values:
            self.want(values["ascii"], bool, "[ui] ascii has to be true or false")
        for key in ("theme", "sort"):
            self.want(values.get(key, ""), str, f"[ui] {key} has to be a text")
        return UiSettings(**{**values, "columns": tuple(columns)})

    def keys(self, value: object) -> dict[str, str]:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value.values()):
            raise self.error('[keys] has to hold lines like "job.cancel" = "ctrl+x"')
        return dict(value)

    def results(self, value: object) -> Path | None:
        folder = self.table("results", value, ("folder",)).get("folder")
        if folder is None:
            return None
        folder = self.want(folder, str, "[results] folder has to be a text: a path")
        return at_home(folder).absolute() if folder else None

    def sync(self, value: object) -> SyncSettings:
        values = self.table("sync", value, ("fastest", "slowest"))
        default = SyncSettings()
        fastest = self.span("sync", "fastest", values, default.fastest_ms)
        slowest = self.span("sync", "slowest", values, default.slowest_ms)
        if fastest < 1000 or slowest < fastest:
            raise self.error("[sync] fastest has to be at least 1s, and slowest no less than fastest")
        return SyncSettings(fastest, slowest)

    def worker(self, value: object) -> WorkerSettings:
        values = self.table("worker", value, ("concurrency", "engine", "poll"))
        default = WorkerSettings()
        concurrency = values.get("concurrency", default.concurrency)
        engine = values.get("engine", default.engine)
        if type(concurrency) is not int or not 1 <= concurrency <= MOST_AT_ONCE:
            raise self.error(f"[worker] concurrency has to be a whole number from 1 to {MOST_AT_ONCE:,}")
        if not isinstance(engine, str) or not engine:
            raise self.error("[worker] engine has to be a text: the name of an engine")
        poll = self.span("worker", "poll", values, default.poll_ms)
        if poll < _SHORTEST_POLL_MS:
            raise self.error("[worker] poll has to be at least 0.05s")
        return WorkerSettings(concurrency, engine, poll)

    def notify(self, value: object, accounts: tuple[Account, ...]) -> NotifySettings | None:
        if value is None:
            return None
        from jobdash.config.notify import NOTIFY_SETTINGS, read_notify

        settings = self.feature(
            "notify", lambda found: read_notify(self.table("notify", found, NOTIFY_SETTINGS), self.env), value
        )
        if settings is None:
            return None
        there = {*(account.name for account in accounts), *(each.name for each in self.unusable), LOCAL}
        for name in sorted(settings.accounts - there):
            self.warn(f"[notify] accounts: no account {name!r}; there are {', '.join(sorted(there))}")
        return settings if settings.enabled else None

    def prices(self, value: object) -> dict[str, ListPrice] | None:
        if value == {}:
            return {}
        from jobdash.config.prices import read_prices

        return self.feature("prices", lambda found: read_prices(found, self.table), value)

    def retention(self, value: object) -> Retention | None:
        if value is None:
            return None
        from jobdash.config.retention import RETENTION_SETTINGS, read_retention

        return self.feature(
            "retention",
            lambda found: read_retention(self.table("retention", found, RETENTION_SETTINGS)),
            value,
        )
