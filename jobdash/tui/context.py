"""The context of every part of the dashboard: store, clock, settings, glyphs; and a selection of jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from jobdash.config.settings import Config
from jobdash.domain.job import JobRow
from jobdash.domain.plan import DecisionContext
from jobdash.domain.time import Clock, system_clock
from jobdash.errors import StoreError
from jobdash.operations.job_lookup import Browser
from jobdash.operations.providers import servers
from jobdash.tui.render.symbols import Symbols, choose


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Reports of the accounts' threads that are not in the store."""

    waiting: dict[str, int] = field(default_factory=dict)
    """By account, the time (ms UTC) until which a rate limit holds it up."""
    found: dict[str, int] = field(default_factory=dict)
    """By account, how many batches the sync under way has seen so far."""
    fetching: dict[int, int] = field(default_factory=dict)
    """By job, how many bytes of its results are here so far."""
    submitting: list[str] = field(default_factory=list)
    """The names of what is being submitted, sanitized."""


@dataclass
class DashboardContext:
    """What all screens and flows share; made once at the start."""

    config: Config
    browser: Browser
    open_browser: Callable[[], Browser]
    """Opens one more connection, for another thread."""
    read_only: str | None
    """Why the store cannot be written; None when it can. Set when a newer jobdash takes the store over."""
    symbols: Symbols
    clock: Clock = system_clock
    demo: bool = False
    under_way: UnderWay = field(default_factory=UnderWay)

    def __post_init__(self) -> None:
        self._accounts = frozenset(account.name for account in self.config.accounts)
        self._servers = servers(self.config.accounts)
        key = self.config.keys.get("job.cancel_delete", "X").split(",")[0]
        self._instead = f"cancel & delete it ({key})"

    @classmethod
    def of(
        cls,
        config: Config,
        browser: Browser,
        read_only: str | None,
        clock: Clock = system_clock,
        *,
        demo: bool = False,
    ) -> DashboardContext:
        """Return the context that follows from the settings."""
        return cls(
            config=config,
            browser=browser,
            open_browser=browser.again,
            read_only=read_only,
            symbols=choose(config.ui.ascii),
            clock=browser.clock_like(clock),
            demo=demo,
        )

    def store_error(self, error: StoreError) -> StoreError:
        """Return why the store could not be used: its file was replaced, or else ``error`` itself."""
        try:
            self.browser.refuse_replaced()
        except StoreError as replaced:
            return replaced
        return error

    def situation(self, *, named: bool = True) -> DecisionContext:
        """Return what a decision needs to know now."""
        return DecisionContext(
            self.clock(),
            self._accounts,
            named,
            self._instead,
            servers=self._servers,
            unusable=self.config.unusable_words,
            limited=self.config.limited,
        )


class Selection(NamedTuple):
    """The jobs an action is for: those marked, else the one under the cursor."""

    rows: tuple[JobRow, ...]
    marked: bool
    hidden: frozenset[int]
    """Ids of marked jobs that are not in the tab and filter shown."""
