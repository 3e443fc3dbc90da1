"""The world of a proof: the emulator in a thread, a real store, and whoever starts next."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jobdash.demo.emulator import (
    ANTHROPIC_KEY,
    GEMINI_KEY,
    MISTRAL_KEY,
    OPENAI_KEY,
    PROFILES,
    BatchPlan,
    BatchScript,
    Emulator,
    EmulatorServer,
    FaultRule,
    ManualClock,
    RealClock,
    Timing,
    gemini_view,
    openai_view,
)
from jobdash.demo.emulator.faults import Effect, Faults
from jobdash.demo.emulator.journal import Journal, JournalEntry
from jobdash.domain.account import Account
from jobdash.domain.job import JobDetails, JobRow
from jobdash.operations.accounts.clients import AccountClients
from jobdash.operations.accounts.session import AccountSession
from jobdash.operations.actions.undo import find_undoable, undo
from jobdash.operations.context import OperationContext
from jobdash.operations.job_lookup import Browser, Scope, Sort
from jobdash.operations.polling.sync import SyncReport
from jobdash.operations.polling.sync_accounts import AccountSyncs
from jobdash.operations.writer_thread import WriterThread
from jobdash.store.owner import Owner
from kit.child_processes import TIMEOUT_S
from kit.tasks import Task

KEYS = {
    "openai": OPENAI_KEY,
    "gemini": GEMINI_KEY,
    "anthropic": ANTHROPIC_KEY,
    "mistral": MISTRAL_KEY,
    **{name: f"emulated-{name}" for name in PROFILES},
}
MINUTE = 60.0
HOUR = 60 * MINUTE
CREATE = {
    "openai": ("POST", "/v1/batches"),
    "gemini": ("POST", "*:batchGenerateContent"),
    "anthropic": ("POST", "/v1/messages/batches"),
    "mistral": ("POST", "/mistral/v1/batch/jobs"),
}
CANCEL = {
    "openai": ("POST", "/v1/batches/*/cancel"),
    "gemini": ("POST", "*/batches/*:cancel"),
    "anthropic": ("POST", "/v1/messages/batches/*/cancel"),
    "mistral": ("POST", "/mistral/v1/batch/jobs/*/cancel"),
}
CONTENT = {"openai": ("GET", "/v1/files/*/content"), "gemini": ("GET", "*:download")}
UPLOAD = {
    "openai": ("POST", "/v1/files"),
    "gemini": ("POST", "/upload/*"),
    "mistral": ("POST", "/mistral/v1/files"),
}
"""Anthropic's requests go with the creation."""
PROFILE_CREATE = {name: ("POST", f"/{name}/openai/v1/batches") for name in PROFILES}
PROFILE_CANCEL = {
    name: ("POST", f"/{name}/openai/v1/batches/*/cancel") for name in PROFILES if name != "openrouter"
}
"""OpenRouter has none."""
PROFILE_UPLOAD = {name: ("POST", f"/{name}/openai/v1/files") for name in PROFILE_CANCEL} | {
    "together": ("PUT", "/together/store/*")
}
"""OpenRouter's requests go with the creation; Together's file goes where the first of three steps says."""


