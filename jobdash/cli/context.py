"""What every command is given: the shared options, the settings and store they lead to; exit codes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jobdash.cli import clock
from jobdash.cli.output import Style, print_error
from jobdash.config.settings import Config, load
from jobdash.domain.account import Account
from jobdash.domain.provider_info import LOCAL
from jobdash.domain.text import clean
from jobdash.errors import ConfigError, StoreReadOnly, UsageError
from jobdash.operations.accounts.keys import in_store
from jobdash.operations.job_lookup import OpenedStore, open_browser, refuse_missing
from jobdash.operations.providers import account_hint


def no_account(config: Config, more: str = " · jobdash doctor") -> str:
    """Return what to do without an account that can be used; ``more`` commands that help come after it."""
    if config.unusable:
        return f"no account can be used; {'; '.join(map(str, config.unusable))}"
    half = "".join(f"{words}. " for words in config.half_set)
    return f"No account yet. {half}{account_hint()}, or try: jobdash demo{more}"


def _notice(sentence: str) -> None:
    print_error(f"jobdash: {sentence}", Style.WARN)


@dataclass
class CliContext:
    """The shared options of one command line."""

    as_json: bool = False
    database: str | None = None
    config_path: Path | None = None
    debug: bool = False
    may_make: bool = False
    """The command may make a store that was named with --db; for all others it has to be there."""

    @cached_property
    def config(self) -> Config:
        """The settings, read once; unknown ones, and what cannot be used of them, are printed on stderr.

        Once the store is `opened`, the accounts are called as they are there.
        """
        config = load(self.config_path, self.database)
        for warning in config.warnings:
            print_error(f"warning: {warning}", Style.WARN)
        for account in config.unusable:
            print_error(f"warning: {clean(str(config.path))}: {account}", Style.WARN)
        for table in config.faulty:
            print_error(f"warning: {clean(str(config.path))}: {table}", Style.WARN)
        return config

    @cached_property
    def opened(self) -> OpenedStore:
        """The store, opened for reading."""
        self.refuse_missing()
        opened = open_browser(self.config.database, notice=_notice, read_only=self.config.read_only)
        self.config = in_store(self.config, opened.browser)
        clock.follow(opened.browser.clock)
        return opened

    def refuse_missing(self) -> None:
        """Raise StoreMissing where a store was named that is not there, and is not to be made."""
        if self.database is not None:
            refuse_missing(self.config.database, make=self.may_make)

    @property
    def has_store(self) -> bool:
        """Whether there is a file of the store; of one on a server its connection says that."""
        where = self.config.database
        # What is not absolute is the URL of another database, which the store refuses by its name.
        return not isinstance(where, Path) or not where.is_absolute() or where.exists()

    @property
    def only_scripts(self) -> bool:
        """Whether there is no account to ask, and jobs of scripts or functions, which need none."""
        return not self.config.accounts and bool(self.opened.browser.counts().by_account.get(LOCAL))

    def refuse_read_only(self) -> None:
        """Make sure that the settings let a store be written; raises StoreReadOnly."""
        if self.config.read_only is not None:
            raise StoreReadOnly(f"nothing is changed: {self.config.read_only}")

    def writable(self) -> None:
        """Make sure that the store can be written; raises StoreReadOnly."""
        self.refuse_read_only()
        if (reason := self.opened.read_only) is not None:
            raise StoreReadOnly(f"the store cannot be written: {reason}")

    def wanted_accounts(self, names: tuple[str, ...]) -> tuple[Account, ...]:
        """Return the configured accounts of these names, all of them when there are none.

        That of scripts' jobs is none of them: it cannot be asked. UsageError for an unknown name, ConfigError
        for an account that cannot be used, and when none is configured at all.
        """
        names = self.named_accounts(names)
        config = self.config
        for other in config.others:
            if other.name in names:
                raise ConfigError(str(other))
        if not config.accounts and LOCAL not in names:
            raise ConfigError(no_account(config))
        return tuple(account for account in config.accounts if not names or account.name in names)

    def named_accounts(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return what the accounts that a person names are called in the store; other people's, too.

        UsageError for a name that no account has, ConfigError for one with a mistake.
        """
        if not names:
            return ()
        self.opened  # noqa: B018 - which knows what they are called
        config = self.config
        known = (*config.account_names, *(other.name for other in config.others))
        wrong = {account.name: str(account) for account in config.unusable}
        found = tuple(map(config.name_in_store, names))
        for name in found:
            if name in wrong:
                raise ConfigError(wrong[name])
            if name not in known:
                raise UsageError(f"no account {name!r}; there are {', '.join(known)}")
        return found


FAILED = 1
"""At least one job failed or was refused, or a name among good ones was bad."""
TIMED_OUT = 7
"""Waiting ran out of time."""
INTERRUPTED = 130
"""Ctrl-C; what a shell reports of a program that SIGINT ended."""
OUTPUT_CLOSED = 141
"""What a shell reports of a program whose reader went away."""
