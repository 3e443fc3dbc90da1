"""What the tests of the operations share: an emulated world with one manual clock for everybody in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from jobdash.config.settings import Config
from jobdash.demo.emulator import (
    ANTHROPIC_KEY,
    GEMINI_KEY,
    MISTRAL_KEY,
    OPENAI_KEY,
    BatchPlan,
    BatchScript,
    Emulator,
    EmulatorServer,
    Ending,
    FaultRule,
    ManualClock,
    Switches,
    Timing,
)
from jobdash.demo.emulator.emulator import EmulatedProvider
from jobdash.demo.emulator.faults import Effect
from jobdash.domain.account import Account, Secret
from jobdash.domain.job import Event, JobRow
from jobdash.domain.plan import Action, ActionOutcome, ActionSummary, Choices
from jobdash.domain.plan import Plan as ActionPlan
from jobdash.operations.accounts.clients import AccountClients
from jobdash.operations.accounts.rate_limiter import CancelToken
from jobdash.operations.accounts.session import AccountSession
from jobdash.operations.context import OperationContext
from jobdash.operations.execution import execute
from jobdash.operations.job_lookup import Browser
from jobdash.operations.planning import plan_jobs
from jobdash.operations.polling.sync import SyncReport
from jobdash.operations.polling.sync_accounts import AccountSyncs
from jobdash.operations.writer_thread import WriterThread
from jobdash.providers.registry import BUNDLED
from jobdash.store.records import Intent

WORK_KEY = "sk-canary-work-0123456789"
KEYS = {"openai": OPENAI_KEY, "gemini": GEMINI_KEY, "work": WORK_KEY}
ALL_KEYS = KEYS | {"anthropic": ANTHROPIC_KEY, "mistral": MISTRAL_KEY}
HOUR = 3600.0
CANCEL = "/v1/batches/*/cancel"
GEMINI_CANCEL = "*:cancel"


def provider_of(account: str) -> str:
    return account if account in BUNDLED else "openai"


def made_accounts(server: EmulatorServer, keys: dict[str, str | None] | None = None) -> tuple[Account, ...]:
    """The accounts of a config, all leading to the emulator; by default those that most tests have."""
    accounts = []
    for name, key in (KEYS if keys is None else keys).items():
        provider = provider_of(name)
        url = getattr(server, f"{provider}_base_url")
        secret = Secret(key) if key else None
        accounts.append(Account(name, provider, f"{name.upper()}_KEY", secret, url))
    return tuple(accounts)


@dataclass
class World:
    """The emulated providers, a store, and work that can be done with both."""

    clock: ManualClock
    emulator: Emulator
    server: EmulatorServer
    config: Config
    store: WriterThread
    browser: Browser
    accounts: AccountClients
    in_flight: int = 32
    stop: CancelToken = field(default_factory=CancelToken)
    used: set[str] = field(default_factory=set)
    """The accounts that have batches: a sync asks no other, since opening a client takes its time."""
    while_waiting: Callable[[], None] = lambda: None
    """Called whenever somebody would have slept."""

    # ── time ──────────────────────────────────────────────────────────────────────────────────────

    def ms(self) -> int:
        return round(self.clock.now() * 1000)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def sleep(self, seconds: float) -> None:
        """Nobody really sleeps: the clock is moved instead."""
        self.clock.advance(seconds)
        self.while_waiting()

    # ── the providers ─────────────────────────────────────────────────────────────────────────────

    def add(
        self,
        account: str = "openai",
        *,
        name: str = "",
        total: int = 100,
        age: float = 60.0,
        running: float = HOUR,
        validating: float = 5.0,
        cancelling: float = 10.0,
        ending: Ending = Ending.COMPLETES,
        switches: Switches | None = None,
        metadata: dict[str, str] | None = None,
        **plan: object,
    ) -> str:
        """Add a batch that has run for ``age`` seconds; return its provider's id."""
        timing = Timing(validating=validating, running=running, cancelling=cancelling)
        script = BatchScript(
            name=name,
            total=total,
            metadata=metadata or {},
            created_at=self.clock.now() - age,
            plan=BatchPlan(timing=timing, ending=ending, switches=switches, **plan),  # type: ignore[arg-type]
        )
        self.used.add(account)
        return self._provider(account).add_batch(script, key=ALL_KEYS[account])

    def add_many(self, count: int, account: str = "openai", **settings: object) -> list[str]:
        return [self.add(account, **settings) for _ in range(count)]  # type: ignore[arg-type]

    def add_finished(self, account: str = "openai", *, age: float = 2 * HOUR, **settings: object) -> str:
        return self.add(account, age=age, running=60.0, **settings)  # type: ignore[arg-type]

    def _provider(self, account: str) -> EmulatedProvider:
        found: EmulatedProvider = getattr(self.emulator, provider_of(account))
        return found

    def forget(self, remote_id: str, account: str = "openai") -> None:
        """Let the provider lose a batch."""
        assert self._provider(account).remove_batch(remote_id, key=ALL_KEYS[account])

    def fault(self, effect: Effect, path: str = "*", method: str = "*", **rule: object) -> None:
        self.emulator.faults.add(FaultRule(effect=effect, method=method, path=path, **rule))  # type: ignore[arg-type]

    def calls(self, method: str = "*", path: str = "*") -> int:
        return len(self.emulator.journal.calls(method, path))

    # ── the store ─────────────────────────────────────────────────────────────────────────────────

    def row(self, remote_id: str) -> JobRow:
        (row,) = self.browser.by_remote(remote_id)
        return row

    def events(self, remote_id: str) -> list[Event]:
        return self.browser.events(self.row(remote_id).id)

    def open_intents(self) -> list[Intent]:
        return self.browser.open_intents()

    # ── work ──────────────────────────────────────────────────────────────────────────────────────

    @property
    def work(self) -> OperationContext:
        config = self.config
        return OperationContext.of(config, self.accounts, self.store, self.ms, self.stop)

    @property
    def syncs(self) -> AccountSyncs:
        return AccountSyncs(self.config, self.accounts, self.browser, self.work)

    async def sync(self, *names: str, full: bool = False) -> dict[str, SyncReport]:
        """Sync some accounts, or all that have batches."""
        reports = await self.syncs.run(names or self.used, full=full)
        return {report.account: report for report in reports}

    async def known(self, *remote_ids: str) -> list[JobRow]:
        """Sync once; return the jobs."""
        await self.sync()
        return [self.row(remote_id) for remote_id in remote_ids]

    def plan(self, action: Action, rows: Iterable[JobRow], **choices: object) -> ActionPlan:
        return plan_jobs(action, rows, self.work.situation(), Choices(**choices))  # type: ignore[arg-type]

    async def do(
        self,
        action: Action,
        *remote_ids: str,
        report: Callable[[ActionOutcome], None] = lambda _outcome: None,
        **choices: object,
    ) -> ActionSummary:
        """Plan an action over jobs as the store has them now, and carry it out."""
        rows = [self.row(remote_id) for remote_id in remote_ids]
        return await execute(self.plan(action, rows, **choices), self.work, report)

    async def one(self, action: Action, remote_id: str, **choices: object) -> ActionOutcome:
        """Do an action to one job; return its outcome."""
        (outcome,) = (await self.do(action, remote_id, **choices)).outcomes
        return outcome

    def narrow(self, in_flight: int) -> None:
        """Let each account have so few requests at once; before it is first asked."""
        self.in_flight = in_flight

    def session(self, account: Account, on_wait: Callable[[int | None], None]) -> AccountSession:
        return AccountSession(
            account,
            in_flight=self.in_flight,
            on_wait=on_wait,
            clock=self.ms,
            sleep=self.sleep,
            jitter=lambda longest: longest,
        )

    async def with_accounts(self, accounts: tuple[Account, ...]) -> None:
        """Go on with other accounts, as after a change of the settings."""
        await self.accounts.__aexit__()
        self.config = replace(self.config, accounts=accounts)
        self.accounts = AccountClients(accounts, open_session=self.session)


def made_config(folder: Path, accounts: tuple[Account, ...]) -> Config:
    return Config(folder / "config.toml", exists=False, database=folder / "jobs.db", accounts=accounts)


def openai_requests(path: Path, number: int) -> Path:
    """Write a file of so many requests for OpenAI, all of one length."""
    lines = [
        {"custom_id": f"r{n}", "method": "POST", "url": "/v1/responses", "body": {"model": "gpt-x"}}
        for n in range(number)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def anthropic_requests(path: Path) -> Path:
    """Write a file of three requests for Anthropic."""
    params = {"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    path.write_text("".join(json.dumps({"custom_id": f"r{n}", "params": params}) + "\n" for n in range(3)))
    return path