class WatchedJournal(Journal):
    """A journal whose entries can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._added = threading.Condition()

    def add(self, entry: JournalEntry) -> None:
        with self._added:
            super().add(entry)
            self._added.notify_all()

    def wait_for(self, method: str, path: str) -> None:
        """Return when such a request was applied and its answer is about to be sent."""
        with self._added:
            assert self._added.wait_for(lambda: self.applied(method, path), TIMEOUT_S), (method, path)

    def applied(self, method: str, path: str) -> list[JournalEntry]:
        """The requests of a kind that reached the API and were not refused by it."""
        calls = self.calls(method, path)
        return [entry for entry in calls if entry.applied and (entry.status is None or entry.status < 300)]


class WatchedFaults(Faults):
    """Faults that tell when a request of a kind has arrived, before it is applied."""

    def __init__(self) -> None:
        super().__init__(0)
        self.arrived: list[tuple[str, str]] = []
        self._changed = threading.Condition()

    def effect_on(self, method: str, path: str, key: str) -> Effect | None:
        effect = super().effect_on(method, path, key)
        with self._changed:
            self.arrived.append((method, path))
            self._changed.notify_all()
        return effect

    def wait_for(self, method: str, path: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.sent(method, path), TIMEOUT_S), (method, path)

    def sent(self, method: str, path: str) -> int:
        """How many requests of a kind went over the wire, whatever became of them."""
        return sum(fnmatchcase(m, method) and fnmatchcase(p, path) for m, p in tuple(self.arrived))


class World:
    """The providers, one store, one clock."""

    def __init__(self, folder: Path, template: Path, clock: ManualClock | RealClock | None = None) -> None:
        self.folder = folder
        self.path = folder / "jobs.db"
        shutil.copy(template, self.path)
        self.clock = clock or ManualClock()
        self.emulator = Emulator(clock=self.clock)
        self.journal = self.emulator.journal = WatchedJournal()
        self.faults = self.emulator.faults = WatchedFaults()
        self._server = EmulatorServer(self.emulator)
        self._loop = asyncio.Runner()
        self._accounts: dict[str, AccountClients] = {}

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for accounts in self._accounts.values():
            self._loop.run(accounts.__aexit__())
        self._loop.close()
        self._server.stop()

    def ms(self) -> int:
        return round(self.clock.now() * 1000)

    # ── the providers ──────────────────────────────────────────────────────────────────────────────────────

    def add(
        self, account: str = "openai", *, age: float = 5 * MINUTE, running: float = 10 * HOUR, **plan: Any
    ) -> str:
        """Add a batch; return its provider's id."""
        timing = Timing(validating=5.0, running=running, cancelling=plan.pop("cancelling", MINUTE))
        script = BatchScript(
            name="seeded", created_at=self.clock.now() - age, plan=BatchPlan(timing=timing, **plan)
        )
        return self._provider(account).add_batch(script, key=KEYS[account])

    def _provider(self, account: str) -> Any:
        return self.emulator.side(account)

    def _address(self, account: str) -> str:
        if account in PROFILES:
            return self._server.profile_base_url(account)
        return str(getattr(self._server, f"{account}_base_url"))

    def fault(self, effect: Effect, method: str, path: str) -> None:
        self.faults.add(FaultRule(effect=effect, method=method, path=path))

    def batches(self) -> dict[str, set[str]]:
        """The ids each provider has, by account."""
        found = {}
        for account, key in KEYS.items():
            ledger = self._provider(account).account(key).batches
            found[account] = {batch.id for batch in ledger.page(1_000).batches}
        return found

    def arrives_late(self, account: str, remote_id: str) -> None:
        """A cancel that was under way is applied only now."""
        assert self._provider(account).cancel(remote_id, key=KEYS[account])

    def turns_up(self, account: str, script: BatchScript) -> str:
        """A batch whose creation was under way is there only now; return its id."""
        return str(self._provider(account).add_batch(script, key=KEYS[account]))

    def files(self, account: str) -> set[str]:
        """The files a provider keeps."""
        provider = self._provider(account)
        content = {"openai": openai_view, "gemini": gemini_view}[account].file_content
        files = provider.account(KEYS[account]).files.newest_first()
        return {file.id for file in files if content(provider, file) is not None}

    def word(self, remote_id: str, account: str) -> str:
        return str(self._provider(account).snapshot(remote_id, key=KEYS[account]).phase)

    # ── whoever works ──────────────────────────────────────────────────────────────────────────────────────

    def task(self, action: str, account: str = "openai", *others: str, **facts: Any) -> Task:
        """What a process is told; clients take their time to open, so only some accounts are there."""
        names = (account, *others)
        keys = {
            name: ("openai" if name in PROFILES else name, self._address(name), KEYS[name]) for name in names
        }
        return Task(action, str(self.path), keys, self.ms(), account=account, **facts)

    def environment(self) -> dict[str, str]:
        """What leads a command here."""
        return self._server.environment() | {"JOBDASH_DATABASE": str(self.path)}

    def next_start(self, account: str = "openai", *, send: bool = False) -> SyncReport:
        """What the next start does, in a process (this one) that is not the dead one: one sync.

        ``send``: as whoever polls, it also sends what waits in the queue.
        """
        return self._loop.run(self._sync(account, send))

    async def _sync(self, account: str, send: bool) -> SyncReport:
        config = self.task("sync", account).config
        with (
            WriterThread(self.path, "next", self.ms) as store,
            closing(Browser(self.path, self.ms)) as browser,
        ):
            accounts = self._opened(config.accounts)
            work = OperationContext(accounts, store, frozenset(KEYS), self.ms)
            (report,) = await AccountSyncs(config, accounts, browser, work).run([account], send=send)
        assert report.error is None, report.error
        return report

    def undo(self) -> None:
        """Take back the last action that can be taken back, whoever did it."""
        with (
            WriterThread(self.path, "next", self.ms) as store,
            closing(Browser(self.path, self.ms)) as browser,
        ):
            action = find_undoable(browser, store.actor.name)
            assert action is not None
            (outcome,) = self._loop.run(undo(action, store))
            assert outcome.reason is None, outcome.reason

    def _opened(self, accounts: tuple[Account, ...]) -> AccountClients:
        """The clients of this process; opening them takes longer than a sync, so they are kept."""
        (account,) = accounts
        if account.name not in self._accounts:
            self._accounts[account.name] = AccountClients(
                accounts,
                open_session=lambda one, on_wait: AccountSession(one, clock=self.ms, on_wait=on_wait),
            )
        return self._accounts[account.name]

    # ── the store ──────────────────────────────────────────────────────────────────────────────────────────

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=30)) as connection:
            return connection.execute(statement, values).fetchall()

    def rows(self) -> list[JobRow]:
        with closing(Browser(self.path, self.ms)) as browser:
            return browser.page(Scope(removed=True), Sort(), None, 1_000)

    def row(self, remote_id: str) -> JobRow:
        (row,) = (row for row in self.rows() if row.remote_id == remote_id)
        return row

    def job(self, row: JobRow) -> JobDetails:
        with closing(Browser(self.path, self.ms)) as browser:
            job = browser.job(row.id)
        assert job is not None
        return job

    def events(self, action: str) -> int:
        return int(self.sql("SELECT count(*) FROM event WHERE action = ?", action)[0][0])

    def owned_elsewhere(self) -> None:
        """Let the open intents be those of a process that nobody here can look for."""
        for id_, text in self.sql("SELECT id, owner FROM intent WHERE closed_at IS NULL"):
            owner = replace(Owner.decode(text), boot="of another machine")
            self.sql("UPDATE intent SET owner = ? WHERE id = ?", owner.encode(), id_)

    def open_intents(self) -> list[str]:
        return [kind for (kind,) in self.sql("SELECT kind FROM intent WHERE closed_at IS NULL ORDER BY id")]
